"""A client of a real socket, message by message."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from edge.graphql.socket import CLOSE_CODES
from tests.world.app import RunningApp

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
