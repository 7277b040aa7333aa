"""Connections to PostgreSQL that are kept between statements and between transactions.

To release one to asyncpg's pool and acquire it again costs as much as a statement. So a connection is released only if
another task waits for one, after an error, and every few seconds, so that the pool can close old and unused ones.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Final

from asyncpg import InterfaceError
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from database.errors import UNAVAILABLE_ERRORS

KEPT_S: Final = 10.0
"""How long connections are kept."""


class PostgresConnections(AsyncpgDBClient):
    """Tortoise's client of PostgreSQL."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_hand: list[Any] = []
        self._waiting = 0
        self._is_closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._released: set[asyncio.Task[None]] = set()

    async def create_connection(self, with_db: bool) -> None:
        """Open the pool."""
        self._is_closing = False
        await super().create_connection(with_db)

    def acquire_connection(self) -> Any:
        """Return a context that holds a connection for one statement."""
        return _Turn(self)

    async def take(self, timeout_s: float | None = None) -> Any:
        """Take a connection for exclusive use until it is kept or released.

        Raises:
            TimeoutError: None became free in time.
        """
        while self._at_hand:
            connection = self._at_hand.pop()
            with contextlib.suppress(InterfaceError):  # the pool has taken back a lost one
                if not connection.is_closed():
                    return connection
        if self._pool is None:
            raise ConnectionError("the pool is closed")
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=timeout_s)
        finally:
            self._waiting -= 1

    async def keep(self, connection: Any) -> None:
        """Keep a connection for the next one who takes it, or release it if another task waits for one."""
        if self._waiting or self._is_closing:
            await self.release(connection)
            return
        self._at_hand.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEPT_S, self._release_all)

    async def release(self, connection: Any) -> None:
        """Release a connection to the pool, which closes it if it is lost."""
        if self._pool is not None:
            with contextlib.suppress(*UNAVAILABLE_ERRORS):  # what used the connection has ended, or has its own error
                await self._pool.release(connection)

    async def release_all(self) -> None:
        """Release all kept connections to the pool."""
        self._release_all()
        await asyncio.gather(*self._released)

    def _release_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_hand, self._at_hand = self._at_hand, []
        for connection in at_hand:
            task = asyncio.ensure_future(self.release(connection))
            self._released.add(task)
            task.add_done_callback(self._released.discard)

    async def _close(self) -> None:
        self._is_closing = True
        await self.release_all()
        await super()._close()


class _Turn:
    """One statement's use of a connection."""

    __slots__ = ("_connection", "_connections")

    def __init__(self, connections: PostgresConnections) -> None:
        self._connections = connections
        self._connection: Any = None

    async def __aenter__(self) -> Any:
        self._connection = await self._connections.take()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self._connections.keep(self._connection)
        else:
            await self._connections.release(self._connection)


client_class = PostgresConnections
