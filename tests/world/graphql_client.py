"""What a frontend does: queries over HTTP, subscriptions over graphql-transport-ws."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.world.local import LOCAL


class GraphQLClient:
    """A caller with an API key. `async with` closes its connections."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=30, **LOCAL
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """The whole answer: data and errors."""
        response = await self._http.post("/graphql", json={"query": document, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer

    async def query(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer that must hold no errors."""
        answer = await self.execute(document, **variables)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    async def mutate(self, document: str, **variables: Any) -> dict[str, Any]:
        """The result of a document's only mutation."""
        (result,) = (await self.query(document, **variables)).values()
        found: dict[str, Any] = result
        return found

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        """An acknowledged connection for subscriptions."""
        url = self.url.replace("http://", "ws://") + "/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as connection:  # type: ignore[list-item]
            await connection.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {self.api_key}"}})
            )
            assert json.loads(await connection.recv())["type"] == "connection_ack"
            yield Socket(connection)

    @contextlib.asynccontextmanager
    async def subscribe(self, document: str, **variables: Any) -> AsyncIterator["Subscription"]:
        """A subscription on a connection of its own."""
        async with self.socket() as socket:
            yield await socket.subscribe(document, **variables)


class Socket:
    """A graphql-transport-ws connection; its messages are read by whoever waits for one."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)

    async def send(self, message: object) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def receive(self, within_s: float = 10) -> dict[str, Any]:
        """The next message, pings answered."""
        async with asyncio.timeout(within_s):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                if message["type"] != "ping":
                    return message
                await self.send({"type": "pong"})

    async def subscribe(self, document: str, **variables: Any) -> "Subscription":
        """Start an operation."""
        operation_id = str(next(self._ids))
        payload = {"query": document, "variables": variables}
        await self.send({"id": operation_id, "type": "subscribe", "payload": payload})
        return Subscription(self, operation_id)


class Subscription:
    """A running operation."""

    def __init__(self, socket: Socket, operation_id: str) -> None:
        self.socket = socket
        self.operation_id = operation_id

    async def next(self, within_s: float = 10) -> dict[str, Any]:
        """The next event: the value of the subscription's only field."""
        message = await self.socket.receive(within_s)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (event,) = message["payload"]["data"].values()
        found: dict[str, Any] = event
        return found

    async def silence(self, for_s: float = 1.5) -> bool:
        """Whether nothing comes for a while: longer than the server's poll takes."""
        try:
            message = await self.socket.receive(for_s)
        except TimeoutError:
            return True
        raise AssertionError(message)
