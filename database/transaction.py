"""An open write transaction, and how each database opens, commits and rolls back one."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from asyncpg import InterfaceError
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.backends.sqlite.client import SqliteTransactionWrapper as SqliteTransaction

from database.dialect import Dialect
from database.errors import UNAVAILABLE_ERRORS, is_session_lost
from database.postgres_connections import PostgresConnections
from database.together import AFTER, PARAMETER, Statement, after, each_of, together

ACQUIRE_TIMEOUT_S: Final = 2.0
"""How long a write waits for its turn before it is refused as unavailable."""

T = TypeVar("T")

Row = Mapping[str, Any]


class Query(NamedTuple):
    """A reading statement: the columns that it selects, and what follows them, with `$1` parameters."""

    columns: tuple[str, ...]
    rest: str
    values: Sequence[object]

    @property
    def sql(self) -> str:
        """Return the statement."""
        return f"SELECT {', '.join(self.columns)} {self.rest}"


class Transaction:
    """An open write transaction. Its SQL has `$1` parameters and uses only what both databases know.

    `at_once` is SQLite's own connection, in whose thread the transaction runs. `gathers` says whether `write` may put
    statements off.
    """

    def __init__(
        self,
        client: SqliteTransaction | PostgresTransaction,
        dialect: Dialect,
        *,
        at_once: sqlite3.Connection | None = None,
        gathers: bool = False,
    ) -> None:
        self._client = client
        self._at_once = at_once
        self._gathers = gathers
        self._put_off: dict[str, Statement] = {}
        self.dialect: Final = dialect

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """Run a statement and return its rows."""
        if self._put_off:
            await self.finish()
        if self.dialect == "postgres":
            return await self._client._connection.fetch(sql, *values)  # type: ignore[no-any-return, union-attr]
        if self._at_once is not None:
            return self._at_once.execute(to_sqlite(sql), values).fetchall()
        return await self._client._connection.execute_fetchall(to_sqlite(sql), values)  # type: ignore[return-value]

    async def fetch_each(self, *queries: Query) -> Sequence[Sequence[Row]]:
        """Run queries in the order given and return the rows of each. They go to PostgreSQL as one.

        There, all of them see the rows as they were before the first, except the rows that they lock. So none may read
        what must be read after another has locked its rows. Name no column twice in one of them.
        """
        if self.dialect != "postgres":
            return [await self.fetch(query.sql, *query.values) for query in queries]
        sql, values = each_of([(query.columns, query.rest) for query in queries], [query.values for query in queries])
        (found,) = await self.fetch(sql, *values)
        return [
            [dict(zip(query.columns, row, strict=True)) for row in rows]
            for query, rows in zip(queries, found.values(), strict=True)
        ]

    async def execute(self, sql: str, *values: object) -> None:
        """Run a statement that returns no rows."""
        await self.fetch(sql, *values)

    async def write(self, table: str, sql: str, *values: object) -> None:
        """Run a statement that writes a table, or put it off until the next that is no `write`, or until the commit.

        Statements that are put off write different tables, and go to PostgreSQL as one.
        """
        if not self._gathers:
            await self.fetch(sql, *values)
            return
        if table in self._put_off:
            await self.finish()
        self._put_off[table] = sql, values

    async def finish(self) -> None:
        """Run the statements that were put off."""
        statements = list(self._put_off.values())
        self._put_off.clear()
        for sql, values in together(statements):
            await self.fetch(sql, *values)

    async def conclude(self, sql: str, *values: object) -> Sequence[Row]:
        """Run the statements that were put off, then this one. If possible, they go to PostgreSQL as one.

        This one is a `WITH` whose first part has `{after}` as a condition.
        """
        statements = list(self._put_off.values())
        combined = after(statements, (sql, values)) if statements else None
        if combined is None:
            await self.finish()
            combined = sql.replace(AFTER, "TRUE"), values
        self._put_off.clear()
        return await self.fetch(combined[0], *combined[1])

    def for_update(self, sql: str, *, by: str | None = None) -> str:
        """Make a query lock its rows until the end, in the order of a column `by`.

        SQLite has one writer at a time and needs no locks; an order would only make it read a table in that order.
        """
        return self._locking(sql, by, "UPDATE")

    def for_share(self, sql: str, *, by: str | None = None) -> str:
        """Make a query keep its rows from changing until the end."""
        return self._locking(sql, by, "SHARE")

    def _locking(self, sql: str, by: str | None, strength: str) -> str:
        if self.dialect != "postgres":
            return sql
        return f"{sql} FOR {strength}" if by is None else f"{sql} ORDER BY {by} FOR {strength}"


@lru_cache(1024)
def to_sqlite(sql: str) -> str:
    """Translate a statement's `$1` parameters into SQLite's notation."""
    return PARAMETER.sub(r"?\1", sql)


# --- Each database ---------------------------------------------------------------------------------------------


class OnPostgres:
    """A transaction on PostgreSQL, by one of the connections that write."""

    dialect: Final[Dialect] = "postgres"

    def __init__(self, writer: PostgresConnections) -> None:
        self._writer = writer
        self.client = PostgresTransaction(writer)

    async def run(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Run a whole transaction."""
        await self.open()
        tx = Transaction(self.client, self.dialect, gathers=True)
        try:
            result = await work(tx)
            await tx.finish()
        except BaseException as error:
            await self.rollback(error)
            raise
        await self.commit()
        return result

    async def open(self) -> None:
        self.client._connection = await self._writer.take(ACQUIRE_TIMEOUT_S)
        try:
            await self.client._connection.execute("BEGIN")
        except BaseException:
            await self._writer.release(self.client._connection)
            raise

    async def commit(self) -> None:
        try:
            if await self.client._connection.execute("COMMIT") != "COMMIT":
                raise RuntimeError("PostgreSQL rolled it back, because a statement failed and the error was ignored")
        except BaseException:
            await self._writer.release(self.client._connection)
            raise
        await self._writer.keep(self.client._connection)

    async def rollback(self, because: BaseException) -> None:
        if is_session_lost(because):
            with contextlib.suppress(InterfaceError):  # the pool has taken it back already
                self.client._connection.terminate()
        await self.close()

    async def close(self) -> None:
        """Roll back, and release the connection."""
        try:
            with contextlib.suppress(*UNAVAILABLE_ERRORS):  # a lost connection has rolled back already
                await self.client._connection.execute("ROLLBACK")
        finally:
            await self._writer.release(self.client._connection)


class OnSqlite:
    """A transaction on SQLite, by the one connection that writes."""

    dialect: Final[Dialect] = "sqlite"

    def __init__(self, writer: Any) -> None:
        if not isinstance(writer, SqliteClient):
            raise TypeError(type(writer).__name__)
        self._writer = writer
        self.client = SqliteTransaction(writer)

    async def run(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Run a whole transaction in the connection's thread."""
        connection = self.client._connection

        def run() -> T:
            connection._conn.execute("BEGIN IMMEDIATE")
            try:
                result = _finished(work(Transaction(self.client, self.dialect, at_once=connection._conn)))
                connection._conn.execute("COMMIT")
            except BaseException:
                if connection._conn.in_transaction:
                    connection._conn.execute("ROLLBACK")
                raise
            return result

        await self._take_turn()
        try:
            result: T = await connection._execute(copy_context().run, run)  # type: ignore[no-untyped-call]
            return result
        finally:
            self._writer._lock.release()

    async def _take_turn(self) -> None:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            await self._writer._lock.acquire()

    async def open(self) -> None:
        await self._take_turn()
        try:
            await self.client._connection.execute_fetchall("BEGIN IMMEDIATE")
        except BaseException:
            self._writer._lock.release()
            raise

    async def commit(self) -> None:
        try:
            await self.client._connection.execute_fetchall("COMMIT")
        except BaseException:
            await self.close()
            raise
        self._writer._lock.release()

    async def rollback(self, _: BaseException) -> None:
        await self.close()

    async def close(self) -> None:
        try:
            if self.client._connection.in_transaction:
                await self.client._connection.execute_fetchall("ROLLBACK")
        finally:
            self._writer._lock.release()


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result."""
    try:
        work.send(None)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("it waits for something other than its transaction")
