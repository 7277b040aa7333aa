"""Sends other processes the number of a log's newest line. Carries no data, so a lost message loses nothing.

A single process needs no bus: it wakes its own followers directly.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from broadcaster import Broadcast

from periodic import is_stopped

log = structlog.get_logger(__name__)

CHANNEL: Final = "fluxrate:log"
RESYNC: Final = "*"
"""The message that means that any number of messages may be lost."""

_PUBLISH_TIMEOUT_S: Final = 1.0


class Bus:
    """Sends every process the number of the newest line of a workspace's log: `on_wake(workspace_id, number)`.

    `on_loss` is called when messages may have been lost.
    """

    def __init__(self, url: str, on_wake: Callable[[str, int], None], on_loss: Callable[[], None]) -> None:
        self._broadcast = _broadcast(url)
        self._on_wake, self._on_loss = on_wake, on_loss
        self._pending: dict[str, int] = {}
        self._something = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Bus":
        await self._broadcast.connect()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._publish())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._broadcast.disconnect()

    def wake(self, newest: Mapping[str, int]) -> None:
        """Wake the other processes soon, without waiting and without raising."""
        for workspace_id, number in newest.items():
            self._pending[workspace_id] = max(number, self._pending.get(workspace_id, 0))
        if newest:
            self._something.set()

    async def _publish(self) -> None:
        while not is_stopped():
            await self._something.wait()
            self._something.clear()
            pending, self._pending = self._pending, {}
            for workspace_id, number in pending.items():
                try:
                    message = f"{workspace_id} {number}"
                    async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
                        await self._broadcast.publish(CHANNEL, message)
                except Exception as error:
                    log.warning("redis unreachable, subscribers are served by polling", error=repr(error))

    async def _listen(self) -> None:
        async with self._broadcast.subscribe(CHANNEL) as subscriber:
            while True:
                message = await subscriber.get()
                if message.message == RESYNC:
                    self._on_loss()
                    continue
                workspace_id, _, number = message.message.partition(" ")
                if number.isdecimal():
                    self._on_wake(workspace_id, int(number))


def is_shared(url: str) -> bool:
    """Whether messages of this URL reach other processes."""
    return not url.startswith("memory://")


def _broadcast(url: str) -> Broadcast:
    from feed.redis import RedisBackend  # redis-py is slow to load, and most installations have no Redis

    return Broadcast(backend=RedisBackend(url, RESYNC))
