"""API keys: shown once, known by their hash alone, and over at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database.access import fetch
from errors import UnauthenticatedError
from models.api_key import sha256_of
from models.ids import Prefix, new_id
from models.kinds import EventType
from models.secret import Keyring, generate_key
from resolvers.auth import authenticate
from resolvers.context import Services
from tests.world import books, documents
from tests.world.app import ENCRYPTION_KEY
from tests.world.business import Business, Json
from tests.world.caller import Caller


async def _create(business: Business, *scopes: str, **given: Any) -> Json:
    name = {"name": "Dashboard", "scopes": list(scopes or ("READ",))}
    return await business.mutate(documents.CREATE_API_KEY, input={**name, **given})


def _sealing_with(business: Business, *encryption_keys: str) -> Business:
    """The same business after the operator has changed FLUXRATE_ENCRYPTION_KEYS."""
    services = replace(business.services, keyring=Keyring.parse(encryption_keys))
    return replace(business, services=services, admin=Caller(services, business.admin.authorization))


def _in(**delta: int) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


async def test_a_key_opens_its_workspace_with_its_scopes(business: Business) -> None:
    made = await _create(business, "WRITE", "READ", expiresAt=_in(days=1))

    caller = await authenticate(f"Bearer {made['key']}")

    assert made["key"].startswith("flx_test_")
    assert made["apiKey"]["preview"] == f"flx_test_…{made['key'][-4:]}"
    assert made["apiKey"]["scopes"] == ["READ", "WRITE"]
    assert (caller.workspace.id, caller.api_key.id) == (business.workspace.id, made["apiKey"]["id"])
    assert sorted(caller.scopes) == ["READ", "WRITE"]


async def test_only_the_hash_of_a_key_is_stored(business: Business) -> None:
    made = await _create(business)

    (row,) = await fetch("SELECT * FROM api_keys WHERE id = $1", made["apiKey"]["id"])

    assert row["sha256"] == sha256_of(made["key"])
    assert made["key"] not in str(dict(row))


@pytest.mark.parametrize(
    ("given", "field"),
    [({"name": " "}, "name"), ({"scopes": []}, "scopes"), ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt")],
)
async def test_what_can_not_be_taken_is_named(business: Business, given: Json, field: str) -> None:
    refusal = await _create(business, **given)

    assert (refusal["__typename"], refusal["path"]) == ("InvalidInput", ["input", field])


async def test_the_same_idempotency_key_shows_the_same_key_again_also_at_once(business: Business) -> None:
    results = await asyncio.gather(*(_create(business, idempotencyKey="dashboard") for _ in range(6)))
    later = await _create(business, idempotencyKey="dashboard")
    another = await _create(business, idempotencyKey="another")

    assert len({(result["key"], result["apiKey"]["id"]) for result in [*results, later]}) == 1
    assert another["key"] != later["key"]
    assert (await authenticate(f"Bearer {later['key']}")).api_key.id == later["apiKey"]["id"]
    assert await books.log_types(business.workspace) == [EventType.API_KEY_CREATED] * 2


@pytest.mark.parametrize("other", [{"name": "Another"}, {"scopes": ["ADMIN"]}, {"expiresAt": "2099-01-01T00:00:00Z"}])
async def test_the_same_idempotency_key_with_other_input_is_a_conflict(business: Business, other: Json) -> None:
    await _create(business, idempotencyKey="dashboard")

    refusal = await _create(business, idempotencyKey="dashboard", **other)

    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")


async def test_a_rotated_encryption_key_still_shows_it_and_a_lost_one_does_not(business: Business) -> None:
    first = await _create(business, idempotencyKey="dashboard")
    rotated, lost = (
        _sealing_with(business, generate_key(), ENCRYPTION_KEY),
        _sealing_with(business, generate_key()),
    )

    again = await _create(rotated, idempotencyKey="dashboard")
    refusal = await _create(lost, idempotencyKey="dashboard")

    assert again["key"] == first["key"]
    assert (refusal["__typename"], refusal["code"]) == ("Conflict", "KEY_SHOWN_ONCE")


async def test_a_revoked_key_opens_nothing_and_stays_revoked(business: Business) -> None:
    made = await _create(business)

    revoked = [await business.mutate(documents.REVOKE_API_KEY, id=made["apiKey"]["id"]) for _ in range(2)]

    assert revoked[0]["apiKey"]["revokedAt"] is not None
    assert revoked[0] == revoked[1]
    with pytest.raises(UnauthenticatedError, match="was revoked"):
        await authenticate(f"Bearer {made['key']}")
    assert (await books.log_types(business.workspace)).count(EventType.API_KEY_REVOKED) == 1


async def test_a_key_that_is_not_there_is_not_found(business: Business) -> None:
    refusal = await business.mutate(documents.REVOKE_API_KEY, id=new_id(Prefix.API_KEY))

    assert (refusal["__typename"], refusal["path"]) == ("NotFound", ["id"])


async def test_keys_are_listed_without_their_text(business: Business, office: Services) -> None:
    made = await _create(business)

    listed = await business.mutate("{ apiKeys { nodes { id name preview scopes revokedAt lastUsedAt } } }")

    assert listed["nodes"][0]["id"] == made["apiKey"]["id"]
    assert len(listed["nodes"]) == 2
    assert made["key"] not in str(listed)
