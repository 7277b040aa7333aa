"""Migrates a database, and lists its pending migrations."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor

from database.dialect import READER, TABLES, dialect_of, postgres, reporting, sqlite, sqlite_path
from database.sqlite_file import make_file
from errors import ConfigurationError


@contextlib.asynccontextmanager
async def _migration_executor(url: str) -> AsyncIterator[MigrationExecutor]:
    if dialect_of(url) == "sqlite":
        connection = sqlite(url)
    else:
        connection = postgres(url, 2, statement_timeout="0", idle_in_transaction_session_timeout="0")
        connection["credentials"]["command_timeout"] = None
    app = {"models": [TABLES], "default_connection": READER, "migrations": "migrations"}
    async with TortoiseContext() as context:
        await context.init(config={"connections": {READER: connection}, "apps": {"models": app}})
        client = context.connections.get(READER)
        try:
            await client.create_connection(
                with_db=True
            )  # the executor would take an unreadable database for an empty one
            yield MigrationExecutor(client, {"models": app})
        finally:
            await context.close_connections()


async def migrate(url: str, *, embedded: bool = False) -> list[str]:
    """Migrate a database; return the names of the applied migrations, in order.

    Of several processes at once, one migrates and the others wait. `embedded`: also make a missing folder.

    Raises:
        ConfigurationError: The database can't be reached.
    """
    applied: list[str] = []

    def note(event: str, _app: str, name: str) -> None:
        if event == "apply_done":
            applied.append(name)

    with reporting(url, "migrated"):
        async with _migration_lock(url, embedded=embedded), _migration_executor(url) as executor:
            await executor.migrate(progress=note)
    return applied


@contextlib.asynccontextmanager
async def _migration_lock(url: str, *, embedded: bool) -> AsyncIterator[None]:
    if dialect_of(url) == "sqlite":
        path = sqlite_path(url)
        make_file(path, embedded=embedded)
        async with _file_lock(path.with_suffix(".migrating")):
            yield
        return
    connection = await asyncpg.connect(**_lock_credentials(url))
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('fluxrate migrations'))")
        yield
    finally:
        await connection.close()


def _lock_credentials(url: str) -> dict[str, Any]:
    credentials = postgres(url, 1)["credentials"]
    return {name: credentials.get(name) for name in ("user", "password", "host", "port", "database", "ssl")}


@contextlib.asynccontextmanager
async def _file_lock(path: Path) -> AsyncIterator[None]:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def missing_file(url: str) -> Path | None:
    """Return the SQLite file that a migration would make; None if it exists or the database is no file."""
    if dialect_of(url) != "sqlite" or sqlite_path(url).exists():
        return None
    return sqlite_path(url).absolute()


async def pending_migrations(url: str) -> list[str]:
    """Return the names of the pending migrations, in order.

    Raises:
        ConfigurationError: The database can't be reached.
    """
    if dialect_of(url) == "sqlite" and not sqlite_path(url).is_file():
        raise ConfigurationError(
            f'There is no database at {sqlite_path(url).absolute()}: run "fluxrate migrate" first.'
        )
    with reporting(url, "read"):
        async with _migration_executor(url) as executor:
            return [step.migration.name for step in await executor.plan()]


async def refuse_pending(url: str) -> None:
    """Refuse a database that is not up to date.

    Raises:
        ConfigurationError: It is not, or is unavailable.
    """
    pending = await pending_migrations(url)
    if pending:
        raise ConfigurationError(f'The database is not up to date ({", ".join(pending)}): run "fluxrate migrate".')
