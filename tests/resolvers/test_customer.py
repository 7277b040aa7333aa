"""Customers: who they are, and the ids that the business knows them by."""

import asyncio
from typing import Any

import pytest

from models.ids import Prefix, new_id
from models.kinds import EventType
from resolvers.context import Services
from tests.world import books, documents
from tests.world.business import Business, Json, new_business

ADA: Json = {"name": "Ada", "email": "ada@example.com"}


async def _create(business: Business, **given: Any) -> Json:
    return await business.mutate(documents.CREATE_CUSTOMER, input={**ADA, **given})


async def _update(business: Business, id_: str, **given: Any) -> Json:
    return await business.mutate(documents.UPDATE_CUSTOMER, input={"id": id_, **given})


async def _found(business: Business, search: str) -> list[str]:
    document = "query ($search: String) { customers(search: $search, order: ASC) { nodes { name } } }"
    return [node["name"] for node in (await business.mutate(document, search=search))["nodes"]]


async def test_a_customer_is_kept_without_the_spaces_around(business: Business) -> None:
    customer = (await _create(business, name="  Ada  ", email=" ada@example.com ", externalId=" C-1 "))["customer"]

    assert customer == {"id": customer["id"], **ADA, "externalId": "C-1"}
    assert (await _create(business, externalId="  "))["customer"]["externalId"] is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"email": ""}, "email"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@example"}, "email"),
        ({"email": "ada@@example.com"}, "email"),
        ({"email": "a da@example.com"}, "email"),
        ({"externalId": "x" * 256}, "externalId"),
    ],
)
async def test_what_can_not_be_taken_is_named(business: Business, given: Json, field: str) -> None:
    customer_id = (await _create(business))["customer"]["id"]

    for refusal in (await _create(business, **given), await _update(business, customer_id, **given)):
        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", field])


async def test_an_update_keeps_what_it_does_not_name_and_null_clears_the_external_id(business: Business) -> None:
    customer_id = (await _create(business, externalId="C-1"))["customer"]["id"]

    renamed = (await _update(business, customer_id, name="Ada L."))["customer"]
    cleared = (await _update(business, customer_id, externalId=None))["customer"]
    refused = [await _update(business, customer_id, **{name: None}) for name in ADA]

    assert renamed == {"id": customer_id, "name": "Ada L.", "email": "ada@example.com", "externalId": "C-1"}
    assert cleared == renamed | {"externalId": None}
    assert [(refusal["__typename"], refusal["path"][-1]) for refusal in refused] == [
        ("InvalidInput", "name"),
        ("InvalidInput", "email"),
    ]


async def test_an_update_that_changes_nothing_is_not_told(business: Business) -> None:
    customer_id = (await _create(business))["customer"]["id"]

    await _update(business, customer_id, **ADA)
    await _update(business, customer_id, name="Ada L.")

    assert await books.log_types(business.workspace) == [EventType.CUSTOMER_CREATED, EventType.CUSTOMER_UPDATED]


async def test_who_is_not_there_is_not_found(business: Business) -> None:
    refusal = await _update(business, new_id(Prefix.CUSTOMER), name="Eve")

    assert (refusal["__typename"], refusal["path"]) == ("NotFound", ["input", "id"])


async def test_an_external_id_names_one_customer_of_a_workspace(
    business: Business, office: Services, stripe_url: str
) -> None:
    elsewhere = await new_business(office, stripe_url)
    first = (await _create(business, externalId="C-1"))["customer"]
    second = (await _create(business))["customer"]

    taken = [await _create(business, externalId=" C-1"), await _update(business, second["id"], externalId="C-1")]
    there = await _create(elsewhere, externalId="C-1")
    await _update(business, first["id"], externalId=None)
    free = await _update(business, second["id"], externalId="C-1")

    for refusal in taken:
        assert (refusal["__typename"], refusal["code"]) == ("Conflict", "EXTERNAL_ID_TAKEN")
        assert refusal["path"] == ["input", "externalId"]
    assert there["__typename"] == "CreateCustomerSuccess"
    assert free["customer"]["externalId"] == "C-1"
    document = '{ customerByExternalId(externalId: "C-1") { id } }'
    assert await business.mutate(document) == {"id": second["id"]}
    assert await elsewhere.mutate(document) == {"id": there["customer"]["id"]}


async def test_of_many_who_want_an_external_id_at_once_one_gets_it(business: Business) -> None:
    results = await asyncio.gather(*(_create(business, name=str(n), externalId="C-1") for n in range(8)))

    assert sorted(result["__typename"] for result in results) == ["Conflict"] * 7 + ["CreateCustomerSuccess"]
    assert (await business.mutate("{ customers { totalCount } }"))["totalCount"] == 1


async def test_the_same_key_and_input_makes_one_customer_also_at_once(business: Business) -> None:
    results = await asyncio.gather(*(_create(business, externalId="C-1", idempotencyKey="once") for _ in range(8)))
    other = await _create(business, externalId="C-2", idempotencyKey="once")

    assert len({result["customer"]["id"] for result in results}) == 1
    assert (other["__typename"], other["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")
    assert await books.log_types(business.workspace) == [EventType.CUSTOMER_CREATED]


async def test_a_search_looks_into_name_email_and_external_id(business: Business) -> None:
    await _create(business, name="Ada Lovelace", email="countess@example.com", externalId="A-1815")
    await _create(business, name="Grace", email="amazing@example.org", externalId="G_1906")
    await _create(business, name="100% Hopper")

    assert await _found(business, "lovelace") == ["Ada Lovelace"]
    assert await _found(business, "EXAMPLE.ORG") == ["Grace"]
    assert await _found(business, "-1815") == ["Ada Lovelace"]
    assert await _found(business, " ") == ["Ada Lovelace", "Grace", "100% Hopper"]
    assert await _found(business, "nobody") == []
    assert (await _found(business, "%"), await _found(business, "G_1")) == (["100% Hopper"], ["Grace"])
