"""Fills a database in bulk: without triggers and indexes, which are created again afterwards."""

import contextlib
import importlib
import pkgutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import asyncpg

import migrations
from benchmarks.filling import TABLES
from database.dialect import dialect_of, sqlite_path
from migrations._sql import Sql

Run = Callable[[str], Awaitable[list[Any]]]

_ON_SQLITE: Final = (
    "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type"
)
_ON_POSTGRES: Final = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


@contextlib.asynccontextmanager
async def in_bulk(url: str) -> AsyncIterator[None]:
    """Drop the indexes and triggers of an empty, migrated database; at the end create them, and the sums and texts."""
    on_sqlite = dialect_of(url) == "sqlite"
    async with _session(url) as run:
        made_anew = await (_put_away_on_sqlite(run) if on_sqlite else _put_away_on_postgres(run))
    yield
    async with _session(url) as run:
        for statement in [*_derived(dialect_of(url)), *made_anew, "ANALYZE"]:
            await run(statement)


def _derived(dialect: str) -> Iterator[str]:
    """Yield the migrations' statements that compute sums and index texts of existing rows; of each table the latest."""
    latest: dict[str, str] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(migrations.__path__)):
        migration = getattr(importlib.import_module(f"migrations.{module}"), "Migration", None)
        for operation in migration.operations if migration else ():
            assert isinstance(operation, Sql)
            for statement in operation.own[dialect]:
                if statement.startswith("INSERT INTO"):
                    latest[statement.split()[2]] = statement
    yield from latest.values()
    yield "UPDATE customers SET has_invoices = TRUE WHERE id IN (SELECT customer_id FROM invoices)"


async def _put_away_on_sqlite(run: Run) -> list[str]:
    found = await run(_ON_SQLITE)  # triggers last: they must not see the rows that are computed here
    for kind, name, _ in found:
        await run(f"DROP {kind} {name}")
    return [sql for _, _, sql in found]


async def _put_away_on_postgres(run: Run) -> list[str]:
    found = await run(_ON_POSTGRES)
    for name, _ in found:
        await run(f"DROP INDEX {name}")
    for table in TABLES:
        await run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    return [*(sql for _, sql in found), *(f"ALTER TABLE {table} ENABLE TRIGGER ALL" for table in TABLES)]


@contextlib.asynccontextmanager
async def _session(url: str) -> AsyncIterator[Run]:
    """Open a session without a time limit."""
    if dialect_of(url) == "sqlite":
        with contextlib.closing(sqlite3.connect(sqlite_path(url), isolation_level=None, timeout=60)) as file:
            file.execute("PRAGMA synchronous = OFF")
            file.execute("PRAGMA cache_size = -400000")

            async def asked(sql: str) -> list[Any]:
                return file.execute(sql).fetchall()

            yield asked
        return
    session = await asyncpg.connect(url)
    try:
        await session.execute("SET maintenance_work_mem = '512MB'")
        await session.execute("SET work_mem = '256MB'")

        async def answered(sql: str) -> list[Any]:
            return [tuple(row) for row in await session.fetch(sql, timeout=None)]

        yield answered
    finally:
        await session.close()
