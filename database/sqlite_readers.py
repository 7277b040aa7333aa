"""Reads a SQLite file: short statements in the event loop, long ones by threads, so that nobody waits for a long one.

To hand a statement to a thread and back costs more than most statements, so each is first run in the event loop; one
that turns out to be long is stopped and left to a thread. Each thread has a connection of its own, and SQLite releases
Python's lock while it reads. A statement of a thread is interrupted if it takes too long, or if its caller was
cancelled.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient

from database.sqlite_file import connect

CONNECTIONS: Final = 4
_INTERRUPTED_EVERY_S: Final = 0.005

STEP: Final = 1_000
"""After how many instructions of SQLite the length of a statement is checked, again and again."""

SHORT: Final = 30
"""How many steps a short statement takes at most: about a millisecond."""

SHORT_S: Final = 0.05
"""How long a short statement takes at most, even on a slow disk or a busy machine."""

TURN_S: Final = 0.002
"""How long short statements follow one another before others get a turn of the event loop."""

_UNCOUNTED: Final = (" MATCH ", " LIKE ", "payload")
"""What may take long in few instructions: searching texts, and reading large ones."""


class SqliteReaders(SqliteClient):
    """Tortoise's client of a SQLite file, with several connections, which are opened when first needed."""

    def __init__(self, file_path: str, *, reading_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(file_path, **kwargs)
        self._reading_timeout_s = reading_timeout_s
        self._at_once: sqlite3.Connection | None = None
        self._steps = 0
        self._ends_at = 0.0
        self._turn_began: float | None = None
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[aiosqlite.Connection] = []
        self._reclaiming: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.opened: list[aiosqlite.Connection] = []
        """All connections that are open."""

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  (Tortoise's)
        """Open the first connections, which fails at once if the file has a problem."""
        self._is_closed = False
        if not self.opened:
            self._idle.append(await self._open())
            self._at_once = self._connected()

    async def close(self) -> None:
        """Close all connections: running statements are interrupted, and waiting ones refused."""
        self._is_closed = True
        if self._at_once is not None:
            self._at_once.close()
            self._at_once = None
        opened, self.opened, self._idle = self.opened, [], []
        for connection in opened:
            await connection.interrupt()
            await connection.close()
        await asyncio.gather(*self._reclaiming)
        self._connection = None

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, Sequence[Any]]:
        """Run a statement; return the number of its rows, and the rows."""
        rows = self.read_at_once(query, values)
        if rows is None:
            found: tuple[int, Sequence[Any]] = await super().execute_query(query, values)
            return found
        await self._take_turns()
        return len(rows), rows

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """Run a statement; return its rows as dicts."""
        rows = self.read_at_once(query, values)
        if rows is None:
            dicts: list[dict[str, Any]] = await super().execute_query_dict(query, values)
            return dicts
        await self._take_turns()
        return list(map(dict, rows))

    def read_at_once(self, query: str, values: list[Any] | None) -> list[Any] | None:
        """Run a statement that is short; return None if it isn't, or fails: a thread says why."""
        if self._at_once is None or any(word in query for word in _UNCOUNTED):
            return None
        self._steps, self._ends_at = 0, time.perf_counter() + SHORT_S
        try:
            rows = self._at_once.execute(query, values or ()).fetchall()
        except (sqlite3.Error, ValueError, OverflowError):
            return None
        self.log.debug("%s: %s", query, values)
        return rows

    def _connected(self) -> sqlite3.Connection:
        """Connect for short statements. They don't wait for locks, since the event loop would wait with them."""
        connection = sqlite3.connect(self.filename, isolation_level=None, cached_statements=256)
        connection.row_factory = sqlite3.Row
        for pragma, value in self.pragmas.items():
            connection.execute(f"PRAGMA {pragma}={value}").fetchall()
        connection.execute("PRAGMA busy_timeout=0").fetchall()
        connection.set_progress_handler(self._is_long, STEP)
        return connection

    def _is_long(self) -> bool:
        self._steps += 1
        return self._steps > SHORT or time.perf_counter() > self._ends_at

    async def _take_turns(self) -> None:
        """Let others run if short statements, which never wait, have filled this turn of the event loop."""
        if self._turn_began is not None and time.perf_counter() - self._turn_began > TURN_S:
            await asyncio.sleep(0)
        if self._turn_began is None:
            self._turn_began = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn_began = None

    def acquire_connection(self) -> Any:
        """Return a context that holds a connection for one statement: the last used one, whose cache is fullest."""
        return _Turn(self)

    async def take(self) -> aiosqlite.Connection:
        """Take a connection for exclusive use until it is given back."""
        await self._turns.acquire()
        try:
            self._refuse_when_closed()
            return self._idle.pop() if self._idle else await self._open()
        except BaseException:
            self._turns.release()
            raise

    def give_back(self, connection: aiosqlite.Connection) -> None:
        """Give a connection back."""
        if connection in self.opened:
            self._idle.append(connection)
        self._turns.release()

    def reclaim(self, connection: aiosqlite.Connection) -> None:
        """Give a connection back once its abandoned statement has ended."""
        task = asyncio.ensure_future(self._interrupt_until_free(connection))
        self._reclaiming.add(task)
        task.add_done_callback(self._reclaiming.discard)

    async def _interrupt_until_free(self, connection: aiosqlite.Connection) -> None:
        """Interrupt until the statement has ended: an interruption misses a statement that has not begun yet."""
        through = asyncio.ensure_future(connection.execute_fetchall("SELECT 1"))
        while not through.done():
            connection._conn.interrupt()
            await asyncio.wait({through}, timeout=_INTERRUPTED_EVERY_S)
        through.exception()  # it may have been interrupted itself, or the connection closed
        self.give_back(connection)

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise OSError("the database was closed")

    async def _open(self) -> aiosqlite.Connection:
        """Open another connection, and add it to the others once it works."""
        connection = await connect(self.filename, self.pragmas)
        if self._is_closed:
            await connection.close()
            self._refuse_when_closed()
        self.opened.append(connection)
        self._connection = self.opened[0]
        return connection


class _Turn:
    """One statement's use of a connection."""

    def __init__(self, readers: SqliteReaders) -> None:
        self._readers = readers
        self._connection: aiosqlite.Connection | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> aiosqlite.Connection:
        connection = self._connection = await self._readers.take()
        timeout = self._readers._reading_timeout_s
        self._timer = asyncio.get_running_loop().call_later(timeout, connection._conn.interrupt)
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._connection is not None  # noqa: S101  (it was entered)
        assert self._timer is not None  # noqa: S101
        self._timer.cancel()
        if isinstance(error, asyncio.CancelledError):
            self._readers.reclaim(self._connection)
        else:
            self._readers.give_back(self._connection)


client_class = SqliteReaders
