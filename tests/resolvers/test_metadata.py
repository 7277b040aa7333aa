"""What a business keeps about its customers and invoices for itself."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from database.scope import unscoped
from models.kinds import EventType
from models.metadata import MAX_ENTRIES, Metadata
from tests.world import documents
from tests.world.business import Business, Json

KINDS: Final = ("customer", "invoice")

_UPDATES: Final = {"customer": documents.UPDATE_CUSTOMER, "invoice": documents.UPDATE_INVOICE}


def entries(**values: str) -> list[Json]:
    return [{"key": key, "value": value} for key, value in values.items()]


async def make(business: Business, kind: str, metadata: list[Json] | None = None) -> str:
    """A customer's or a draft's id."""
    given = {} if metadata is None else {"metadata": metadata}
    return await (business.customer(**given) if kind == "customer" else business.draft(**given))


async def update(business: Business, kind: str, id_: str, metadata: list[Json] | None, **more: Any) -> Json:
    return await business.mutate(_UPDATES[kind], input={"id": id_, "metadata": metadata, **more})


async def kept(business: Business, kind: str, id_: str) -> Mapping[str, str]:
    found = await business.mutate(f"query ($id: ID!) {{ {kind}(id: $id) {{ metadata {{ key value }} }} }}", id=id_)
    return {entry["key"]: entry["value"] for entry in found["metadata"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_given_when_something_is_made(business: Business, kind: str) -> None:
    id_ = await make(business, kind, entries(order="A-1", **{" shop ": " Köln "}, gone=""))

    assert list((await kept(business, kind, id_)).items()) == [("order", "A-1"), ("shop", "Köln")]
    assert await kept(business, kind, await make(business, kind)) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_update_changes_what_it_names_an_empty_value_removes_and_null_clears(
    business: Business, kind: str
) -> None:
    id_ = await make(business, kind, entries(a="1", b="2", c="3"))

    await update(business, kind, id_, entries(b="two", c="", d="4", none=""))
    merged = await kept(business, kind, id_)
    await update(business, kind, id_, None)

    assert merged == {"a": "1", "b": "two", "d": "4"}
    assert await kept(business, kind, id_) == {}
    assert not await unscoped(Metadata).filter(subject_id=id_).exists()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ([("", "1")], ["0", "key"]),
        ([("a", "1"), (" ", "2")], ["1", "key"]),
        ([("k" * 41, "1")], ["0", "key"]),
        ([("a", "1"), ("b", "v" * 501)], ["1", "value"]),
        ([("a", "1"), ("b", "2"), (" a", "3")], ["2", "key"]),
        ([(f"key {number}", "1") for number in range(MAX_ENTRIES + 1)], []),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_can_not_be_taken_is_named(
    business: Business, kind: str, given: list[tuple[str, str]], path: list[str]
) -> None:
    id_, metadata = await make(business, kind), [{"key": key, "value": value} for key, value in given]
    creations = {
        "customer": (documents.CREATE_CUSTOMER, {"name": "Ada", "email": "ada@example.com"}),
        "invoice": (documents.CREATE_INVOICE, await business.draft_input()),
    }
    document, input_ = creations[kind]

    created = await business.mutate(document, input={**input_, "metadata": metadata})
    updated = await update(business, kind, id_, metadata)

    for refusal in (created, updated):
        assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", "metadata", *path])
    assert await kept(business, kind, id_) == {}


async def test_an_update_counts_what_is_kept_already(business: Business) -> None:
    full = entries(**{f"k{number}": "v" * 500 for number in range(MAX_ENTRIES)})
    id_ = await make(business, "customer", full)

    refused = await update(business, "customer", id_, entries(more="1"))
    exchanged = await update(business, "customer", id_, entries(k0="", more="1"))

    assert refused["path"] == ["input", "metadata"]
    assert "only 50 are allowed" in refused["message"]
    assert exchanged["__typename"] == "UpdateCustomerSuccess"
    assert len(await kept(business, "customer", id_)) == MAX_ENTRIES


@pytest.mark.parametrize("ending", [None, "voidInvoice", "markInvoicePaid", "markInvoiceUncollectible"])
async def test_of_a_finalized_invoice_it_alone_may_change(business: Business, ending: str | None) -> None:
    id_ = (await business.finalized(metadata=entries(order="A-1")))["id"]
    if ending:
        await business.mutate(f"mutation ($id: ID!) {{ {ending}(id: $id) {{ __typename }} }}", id=id_)

    changed = await update(business, "invoice", id_, entries(shipped="yes"))
    refused = await update(business, "invoice", id_, entries(shipped="no"), memo="Thank you")

    assert changed["__typename"] == "UpdateInvoiceSuccess"
    assert refused["__typename"] == "InvalidTransition"
    assert await kept(business, "invoice", id_) == {"order": "A-1", "shipped": "yes"}
    assert (await business.happened(id_))[-1] is EventType.INVOICE_UPDATED


async def test_a_change_that_changes_nothing_is_not_told(business: Business) -> None:
    id_ = await make(business, "invoice", entries(order="A-1"))
    before = await business.happened(id_)

    await update(business, "invoice", id_, entries(order="A-1", gone=""))

    assert await business.happened(id_) == before


async def test_it_goes_with_a_draft_that_is_deleted(business: Business) -> None:
    id_ = await make(business, "invoice", entries(order="A-1"))

    await business.mutate("mutation ($id: ID!) { deleteInvoice(id: $id) { __typename } }", id=id_)

    assert not await unscoped(Metadata).filter(subject_id=id_).exists()


@pytest.mark.parametrize(
    ("metadata", "typename"),
    [(entries(b="2", a="1"), "CreateCustomerSuccess"), (entries(a="1"), "Conflict"), ([], "Conflict")],
)
async def test_it_is_part_of_what_an_idempotency_key_stands_for(
    business: Business, metadata: list[Json], typename: str
) -> None:
    given = {"name": "Ada", "email": "ada@example.com", "idempotencyKey": f"metadata {len(metadata)}"}
    first = await business.mutate(documents.CREATE_CUSTOMER, input={**given, "metadata": entries(a="1", b="2")})

    again = await business.mutate(documents.CREATE_CUSTOMER, input={**given, "metadata": metadata})

    assert again["__typename"] == typename
    assert again.get("customer") in (first["customer"], None)


async def test_many_are_read_at_once(business: Business) -> None:
    ids = [await make(business, "invoice", entries(number=str(number))) for number in range(3)]
    document = (
        "query ($ids: [ID!]) { invoices(filter: {ids: $ids}, order: ASC) { nodes { metadata { value } customer {"
        " metadata { value } } } } }"
    )

    found = await business.mutate(document, ids=ids)

    assert [node["metadata"] for node in found["nodes"]] == [[{"value": str(number)}] for number in range(3)]
    assert [node["customer"]["metadata"] for node in found["nodes"]] == [[]] * 3
