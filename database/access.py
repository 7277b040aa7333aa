"""Opens the database, reads it, and writes to it in transactions.

Reads go through Tortoise's "default" connection, which can't write. Every write goes through `transaction()` or
`in_transaction()`. Both hold a connection of their own, begin with a write lock on SQLite, and can't be interrupted
halfway by a cancelled task: a deferred begin fails at once with "database is locked", and a task cancelled while it
takes or gives back a connection would lose it for good.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.backends.sqlite.client import SqliteTransactionWrapper as SqliteTransaction
from tortoise.connection import get_connection, get_connections
from tortoise.context import TortoiseContext, set_global_context
from tortoise.exceptions import OperationalError

from database import sqlite_file
from database.dialect import PROBE, READER, WRITER, Dialect, configuration, dialect_of, reporting, sqlite_path
from database.errors import CONFLICTS, UNAVAILABLE_ERRORS, is_unavailable
from database.postgres_connections import PostgresConnections
from database.transaction import OnPostgres, OnSqlite, Row, Transaction, to_sqlite
from errors import ConfigurationError, UnavailableError

_CONFLICTING_TRIES: Final = 5

T = TypeVar("T")


class Database:
    """An open database: `async with Database(url): ...` makes the models usable in this process."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self._pool_size = pool_size
        self._context = TortoiseContext()

    async def __aenter__(self) -> "Database":
        config = configuration(self.url, self._pool_size)
        if self.dialect == "sqlite":
            path = sqlite_path(self.url)
            if not path.is_file():
                raise ConfigurationError(f'There is no database at {path.absolute()}: run "fluxrate migrate" first.')
        set_global_context(self._context)
        EXECUTOR_CACHE.clear()  # its keys are aliases, so it may hold another database's SQL
        try:
            with reporting(self.url, "reached"):
                await self._context.init(config=config, use_tz=True, timezone="UTC")
                for alias in (READER, WRITER, PROBE):
                    await self._context.connections.get(alias).create_connection(with_db=True)
        except BaseException:
            await self._context.close_connections()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._context.close_connections()


# --- Reading and writing ---------------------------------------------------------------------------------------


async def retrying(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work`, which opens a transaction; repeat it after a conflict with another writer, up to five times."""
    for _ in range(_CONFLICTING_TRIES - 1):
        with contextlib.suppress(*CONFLICTS):
            return await work()
    return await work()


@contextlib.asynccontextmanager
async def transaction() -> AsyncIterator[Transaction]:
    """Open the transaction that every write goes through: commit when the block ends, roll back if it raises.

    Models used inside read and write through it. If the task is cancelled inside, it rolls back; if it is cancelled
    during the commit, it raises after the commit. Transactions can't be nested: the inner one would wait for the outer.

    Raises:
        UnavailableError: The database is unavailable right now.
    """
    write = _writer()
    await _unless_unavailable(_uninterrupted(write.open(), undo=write.close))
    token = get_connections().set(READER, write.client)
    try:
        try:
            yield Transaction(write.client, write.dialect)
        except BaseException as error:
            await _uninterrupted(write.rollback(error))
            if is_unavailable(error):
                raise UnavailableError(_UNAVAILABLE) from error
            raise
        await _unless_unavailable(_uninterrupted(write.commit()))
    finally:
        get_connections().reset(token)


async def in_transaction(work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
    """Run `work` in a transaction of its own and return its result: commit after it, roll back if it raises.

    `work` waits for nothing but its transaction, and uses no models. If the task is cancelled meanwhile, it raises
    after the commit. On SQLite all of it, with the beginning and the commit, runs in the connection's thread in one go:
    to hand a statement to the thread and back costs more than most statements. On PostgreSQL, writes are gathered.

    Raises:
        UnavailableError: The database is unavailable right now.
    """
    return await _unless_unavailable(_uninterrupted(_run(work)))


async def _run(work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
    """Run a whole transaction. It has a task of its own, which knows that it is inside."""
    write = _writer()
    get_connections().set(READER, write.client)
    return await write.run(work)


def _writer() -> OnPostgres | OnSqlite:
    if isinstance(get_connection(READER), SqliteTransaction | PostgresTransaction):
        raise RuntimeError("this task is in a write transaction already")
    writer = get_connection(WRITER)
    return OnPostgres(writer) if isinstance(writer, PostgresConnections) else OnSqlite(writer)


_UNAVAILABLE: Final = "The database is unavailable right now and nothing was changed: try again in a moment."


async def _unless_unavailable(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except Exception as error:
        if is_unavailable(error):
            raise UnavailableError(_UNAVAILABLE) from error
        raise


async def _uninterrupted(work: Coroutine[Any, Any, T], undo: Any = None) -> T:
    """Run `work` to its end even if this task is cancelled meanwhile, then raise the cancellation.

    In that case `undo` undoes the result.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if task.exception() is None and undo is not None:
        await _uninterrupted(undo())
    raise cancelled


def reading_dialect() -> Dialect:
    """Return which database is open: postgres or sqlite."""
    return "postgres" if isinstance(get_connection(READER), AsyncpgDBClient) else "sqlite"


async def fetch(sql: str, *values: object) -> Sequence[Row]:
    """Run a reading statement with `$1` parameters and return its rows."""
    reader = get_connection(READER)
    statement = sql if isinstance(reader, AsyncpgDBClient) else to_sqlite(sql)
    return await reader.execute_query_dict(statement, list(values))


async def fetch_rows(sql: str, *values: object) -> Sequence[Any]:
    """Like `fetch`, but with the driver's own rows: tuples with their columns' names in `keys()`."""
    reader = get_connection(READER)
    statement = sql if isinstance(reader, AsyncpgDBClient) else to_sqlite(sql)
    return (await reader.execute_query(statement, list(values)))[1]


async def optimize() -> None:
    """Update SQLite's statistics, by which it plans, from a sample of each table."""
    if reading_dialect() == "sqlite":
        async with transaction() as tx:
            await tx.execute("PRAGMA analysis_limit = 400")
            await tx.execute("PRAGMA optimize")


async def unwritable_because() -> str | None:
    """Find out, without writing, why the database can't be written now; None if nothing speaks against it.

    It finds a full disk only for SQLite; PostgreSQL reports one when it is written.

    Raises:
        Exception: The database can't be reached, or lacks our tables.
    """
    with contextlib.suppress(*UNAVAILABLE_ERRORS, OperationalError):
        if await _unwritable_because() is None:
            return None
    return await _unwritable_because()  # in a new session: an older one may have ended, or stay read-only


async def _unwritable_because() -> str | None:
    probe = get_connection(PROBE)
    await probe.execute_query("SELECT seq FROM workspaces LIMIT 1")
    if isinstance(probe, SqliteClient):
        return sqlite_file.unwritable_because(Path(probe.filename))
    assert isinstance(probe, AsyncpgDBClient)  # noqa: S101  (there are two kinds)
    async with probe.acquire_connection() as connection:
        if await connection.fetchval("SHOW transaction_read_only") == "off":
            return None
        connection.terminate()  # this session stays read-only, even when the database no longer is
    return "The database can't be written: it is read-only, or a standby."
