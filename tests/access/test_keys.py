"""What a key opens ends with the key, at once."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.access.town import Api, Json, Town
from tests.simulator.serving import eventually
from tests.world import documents
from tests.world.graphql_client import GraphQLClient, Socket

UNAUTHORIZED: Final = 4401


CLOSED_WITHIN_S: Final = 5.0
"""How soon a socket whose key is not valid any more is closed, at the latest."""


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer flx_test_0000000000000000000000000000000000000000",
        "Bearer sk_test_4242424242424242",
        "Basic Zmx4X3Rlc3Q6",
        "flx_test_0000000000000000000000000000000000000000",
    ],
)
def test_without_a_valid_key_nothing_is_answered(town: Town, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    for document in ("{ __typename }", "{ viewer { workspace { id } } }", "{ __schema { types { name } } }", "{"):
        answer = town.api(None).http.post("/graphql", json={"query": document}, headers=headers)

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer.json()


def test_a_revoked_key_opens_nothing_at_once(town: Town) -> None:
    """Whichever process is asked."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")
    reader = town.api(key)
    before = [reader.status() for _ in range(6)]

    admin.ask(documents.REVOKE_API_KEY, id=key_id)

    after = [reader.status() for _ in range(6)]
    assert (before, after) == ([200] * 6, [401] * 6)
    assert admin.status() == 200


def test_a_key_that_has_expired_opens_nothing(town: Town) -> None:
    _, admin = town.workspace()
    reader = town.api(admin.new_key("READ", expiresAt=_in(1.5))[1])

    before = reader.status()
    eventually(lambda: reader.status() == 401)

    assert before == 200


@pytest.mark.parametrize("ending", ["revoked", "expired"])
async def test_an_open_socket_is_closed_when_its_key_ends(town: Town, ending: str) -> None:
    _, admin = town.workspace()
    lasting = {} if ending == "revoked" else {"expiresAt": _in(1.5)}
    key_id, key = admin.new_key("READ", **lasting)
    client = GraphQLClient(town.servers.app.url, town.secret(key))

    async with client, client.socket() as socket:
        await socket.subscribe("subscription { events { type } }")
        if ending == "revoked":
            admin.ask(documents.REVOKE_API_KEY, id=key_id)
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S + (0 if ending == "revoked" else 1.5))
        reopened = await _opened_with(town, key)

    assert (code, reopened) == (UNAUTHORIZED, UNAUTHORIZED)


async def test_a_revoked_key_hears_nothing_that_is_committed_later(town: Town) -> None:
    """Whichever process it is connected to, and however soon the next commit comes."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")
    client = GraphQLClient(town.servers.app.url, town.secret(key))

    async with client, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(client.socket()) for _ in range(4)]
        known = (await client.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
        for socket in sockets:
            await socket.subscribe("subscription ($after: String) { events(after: $after) { type } }", after=known)
        admin.ask(documents.CREATE_CUSTOMER, input={"name": "Before", "email": "before@example.com"})
        before = [await socket.receive() for socket in sockets]
        await asyncio.to_thread(_revoke_and_go_on, admin, key_id)
        later = [await _until_closed(socket) for socket in sockets]
        codes = {socket.connection.close_code for socket in sockets}

    assert [message["payload"]["data"]["events"]["type"] for message in before] == ["CUSTOMER_CREATED"] * 4
    assert later == [[]] * 4
    assert codes == {UNAUTHORIZED}


async def _until_closed(socket: Socket) -> list[Json]:
    """What else is heard on a socket."""
    heard = []
    with suppress(ConnectionClosed):
        while True:
            heard.append(await socket.receive(4 * CLOSED_WITHIN_S))  # when is looked at elsewhere
    return heard


def _revoke_and_go_on(admin: Api, key_id: str) -> None:
    admin.ask(documents.REVOKE_API_KEY, id=key_id)
    for _ in range(5):
        admin.ask(documents.CREATE_CUSTOMER, input={"name": "Later", "email": "later@example.com"})


async def test_who_revokes_its_own_key_on_a_socket_is_answered(town: Town) -> None:
    """And then closed."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("ADMIN")

    async with GraphQLClient(town.servers.app.url, town.secret(key)) as client, client.socket() as socket:
        await socket.subscribe(documents.REVOKE_API_KEY, id=key_id)
        answer, complete = await socket.receive(), await socket.receive()
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S)

    assert answer["payload"]["data"]["revokeApiKey"]["__typename"] == "RevokeApiKeySuccess"
    assert (complete["type"], code) == ("complete", UNAUTHORIZED)


async def test_a_revoked_key_starts_nothing_new_on_its_open_socket(town: Town) -> None:
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")

    async with GraphQLClient(town.servers.app.url, town.secret(key)) as client, client.socket() as socket:
        admin.ask(documents.REVOKE_API_KEY, id=key_id)
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { workspace { id } } }"}})
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S)

    assert code == UNAUTHORIZED


async def test_a_wrong_key_opens_no_socket(town: Town) -> None:
    assert await _opened_with(town, "flx_test_0000000000000000000000000000000000000000") == UNAUTHORIZED


async def _closed_with(socket: Socket, within_s: float) -> int:
    """The code that the server closes a socket with."""
    async with asyncio.timeout(within_s):
        await socket.connection.wait_closed()
    assert socket.connection.close_code is not None
    return socket.connection.close_code


async def _opened_with(town: Town, key: str) -> int:
    """The code that a new socket with a key is closed with."""
    url = f"{town.servers.app.ws_url}/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"]) as connection:  # type: ignore[list-item]
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
        await connection.send(json.dumps(init))
        return await _closed_with(Socket(connection), CLOSED_WITHIN_S)


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
