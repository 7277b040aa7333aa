"""A broadcaster backend for Redis that reconnects, subscribes again, and reports that messages may be lost.

broadcaster's own keeps listening on a dead connection after Redis restarted.
"""

import asyncio
from typing import Any, Final

import structlog
from broadcaster import BroadcastBackend, Event
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from periodic import is_stopped

log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 1.0
_HEARTBEAT_S: Final = 5.0
_SLOWEST_RECONNECT_S: Final = 2.0
_MAX_BUFFERED: Final = 10_000


class RedisBackend(BroadcastBackend):
    """Redis pub/sub under supervision. After each reconnection every channel gets the message `resync`."""

    def __init__(self, url: str, resync: str) -> None:
        self._resync = resync
        self._redis: Redis = Redis.from_url(
            url, decode_responses=True, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S
        )
        self._channels: set[str] = set()
        self._messages: asyncio.Queue[Event] = asyncio.Queue(_MAX_BUFFERED)
        self._connection: PubSub | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Start listening; Redis may still be unavailable."""
        self._supervisor = asyncio.create_task(self._supervise())

    async def disconnect(self) -> None:
        """Stop listening."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._redis.aclose()

    async def subscribe(self, group: str) -> None:
        """Listen to a channel, now and after every reconnection."""
        self._channels.add(group)
        if self._connection is not None:
            await self._connection.subscribe(group)

    async def unsubscribe(self, group: str) -> None:
        """Stop listening to a channel."""
        self._channels.discard(group)

    async def publish(self, channel: str, message: Any) -> None:
        """Send a message to the listeners in every process."""
        await self._redis.publish(channel, message)

    async def next_published(self) -> Event:
        """Wait for the next message of any channel."""
        return await self._messages.get()

    async def _supervise(self) -> None:
        pause = 0.05
        while not is_stopped():
            try:
                async with self._redis.pubsub() as connection:
                    await connection.subscribe(self._resync)  # it connects only if it has a channel to listen to
                    while missed := self._channels.difference(connection.channels):  # channels may be added meanwhile
                        await connection.subscribe(*missed)
                    self._connection = connection
                    self._lost_some()
                    pause = 0.05
                    await self._follow(connection)
            except Exception as error:
                log.warning(
                    "redis unreachable, trying again: check FLUXRATE_BROADCAST_URL if it lasts",
                    error=repr(error),
                    pause_s=pause,
                )
            finally:
                self._connection = None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST_RECONNECT_S)

    async def _follow(self, connection: PubSub) -> None:
        while not is_stopped():
            message = await connection.get_message(timeout=_HEARTBEAT_S)
            if message is None:
                async with asyncio.timeout(_TIMEOUT_S):  # a frozen Redis keeps the connection and says nothing
                    await self._redis.time()
            elif message["type"] == "message":
                self._enqueue(Event(message["channel"], message["data"]))

    def _enqueue(self, event: Event) -> None:
        if self._messages.full():
            self._lost_some()
        else:
            self._messages.put_nowait(event)

    def _lost_some(self) -> None:
        while not self._messages.empty():
            self._messages.get_nowait()
        for channel in self._channels:
            self._messages.put_nowait(Event(channel, self._resync))
