"""The protocol graphql-transport-ws: how a socket opens, and how its operations run and end."""

import json
from typing import Any, Final, cast

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.edge.graphql.peer import EVENTS, FRIEND, PROTOCOL, TYPENAME, Json, Peer, acknowledged, init, opened
from tests.world.app import RunningApp, running_app
from tests.world.documents import CREATE_CUSTOMER
from tests.world.local import LOCAL
from tests.world.postgres import Postgres

# --- Opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "protocols", [("graphql-ws",), ("graphql",), ("graphql-ws", "mqtt"), ("GraphQL-Transport-WS",)]
)
async def test_another_sub_protocol_is_not_acceptable(app: RunningApp, protocols: tuple[str, ...]) -> None:
    """Least of all the legacy one; it is told by the close code, which pages can read."""
    async with opened(app, *protocols) as peer:
        assert peer.connection.subprotocol is None
        code, _ = await peer.closed()

    assert code == 4406


async def test_no_sub_protocol_is_not_acceptable_either(app: RunningApp) -> None:
    async with connect(f"{app.ws_url}/graphql") as connection:
        code, _ = await Peer(connection).closed()

    assert code == 4406


async def test_of_several_sub_protocols_ours_is_taken(app: RunningApp) -> None:
    async with opened(app, "graphql-ws", "mqtt", PROTOCOL) as peer:
        assert peer.connection.subprotocol == PROTOCOL
        assert peer.connection.protocol.extensions == []
        await peer.send(init(app))
        assert await peer.receive() == {"type": "connection_ack"}


async def test_who_never_begins_is_closed(app: RunningApp) -> None:
    """Pings are no beginning."""
    async with opened(app) as peer:
        assert await peer.is_usable()
        code, reason = await peer.closed()

    assert (code, reason) == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
async def test_a_key_opens_a_connection(app: RunningApp, name: str) -> None:
    async with opened(app) as peer:
        await peer.send(init(app, name))

        assert await peer.receive() == {"type": "connection_ack"}


NO_KEYS: Final[tuple[Any, ...]] = (
    None,
    1,
    [],
    {},
    True,
    "",
    "Bearer",
    "Bearer ",
    "Basic eDp5",
    "Bearer flx_test_0",
    "Bearer ü",
)


@pytest.mark.parametrize(
    "message",
    [{}, {"payload": None}, {"payload": {}}, *[{"payload": {"authorization": no_key}} for no_key in NO_KEYS]],
    ids=json.dumps,
)
async def test_without_a_valid_key_nobody_is_let_in(app: RunningApp, message: Json) -> None:
    async with opened(app) as peer:
        await peer.send({"type": "connection_init", **message})

        code, _ = await peer.closed()

    assert code == 4401


async def test_no_operation_comes_before_the_beginning(app: RunningApp) -> None:
    async with opened(app) as peer:
        await peer.subscribe("1", TYPENAME)

        code, _ = await peer.closed()

    assert code == 4401


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_connection_begins_once(app: RunningApp, at_once: bool) -> None:
    async with opened(app) as peer:
        await peer.send(init(app))
        if not at_once:
            await peer.receive()
        await peer.send(init(app))

        code, _ = await peer.closed()

    assert code == 4429


# --- Origins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [None, "itself", FRIEND])
async def test_pages_of_this_origin_and_of_friends_may_open_sockets(app: RunningApp, origin: str | None) -> None:
    """And what is no browser, which sends no origin."""
    headers = {} if origin is None else {"origin": app.url if origin == "itself" else origin}

    async with opened(app, **headers) as peer:
        assert await peer.is_usable()


@pytest.mark.parametrize(
    "headers",
    [
        *({"origin": origin} for origin in ("https://evil.example", "null", "", "http://127.0.0.1:1", "file://")),
        *({"origin": origin} for origin in ("https://app.example.com.evil.example", "https://app.example.com:8443")),
        {"origin": "https://evil.example", "x_forwarded_host": "evil.example", "x_forwarded_proto": "https"},
        {"origin": "https://evil.example", "forwarded": "host=evil.example;proto=https"},
    ],
    ids=json.dumps,
)
async def test_other_pages_are_refused_before_there_is_a_socket(app: RunningApp, headers: dict[str, str]) -> None:
    """Whatever they say that they were forwarded from."""
    with pytest.raises(InvalidStatus) as refused:
        async with opened(app, **headers):
            raise AssertionError("It was let in.")

    assert refused.value.response.status_code == 403


async def test_behind_a_proxy_it_is_the_host_that_the_proxy_passes_on_that_counts(app: RunningApp) -> None:
    """Nothing else that it tells of the request, though it is trusted with the client's address."""
    port, wanted = int(app.url.rpartition(":")[2]), cast("list[Subprotocol]", [PROTOCOL])

    async with connect(
        "ws://pay.example.com/graphql",
        host="127.0.0.1",
        port=port,
        subprotocols=wanted,
        origin=Origin("https://pay.example.com"),
    ) as connection:
        assert await Peer(connection).is_usable()


async def test_while_keys_cannot_be_looked_up_clients_come_back_later() -> None:
    with Postgres() as server, running_app(server.url(server.create_database(server.migrated))) as app:
        key = app.workspace().api_key
        server.stop()
        async with opened(app) as peer:
            await peer.send({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}})

            closed = await peer.closed()

    assert closed == (1013, "Try again later")


# --- Operations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {"query": ""},
        {"query": "{"},
        {"query": "{ nothingLikeThis }"},
        {"query": "query A { __typename }", "operationName": "B"},
        {"query": "query ($id: ID!) { invoice(id: $id) { id } }"},
        {"query": "query ($first: Int) { customers(first: $first) { nodes { id } } }", "variables": {"first": "x"}},
        {"query": "fragment F on Query { __typename }"},
        {"query": "subscription { events(after: 1) { type } }"},
        {"query": 'subscription { events(after: "made up") { type } }'},
        {"query": "subscription { nothingLikeThis }"},
        {"query": TYPENAME, "variables": {"a": [[[[[[[[[[[[1]]]]]]]]]]]]}},
        {"query": "query ($a: ID!) { invoice(id: $a) { id } }", "variables": {"a": "\x00"}},
    ],
    ids=lambda payload: str(payload["query"])[:40],
)
async def test_what_is_wrong_with_an_operation_ends_that_operation_only(app: RunningApp, payload: object) -> None:
    """By one message, of a list of errors; its id is free again."""
    async with acknowledged(app) as peer:
        for _ in range(2):
            await peer.send({"id": "1", "type": "subscribe", "payload": payload})
            message = await peer.receive()
            assert (message["type"], message["id"]) == ("error", "1")
            assert all(error["message"] for error in message["payload"])
            assert message["payload"]

        assert await peer.is_usable()


@pytest.mark.parametrize("query", [TYPENAME, "subscription { events { cursor } }"], ids=["query", "subscription"])
@pytest.mark.parametrize("levels", [255, 900])
async def test_variables_as_deep_as_json_may_be_are_refused_by_name(app: RunningApp, query: str, levels: int) -> None:
    """More than 254 levels can be read, but not be written."""
    deep = "[" * levels + "]" * levels
    async with acknowledged(app) as peer:
        await peer.connection.send(
            f'{{"id": "1", "type": "subscribe", "payload": {{"query": "{query}", "variables": {{"a": {deep}}}}}}}'
        )

        message = await peer.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["limit"] == "variableDepth"
        assert await peer.is_usable()


async def test_queries_and_mutations_are_answered_once_then_complete(app: RunningApp) -> None:
    """No page can make a browser send a mutation for somebody: the key is in the payload."""
    given = {"input": {"name": "Ada", "email": "ada@example.com"}}
    async with acknowledged(app) as peer:
        await peer.subscribe("q", TYPENAME, variables=None, operationName=None, extensions=None)
        query = [await peer.receive(), await peer.receive()]
        await peer.subscribe("m", CREATE_CUSTOMER, variables=given)
        mutation = [await peer.receive(), await peer.receive()]

        assert await peer.is_usable()

    cost, rate_limit = (query[0]["payload"]["extensions"][name] for name in ("cost", "rateLimit"))
    assert query[0]["payload"]["data"] == {"__typename": "Query"}
    assert (cost, rate_limit["limit"]) == ({"requested": 0, "limit": 25_000}, 100_000)
    assert query[1] == {"id": "q", "type": "complete"}
    assert mutation[0]["payload"]["extensions"]["cost"]["requested"] > 250
    assert mutation[0]["payload"]["data"]["createCustomer"]["customer"]["id"].startswith("cust_")
    assert mutation[1] == {"id": "m", "type": "complete"}


@pytest.mark.parametrize("id_", ["1", "ü" * 256])
async def test_an_id_belongs_to_one_operation_at_a_time(app: RunningApp, id_: str) -> None:
    """Also while the first is only about to start."""
    async with acknowledged(app) as peer:
        await peer.subscribe(id_, EVENTS)
        await peer.subscribe(id_, TYPENAME)

        code, reason = await peer.closed()

    assert code == 4409
    assert reason.startswith(f"Subscriber for {id_[:40]}")


async def test_an_id_is_free_once_its_operation_is_complete(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        for _ in range(5):
            await peer.subscribe("1", EVENTS)
            await peer.send({"id": "1", "type": "complete"})
        await peer.subscribe("1", TYPENAME)

        assert [(await peer.receive())["type"] for _ in range(2)] == ["next", "complete"]
        assert await peer.is_usable()


async def test_completing_what_does_not_run_is_nothing(app: RunningApp) -> None:
    """It may have ended while the message was on its way."""
    async with acknowledged(app) as peer:
        await peer.send({"id": "never", "type": "complete"})
        await peer.subscribe("1", TYPENAME)
        assert [(await peer.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await peer.send({"id": "1", "type": "complete"}, {"id": "1", "type": "complete"})

        assert await peer.is_usable()


async def test_after_a_client_completes_nothing_more_comes(app: RunningApp) -> None:
    """Neither what happens next nor a complete."""
    async with acknowledged(app) as peer, acknowledged(app) as other:
        for each in (peer, other):
            await each.subscribe("1", EVENTS)
            await each.subscribe("2", "{ viewer { workspace { eventCursor } } }")
            assert [(await each.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await create_customer(app)
        assert (await peer.receive())["type"] == "next"
        assert (await other.receive())["type"] == "next"

        await peer.send({"id": "1", "type": "complete"})
        assert await peer.is_usable()
        await create_customer(app)

        assert (await other.receive())["type"] == "next"
        assert await peer.is_usable()


async def create_customer(app: RunningApp) -> None:
    headers = {"authorization": f"Bearer {app.announced['apiKey']}"}
    asked = {"query": CREATE_CUSTOMER, "variables": {"input": {"name": "Ada", "email": "ada@example.com"}}}
    async with httpx.AsyncClient(base_url=app.url, headers=headers, timeout=30, **LOCAL) as http:
        assert "errors" not in (await http.post("/graphql", json=asked)).json()


@pytest.mark.parametrize("payload", [{}, {"at": 1.5, "list": [None, "ü"]}])
async def test_a_ping_is_answered_with_its_payload(app: RunningApp, payload: object) -> None:
    """A pong of the client's own accord is not answered, nor a payload of null."""
    async with acknowledged(app) as peer:
        await peer.send({"type": "pong"}, {"type": "pong", "payload": payload}, {"type": "pong", "payload": None})
        await peer.send({"type": "ping", "payload": payload}, {"type": "ping", "payload": None})

        assert await peer.receive() == {"type": "pong", "payload": payload}
        assert await peer.receive() == {"type": "pong"}
