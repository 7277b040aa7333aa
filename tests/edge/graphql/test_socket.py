"""The protocol graphql-transport-ws to the letter: what closes a real socket, with which code, and what does not."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from edge.graphql.socket import CLOSE_CODES, OPERATIONS
from edge.graphql.socket_transport import MAX_MESSAGES_AT_ONCE
from tests.simulator.serving import eventually
from tests.world.app import RunningApp, running_app
from tests.world.documents import CREATE_CUSTOMER
from tests.world.local import LOCAL
from tests.world.postgres import Postgres

Json = dict[str, Any]

PROTOCOL: Final = "graphql-transport-ws"
EVENTS: Final = "subscription { events { type } }"
TYPENAME: Final = "{ __typename }"
FRIEND: Final = "https://app.example.com"
WITHIN_S: Final = 20.0


class Peer:
    """A client that sends what it is told to, and no more."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *messages: object) -> None:
        """Send messages as JSON."""
        for message in messages:
            await self.connection.send(json.dumps(message))

    async def subscribe(self, id_: str, query: str, **more: Any) -> None:
        """Start an operation."""
        await self.send({"id": id_, "type": "subscribe", "payload": {"query": query, **more}})

    async def receive(self) -> Json:
        """The next message: a frame of text."""
        async with asyncio.timeout(WITHIN_S):
            frame = await self.connection.recv()
        assert isinstance(frame, str)
        message: Json = json.loads(frame)
        return message

    async def is_usable(self) -> bool:
        """Whether the very next thing that comes is the pong to a ping."""
        await self.send({"type": "ping"})
        return await self.receive() == {"type": "pong"}

    async def closed(self) -> tuple[int, str]:
        """With what the server closes, whatever it says before."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await self.connection.recv()
        code, reason = self.connection.close_code or 1006, self.connection.close_reason or ""
        assert code in CLOSE_CODES
        assert 0 < len(reason.encode()) <= 123
        return code, reason


@asynccontextmanager
async def opened(app: RunningApp, *protocols: str, **headers: str) -> AsyncIterator[Peer]:
    """A socket on which nothing was said yet."""
    wanted: Any = list(protocols or (PROTOCOL,))
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    async with connect(f"{app.ws_url}/graphql", subprotocols=wanted, additional_headers=extra) as connection:
        yield Peer(connection)


@asynccontextmanager
async def acknowledged(app: RunningApp) -> AsyncIterator[Peer]:
    """A socket on which operations may begin."""
    async with opened(app) as peer:
        await peer.send(init(app))
        assert await peer.receive() == {"type": "connection_ack"}
        yield peer


def init(app: RunningApp, name: str = "authorization") -> Json:
    return {"type": "connection_init", "payload": {name: f"Bearer {app.announced['apiKey']}"}}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, which knows one other origin and takes all the handshakes of this module."""
    env = {
        "FLUXRATE_ALLOWED_ORIGINS": FRIEND,
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "100000/minute",
        "FLUXRATE_RATE_LIMIT_PER_KEY": "100000/minute",
        "FLUXRATE_TRUSTED_PROXIES": "127.0.0.1",
    }
    with running_app(env=env, cwd=tmp_path_factory.mktemp("socket")) as app:
        yield app


# --- Invalid messages ----------------------------------------------------------------------------------------------

DEEP: Final = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        *(
            "0",
            "1.5",
            '"ping"',
            "[]",
            "null",
            "true",
            "false",
            "{}",
            "",
            " ",
            "{",
            "NaN",
            "ping",
            '{"type": "ping"',
            DEEP,
        ),
        *(
            '{"type": null}',
            '{"type": 1}',
            '{"type": ["ping"]}',
            '{"type": ""}',
            '{"type": "PING"}',
            '{"type": "start"}',
        ),
        *('{"type": "connection_ack"}', '{"type": "next", "id": "1", "payload": {}}', '{"type": "\\ud800"}'),
        *('{"type": "ping", "payload": 1}', '{"type": "ping", "payload": []}', '{"type": "ping", "payload": "x"}'),
        *('{"type": "pong", "payload": false}', '{"type": "connection_init", "payload": []}'),
        *('{"type": "connection_init", "payload": ""}', '{"type": "connection_init", "payload": 0}'),
        '{"type": "ping", "payload": {"a": ' + "[" * 500 + "]" * 500 + "}}",
        '{"type": "' + "ü" * 5000 + '"}',
    ],
    ids=lambda text: text[:44],
)
async def test_what_is_no_message_closes_the_socket(app: RunningApp, text: str) -> None:
    """Before it is acknowledged and after."""
    async with opened(app) as new, acknowledged(app) as old:
        await new.connection.send(text)
        await old.connection.send(text)
        codes = [(await peer.closed())[0] for peer in (new, old)]

    # a second connection_init is refused as invalid before it is one too many
    assert codes == [4400, 4400]


NO_IDS: Final[tuple[Any, ...]] = (None, 1, "", [], {}, True, "x" * 257)
NO_REQUESTS: Final[tuple[Any, ...]] = (None, 1, "x", [], True, {})
NO_QUERIES: Final[tuple[Any, ...]] = (None, 1, [], {}, False)
NO_DETAILS: Final[tuple[tuple[str, Any], ...]] = (
    *(("variables", 1), ("variables", "x"), ("variables", []), ("variables", False)),
    *(("operationName", 1), ("operationName", {}), ("operationName", []), ("operationName", False)),
    *(("extensions", 1), ("extensions", "x"), ("extensions", []), ("extensions", False)),
)


def misformed() -> Iterator[Json]:
    """Messages of operations, each with one thing wrong."""
    yield {"type": "complete"}
    yield {"type": "subscribe", "id": "1"}
    yield {"type": "subscribe", "payload": {"query": TYPENAME}}
    for id_ in NO_IDS:
        yield {"type": "subscribe", "id": id_, "payload": {"query": TYPENAME}}
        yield {"type": "complete", "id": id_}
    for payload in (*NO_REQUESTS, *({"query": query} for query in NO_QUERIES)):
        yield {"type": "subscribe", "id": "1", "payload": payload}
    for name, wrong in NO_DETAILS:
        yield {"type": "subscribe", "id": "1", "payload": {"query": TYPENAME, name: wrong}}


@pytest.mark.parametrize("message", [*misformed()], ids=lambda message: json.dumps(message)[:90])
async def test_an_operation_that_is_not_formed_as_it_should_be_closes_the_socket(
    app: RunningApp, message: object
) -> None:
    async with acknowledged(app) as peer:
        await peer.send(message)

        code, _ = await peer.closed()

    assert code == 4400


async def test_messages_are_text(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        await peer.connection.send(b'{"type": "ping"}')

        code, reason = await peer.closed()

    assert (code, reason) == (4400, "WebSocket message type must be text")


async def test_text_is_utf8(app: RunningApp) -> None:
    """WebSocket itself refuses anything else, with a code of its own."""
    async with acknowledged(app) as peer:
        await peer.connection.send(b'{"type": "\xff"}', text=True)
        with suppress(ConnectionClosed):
            await peer.connection.recv()

    assert peer.connection.close_code == 1007


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


# --- Limits --------------------------------------------------------------------------------------------------------


async def test_a_socket_has_so_many_operations_at_once(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        for number in range(OPERATIONS.maximum + 1):
            await peer.subscribe(str(number), EVENTS)
        message = await peer.receive()
        await peer.send({"id": "0", "type": "complete"})
        await peer.subscribe("again", TYPENAME)
        again = await peer.receive()

    assert (message["type"], message["id"]) == ("error", "100")
    (error,) = message["payload"]
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": "operationsPerSocket", "maximum": 100}
    assert "More than 100 operations" in error["message"]
    assert (again["type"], again["id"]) == ("next", "again")


async def test_a_client_sends_so_many_messages_at_once(app: RunningApp) -> None:
    """Then it is sent away for a while."""
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            for _ in range(MAX_MESSAGES_AT_ONCE * 4):
                await peer.send({"type": "pong"})

        code, reason = await peer.closed()

    assert (code, reason) == (1013, "More than 50 messages a second, 200 at once: send fewer.")


async def test_a_burst_within_the_limit_is_taken(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        await peer.send(*({"type": "pong"} for _ in range(MAX_MESSAGES_AT_ONCE - 2)))

        assert await peer.is_usable()


async def test_a_message_has_so_many_bytes(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            await peer.send({"type": "ping", "payload": {"a": "x" * 1024 * 1024}})

        code, reason = await peer.closed()

    assert code == 1009
    assert "1048576 bytes" in reason


async def test_a_message_has_so_many_fragments(app: RunningApp) -> None:
    async with acknowledged(app) as peer:
        with suppress(ConnectionClosed):
            await peer.connection.send('{"type": "pong"' for _ in range(3000))

        code, reason = await peer.closed()

    assert (code, reason) == (1009, "A message has at most 1024 fragments.")


# --- Half-open -----------------------------------------------------------------------------------------------------

PINGING: Final = ("-m", "tests.edge.graphql.pinging")
"""What Python runs for a product that pings twice a second."""


def subscriptions(url: str) -> float:
    """How many are open, by the server's own count."""
    text = httpx.get(f"{url}/metrics", timeout=30, **LOCAL).text
    (line,) = (line for line in text.splitlines() if line.startswith("fluxrate_subscriptions "))
    return float(line.split()[1])


def dumb(url: str) -> socket.socket:
    """A TCP connection upgraded to a WebSocket, which does nothing by itself."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(WITHIN_S)
    connection.connect((host, int(port)))
    connection.sendall(
        (
            f"GET /graphql HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
        ).encode()
    )
    assert b"101" in connection.recv(1024).split(b"\r\n")[0]
    return connection


def frame(message: object) -> bytes:
    """A message in a frame of text, masked with zeros."""
    text = json.dumps(message).encode()
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + text


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "never reads"])
async def test_who_answers_no_pings_is_let_go(migrated_sqlite_url: str, reads: bool) -> None:
    """Though its TCP connection stays open; also when there is no room left to write to it. Who answers stays."""
    with running_app(migrated_sqlite_url, entry=PINGING) as app:
        url, key = app.url, app.workspace().api_key
        begin = {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
        follow = {"id": "1", "type": "subscribe", "payload": {"query": EVENTS}}
        also = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { events { __typename } }"}}
        async with connect(f"{url.replace('http', 'ws')}/graphql", subprotocols=[PROTOCOL]) as honest:  # type: ignore[list-item]
            await Peer(honest).send(begin, also)
            connection = await asyncio.to_thread(dumb, url)
            connection.sendall(frame(begin) + frame(follow))
            await asyncio.to_thread(eventually, lambda: subscriptions(url) == 2)
            if not reads:
                with suppress(OSError):
                    for _ in range(190):
                        connection.sendall(frame({"type": "ping", "payload": {"a": "x" * 60_000}}))

            await asyncio.to_thread(eventually, lambda: subscriptions(url) == 1)
            with connection, suppress(ConnectionResetError):
                while await asyncio.to_thread(connection.recv, 65536):
                    pass

            assert (await Peer(honest).receive()) == {"type": "connection_ack"}
            assert await Peer(honest).is_usable()
            assert subscriptions(url) == 1
