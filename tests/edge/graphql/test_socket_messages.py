"""Messages that don't follow graphql-transport-ws close a real socket, with a code and a reason."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed

from tests.edge.graphql.peer import (
    TYPENAME,
    Json,
    acknowledged,
    opened,
)
from tests.world.app import RunningApp

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
