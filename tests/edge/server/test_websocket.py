"""A socket whose client is gone is closed, though its TCP connection stays open."""

import asyncio
import base64
import json
import os
import socket
from contextlib import suppress
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.edge.graphql.peer import (
    EVENTS,
    PROTOCOL,
    WITHIN_S,
    Peer,
)
from tests.simulator.serving import eventually
from tests.world.app import running_app
from tests.world.local import LOCAL

PINGING: Final = ("-m", "tests.edge.server.pinging")
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
