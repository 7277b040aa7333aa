"""Somebody who follows a workspace's log over a WebSocket, and comes back with the last cursor when cut off."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from feed.cursor import encode_cursor
from tests.world.graphql_client import GraphQLClient

EVENTS: Final = "subscription ($after: String!) { events(after: $after) { type cursor invoice { id status } } }"
PATIENCE_S: Final = 20.0
_WHOLE_TEST_S: Final = 600.0
_PAUSE_S: Final = 0.1


class Follower:
    """A dashboard. `numbers` are those of the lines it was shown, in order."""

    def __init__(self, workspace_id: str, api_key: str) -> None:
        self._api_key = api_key
        self._cursor = encode_cursor(workspace_id, 0)
        self._shown = asyncio.Event()
        self.numbers: list[int] = []

    @contextlib.asynccontextmanager
    async def following(self, url: str) -> AsyncIterator[None]:
        """Follow, from where it was cut off, as long as the block and the server last."""
        task = asyncio.create_task(self._follow(url))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def reach(self, number: int) -> None:
        """Wait until a line has been shown."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.numbers or self.numbers[-1] < number:
                self._shown.clear()
                await self._shown.wait()

    async def _follow(self, url: str) -> None:
        while True:
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError):
                await self._follow_until_cut_off(url)
            await asyncio.sleep(_PAUSE_S)

    async def _follow_until_cut_off(self, url: str) -> None:
        async with (
            GraphQLClient(url, self._api_key) as client,
            client.subscribe(EVENTS, after=self._cursor) as subscription,
        ):
            while (message := await subscription.socket.receive(_WHOLE_TEST_S))["type"] == "next":
                assert "errors" not in message["payload"], message
                event = message["payload"]["data"]["events"]
                self._cursor = event["cursor"]
                self.numbers.append(int(self._cursor.rpartition(".")[2]))
                self._shown.set()
            assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE", message
