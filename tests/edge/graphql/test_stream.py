"""Subscriptions over HTTP against a real port: server-sent events and multipart, to the byte where clients need it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from starlette.types import Message

from edge.graphql.keys import KeyWatch
from edge.graphql.stream import EVENT_STREAM, MULTIPART, Framing, Stream, framing_of
from errors import UnavailableError
from execution.shared import Fanout
from execution.shown import Asked, Shown
from feed.cursor import encode_cursor
from models.workspace import Workspace
from resolvers.context import Services
from resolvers.operator import revoke_key
from tests.world.app import RunningApp, running_app
from tests.world.caller import Caller
from tests.world.documents import CREATE_CUSTOMER, REVOKE_API_KEY
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL

EVENTS: Final = "subscription ($after: String) { events(after: $after) { type cursor } }"
ENDED: Final = "event: complete\ndata:\n\n"
APOLLO: Final = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json"


class Received:
    """A body as it arrives. `text` is all of it so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.text = ""
        self._chunks = response.aiter_text()

    async def until(self, wanted: str, count: int = 1) -> None:
        """Read until something stands in it so many times."""
        async with asyncio.timeout(20):
            while self.text.count(wanted) < count:
                self.text += await anext(self._chunks)

    async def to_its_end(self) -> str:
        """Read what is left, which ends as HTTP says it must: not cut off."""
        async with asyncio.timeout(20):
            async for chunk in self._chunks:
                self.text += chunk
        return self.text

    def events(self) -> list[tuple[str | None, Any]]:
        """The ids and results of the server-sent events."""
        told = []
        for block in self.text.split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in block.splitlines())
            if fields.get("event") == "next":
                told.append((fields.get("id"), json.loads(fields["data"])))
        return told


@asynccontextmanager
async def streamed(
    url: str, key: str, accept: str = "text/event-stream", query: str = EVENTS, variables: Any = None, **headers: str
) -> AsyncIterator[Received]:
    """What a client is answered, while the block lasts."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx.AsyncClient(base_url=url, timeout=30, **LOCAL) as http,
        http.stream(
            "POST",
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {key}", "Accept": accept, **more},
        ) as response,
    ):
        yield Received(response)


async def happens(url: str, key: str, count: int = 1) -> None:
    """So many lines are added to the log."""
    async with GraphQLClient(url, key) as client:
        for number in range(count):
            await client.mutate(CREATE_CUSTOMER, input={"name": f"Ada {number}", "email": "ada@example.com"})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product with a database of this module's own."""
    with running_app(cwd=tmp_path_factory.mktemp("stream")) as app:
        yield app


@pytest.fixture(scope="module")
def key(app: RunningApp) -> str:
    """A key that may do everything."""
    key: str = app.announced["apiKey"]
    return key


# --- Server-sent events --------------------------------------------------------------------------------------------


async def test_an_event_is_sent_with_its_cursor_as_id(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key) as received:
        await received.until(":\n\n")

        await happens(app.url, key, 2)
        await received.until("event: next", 2)

    response = received.response
    assert response.headers["content-type"] == "text/event-stream"
    assert "\r" not in received.text
    first, second = received.events()
    assert first[0] == first[1]["data"]["events"]["cursor"]
    assert second[0] == second[1]["data"]["events"]["cursor"]
    assert first[0] != second[0]


async def test_who_comes_back_with_the_last_id_is_told_what_came_after_it(app: RunningApp, key: str) -> None:
    """As a browser does by itself; it counts more than the cursor with which the subscription once began."""
    async with streamed(app.url, key) as received:
        await received.until(":\n\n")
        await happens(app.url, key, 3)
        await received.until("event: next", 3)
    first, second, third = received.events()

    begun = {"after": first[0]}
    async with streamed(app.url, key, variables=begun, last_event_id=str(second[0])) as received:
        await received.until("event: next")
        await happens(app.url, key)
        await received.until("event: next", 2)

    (id_, _), _ = received.events()
    assert id_ == third[0]


@pytest.mark.parametrize(
    ("last_event_id", "told"),
    [("made-up", "not an event cursor"), ("00000000000000000000000000.1", "not one of this workspace's")],
)
async def test_a_wrong_id_is_an_error_never_silence(app: RunningApp, key: str, last_event_id: str, told: str) -> None:
    async with streamed(app.url, key, last_event_id=last_event_id) as received:
        await received.to_its_end()

    ((id_, result),) = received.events()
    assert id_ is None
    assert told in result["errors"][0]["message"]
    assert received.text.endswith(ENDED)


async def test_an_empty_id_is_none(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key, last_event_id="") as received:
        await received.until(":\n\n")
        await happens(app.url, key)
        await received.until("event: next")

    assert len(received.events()) == 1


@pytest.mark.parametrize(
    ("query", "variables", "told"),
    [
        ("subscription { nonsense }", None, "Cannot query field"),
        ("subscription {", None, "Syntax Error"),
        (EVENTS, {"after": 1}, "has invalid value"),
        (EVENTS, {"after": "made up"}, "not an event cursor"),
    ],
)
async def test_what_is_wrong_with_a_subscription_is_told_in_the_stream(
    app: RunningApp, key: str, query: str, variables: Any, told: str
) -> None:
    """A browser's EventSource shows nobody the body of a refusal."""
    async with streamed(app.url, key, query=query, variables=variables) as received:
        await received.to_its_end()

    assert received.response.status_code == 200
    ((_, result),) = received.events()
    assert told in result["errors"][0]["message"]
    assert result.get("data") is None
    assert received.text.endswith(ENDED)


async def test_a_query_is_a_stream_of_one(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key, query="{ __typename }") as received:
        await received.to_its_end()

    ((id_, answer),) = received.events()
    assert (id_, answer["data"]) == (None, {"__typename": "Query"})
    assert received.text.endswith(ENDED)


async def test_a_mutation_by_get_is_refused_in_a_stream_too(app: RunningApp, key: str) -> None:
    query = 'mutation { createCustomer(input: {name: "By GET", email: "a@example.com"}) { __typename } }'
    async with httpx.AsyncClient(base_url=app.url, timeout=30, **LOCAL) as http:
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        answer = await http.get("/graphql", params={"query": query}, headers=headers)
        asked = {"query": '{ customers(search: "By GET") { totalCount } }'}
        count = await http.post("/graphql", json=asked, headers={"Authorization": f"Bearer {key}"})

    assert '"errors"' in answer.text
    assert count.json()["data"] == {"customers": {"totalCount": 0}}


# --- Multipart -----------------------------------------------------------------------------------------------------


async def test_apollo_is_sent_parts(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key, APOLLO) as received:
        await received.until("--graphql")
        await happens(app.url, key)
        await received.until('"payload"')

    assert received.response.headers["content-type"].startswith("multipart/mixed; boundary=graphql")
    _, part, rest = received.text.split("\r\n--graphql")
    head, _, body = part.partition("\r\n\r\n")
    assert head.strip() == "Content-Type: application/json; charset=utf-8"
    assert json.loads(body)["payload"]["data"]["events"]["type"] == "CUSTOMER_CREATED"
    assert rest == ""


async def test_the_last_part_says_that_it_is(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key, APOLLO, "subscription { nonsense }") as received:
        await received.to_its_end()

    assert '"errors"' in received.text
    assert received.text.endswith("\r\n--graphql--\r\n")


async def test_a_query_of_a_client_that_takes_parts_is_answered_in_json(app: RunningApp, key: str) -> None:
    async with streamed(app.url, key, APOLLO, "{ __typename }") as received:
        await received.to_its_end()

    assert json.loads(received.text)["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", EVENT_STREAM),
        ("text/event-stream, multipart/mixed", EVENT_STREAM),
        ("text/event-stream;q=0.9, application/json", EVENT_STREAM),
        (APOLLO, MULTIPART),
        ('multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/json', MULTIPART),
        ("multipart/mixed;subscriptionSpec=1.0", MULTIPART),
        ("multipart/mixed;boundary=other;subscriptionSpec=1.0", None),
        ("multipart/mixed", None),
        ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", None),
        ("application/json", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_streams_are_for_those_who_name_them_first(accept: str, expected: Framing | None) -> None:
    """urql names all that it can read with every query."""
    assert framing_of(accept) is expected


# --- How it ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/event-stream", APOLLO], ids=["sse", "multipart"])
async def test_a_stop_breaks_streams_off_so_that_clients_come_back(migrated_sqlite_url: str, accept: str) -> None:
    """It does not tell them that the subscription is over, and loses nothing: the next server goes on after the id."""
    with running_app(migrated_sqlite_url) as app:
        key = app.workspace().api_key
        async with streamed(app.url, key, accept) as received:
            await received.until("\n\n" if accept == "text/event-stream" else "--graphql")
            await happens(app.url, key)
            await received.until("CUSTOMER_CREATED")
            stopping = asyncio.create_task(asyncio.to_thread(app.stop))
            text = await received.to_its_end()
            await stopping

    assert "complete" not in text
    assert not text.endswith("--\r\n")


async def test_a_revoked_key_is_told_and_ends_the_stream(app: RunningApp, key: str) -> None:
    made = app.cli("key", "create", "--name", "short-lived")["apiKey"]
    async with GraphQLClient(app.url, key) as client, streamed(app.url, made) as received:
        await received.until(":\n\n")
        (key_id,) = [
            node["id"]
            for node in (await client.query("{ apiKeys { nodes { id name } } }"))["apiKeys"]["nodes"]
            if node["name"] == "short-lived"
        ]
        await client.mutate("mutation ($id: ID!) { revokeApiKey(id: $id) { __typename } }", id=key_id)
        await received.to_its_end()

    *_, (_, last) = received.events()
    assert last["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert received.text.endswith(ENDED)


async def test_who_revokes_its_own_key_in_a_stream_is_answered(app: RunningApp, key: str) -> None:
    made = app.cli("key", "create", "--name", "self-revoking")
    variables = {"id": made["key"]["id"]}

    async with streamed(app.url, made["apiKey"], query=REVOKE_API_KEY, variables=variables) as received:
        await received.to_its_end()

    ((_, answer),) = received.events()
    assert answer["data"]["revokeApiKey"]["__typename"] == "RevokeApiKeySuccess"


class Peer:
    """An ASGI server's side: what it was sent, and a client that reads nothing when `reads` is not set."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.hung_up = asyncio.Event()
        self._sent = asyncio.Event()

    async def receive(self) -> Message:
        """The client's next message."""
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message for the client."""
        await self.reads.wait()
        if message["type"] == "http.response.body":
            self.bodies.append(message["body"])
            self._sent.set()

    async def has(self, body: bytes, count: int) -> None:
        """Wait until it was sent something so many times."""
        async with asyncio.timeout(10):
            while self.bodies.count(body) < count:
                self._sent.clear()
                await self._sent.wait()


async def nothing() -> AsyncIterator[Shown]:
    """Results that never come."""
    await asyncio.Event().wait()
    yield Shown(0, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("framing", [EVENT_STREAM, MULTIPART], ids=["sse", "multipart"])
async def test_while_nothing_happens_the_stream_is_kept_alive(reader: Caller, framing: Framing) -> None:
    peer, operation = Peer(), await reader.operation()
    stream = Stream(framing, nothing(), operation, KeyWatch(), keep_alive_s=0.01)  # type: ignore[arg-type]

    answering = asyncio.create_task(stream({"type": "http"}, peer.receive, peer.send))
    await peer.has(framing.keep_alive, 3)
    peer.hung_up.set()
    await answering

    assert framing.end not in peer.bodies


async def test_a_client_that_hangs_up_ends_what_was_executed_for_it(reader: Caller, services: Services) -> None:
    peer, fanout, keys, operation = Peer(), Fanout(), KeyWatch(), await reader.operation()
    results = fanout.results(Asked("subscription { events { type } }"), operation)

    answering = asyncio.create_task(Stream(EVENT_STREAM, results, operation, keys)({}, peer.receive, peer.send))
    await peer.has(EVENT_STREAM.begin, 1)
    peer.hung_up.set()
    await answering

    assert (fanout.group_count, services.feed.follower_count) == (0, 0)


async def test_a_key_that_was_revoked_while_the_stream_began_is_told_so(
    reader: Caller, services: Services, callers_workspace: Workspace
) -> None:
    """Between its look-up and the first event nobody would call it back."""
    peer, fanout, operation = Peer(), Fanout(), await reader.operation()
    await revoke_key(operation.caller.api_key.id)

    results = fanout.results(Asked(EVENTS, {"after": encode_cursor(callers_workspace.id, 0)}), operation)
    async with asyncio.timeout(10):
        await Stream(EVENT_STREAM, results, operation, KeyWatch())({}, peer.receive, peer.send)

    told = b"".join(peer.bodies)
    assert b"UNAUTHENTICATED" in told
    assert b"API_KEY_REVOKED" not in told


async def test_an_exception_is_told_as_an_error_and_masked(reader: Caller) -> None:
    async def failing() -> AsyncIterator[Shown]:
        raise UnavailableError("secret detail")
        yield

    peer, operation = Peer(), await reader.operation()

    await Stream(EVENT_STREAM, failing(), operation, KeyWatch())({}, peer.receive, peer.send)  # type: ignore[arg-type]

    told = b"".join(peer.bodies)
    assert b"UNAVAILABLE" in told
    assert b"secret detail" not in told
    assert told.endswith(EVENT_STREAM.end)
