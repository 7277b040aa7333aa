"""The database: opening it, migrating it, the one door for writes, and the one place where rows are scoped.

Reads go through Tortoise's "default" connection, which can't write. Every write goes through `transaction()`,
which holds a connection of its own, begins with a write lock on SQLite, and can't be interrupted halfway by a
cancelled task: a deferred begin fails at once with "database is locked", and a task cancelled while it takes or
gives back a connection would lose it for good.
"""

import asyncio
import contextlib
import fcntl
import re
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.backends.sqlite.client import SqliteTransactionWrapper as SqliteTransaction
from tortoise.connection import get_connection, get_connections
from tortoise.context import TortoiseContext, set_global_context
from tortoise.exceptions import OperationalError
from tortoise.manager import Manager
from tortoise.migrations.executor import MigrationExecutor
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.errors import ConfigurationError, Unavailable

READER: Final = "default"
WRITER: Final = "writer"
MODEL_MODULES: Final = (
    "models.workspace",
    "models.api_key",
    "models.integration",
    "models.customer",
    "models.invoice",
    "models.payment_link",
    "models.payment",
    "models.webhook_event",
    "models.event",
)
ACQUIRE_TIMEOUT_S: Final = 2.0
"""How long a write waits for its turn before it is refused as unavailable."""

LOCK_TIMEOUT_S: Final = 5.0
"""How long a write waits for another's row or file lock."""

STATEMENT_TIMEOUT_S: Final = 15.0

Dialect = Literal["sqlite", "postgres"]
T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=Model)

UNAVAILABLE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)
"""What a database that is stopped, restarting, full, locked or read-only raises; SQLite tells by its error code."""


def is_unavailable(error: BaseException) -> bool:
    """Whether an error says that the database can't be had, rather than that a statement was wrong."""
    if isinstance(error, OperationalError) and error.args:  # Tortoise's wrapper
        error = error.args[0]
    if type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR
    return isinstance(error, UNAVAILABLE_ERRORS)


# --- Opening ---------------------------------------------------------------------------------------------------


class UnscopedQueryError(RuntimeError):
    """A workspace's table was queried without saying whose rows are meant."""


class WorkspaceManager(Manager):
    """Refuses every query that does not go through `scoped` or `unscoped`."""

    def get_queryset(self) -> QuerySet[Any]:
        raise UnscopedQueryError(f"query {self._model.__name__} through scoped() or unscoped()")


def scoped(model: type[ModelT], workspace_id: str) -> QuerySet[ModelT]:
    """The rows of one workspace: the only way to a workspace's rows on behalf of a caller."""
    return QuerySet(model).filter(workspace_id=workspace_id)


def unscoped(model: type[ModelT]) -> QuerySet[ModelT]:
    """The rows of all workspaces: for authentication, the operator's commands and background work only."""
    return QuerySet(model)


class Database:
    """An open database: `async with Database(url): ...` makes the models usable in this process."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self._pool_size = pool_size
        self._context = TortoiseContext()

    async def __aenter__(self) -> "Database":
        config = _config(self.url, self._pool_size)
        if self.dialect == "sqlite":
            path = sqlite_path(self.url)
            if not path.is_file():
                raise ConfigurationError(f'There is no database at {path}: run "fluxrate migrate" first.')
        set_global_context(self._context)
        EXECUTOR_CACHE.clear()  # keyed by alias: what it holds may be another database's SQL
        try:
            with _reporting(self.url, "reached"):
                await self._context.init(config=config, use_tz=True, timezone="UTC")
                for alias in (READER, WRITER):
                    await self._context.connections.get(alias).create_connection(with_db=True)
        except BaseException:
            await self._context.close_connections()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._context.close_connections()


def dialect_of(url: str) -> Dialect:
    """Which of the two databases a URL means.

    Raises:
        ConfigurationError: Neither.
    """
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite":
        return "sqlite"
    if scheme in {"postgres", "postgresql"}:
        return "postgres"
    found = f'"{scheme}://"' if separator else "a path"
    raise ConfigurationError(f'FLUXRATE_DATABASE_URL must begin with "sqlite://" or "postgres://", not with {found}.')


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite://PATH` URL: relative to the working directory unless it begins with a slash."""
    path = unquote(url.partition("://")[2])
    if not path or path == ":memory:":
        raise ConfigurationError('FLUXRATE_DATABASE_URL must name a file, like "sqlite://var/fluxrate.sqlite3".')
    return Path(path)


def redacted(url: str) -> str:
    """A database URL without its password, wherever it stands."""
    return re.sub(r"([?&]password=)[^&]*", r"\1***", re.sub(r"//([^:/@]*):.*@", r"//\1:***@", url))


@contextlib.contextmanager
def _reporting(url: str, what: str) -> Iterator[None]:
    """Tell the operator, not the programmer, that a database can't be had."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"The database at {redacted(url)} can't be {what} ({said}): start it or mend FLUXRATE_DATABASE_URL."
        ) from error


_POINT_LOOKUPS: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""Writes look rows up by an index, whatever the planner thinks of a table that has just grown."""


def _config(url: str, pool_size: int) -> dict[str, Any]:
    connections = (
        {READER: _sqlite(url, query_only="ON"), WRITER: _sqlite(url)}
        if dialect_of(url) == "sqlite"
        else {
            READER: _postgres(url, pool_size, default_transaction_read_only="on"),
            WRITER: _postgres(url, pool_size, **_POINT_LOOKUPS),
        }
    )
    return {
        "connections": connections,
        "apps": {"models": {"models": list(MODEL_MODULES), "default_connection": READER}},
    }


def _sqlite(url: str, **pragmas: str) -> dict[str, Any]:
    credentials = {
        "file_path": str(sqlite_path(url)),
        "journal_mode": "WAL",
        "synchronous": "FULL",
        "foreign_keys": "ON",
        "secure_delete": "ON",
        "busy_timeout": int(LOCK_TIMEOUT_S * 1000),
        **pragmas,
    }
    return {"engine": "tortoise.backends.sqlite", "credentials": credentials}


def _postgres(url: str, pool_size: int, **server_settings: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        port = parts.port or int(options.get("port", 5432))
    except ValueError:
        raise ConfigurationError(
            'FLUXRATE_DATABASE_URL can\'t be read: it needs the form "postgres://USER:PASSWORD@HOST:PORT/NAME",'
            " with the special characters of the password percent-encoded."
        ) from None
    settings = {
        "application_name": "fluxrate",
        "timezone": "UTC",
        "lock_timeout": str(int(LOCK_TIMEOUT_S * 1000)),
        "statement_timeout": str(int(STATEMENT_TIMEOUT_S * 1000)),
        "idle_in_transaction_session_timeout": str(int(STATEMENT_TIMEOUT_S * 1000)),
        **server_settings,
    }
    credentials: dict[str, Any] = {
        "user": unquote(parts.username) if parts.username else options.get("user"),
        "password": unquote(parts.password) if parts.password else options.get("password"),
        "host": options.get("host") or parts.hostname,
        "port": port,
        "database": unquote(parts.path.lstrip("/")) or options.get("dbname"),
        "minsize": 1,
        "maxsize": pool_size,
        "server_settings": settings,
        "command_timeout": STATEMENT_TIMEOUT_S + 5,
    }
    if "sslmode" in options:
        credentials["ssl"] = options["sslmode"]
    return {"engine": "tortoise.backends.asyncpg", "credentials": credentials}


# --- Migrating -------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _migration_executor(url: str) -> AsyncIterator[MigrationExecutor]:
    if dialect_of(url) == "sqlite":
        connection = _sqlite(url)
    else:
        connection = _postgres(url, 2, statement_timeout="0", idle_in_transaction_session_timeout="0")
        connection["credentials"]["command_timeout"] = None
    app = {"models": list(MODEL_MODULES), "default_connection": READER, "migrations": "migrations"}
    async with TortoiseContext() as context:
        await context.init(config={"connections": {READER: connection}, "apps": {"models": app}})
        client = context.connections.get(READER)
        try:
            await client.create_connection(with_db=True)  # the executor takes what it can't read for empty
            yield MigrationExecutor(client, {"models": app})
        finally:
            await context.close_connections()


async def migrate(url: str) -> list[str]:
    """Bring a database up to date; the names of the migrations that were applied, in order.

    Several processes may do so at once: one works, the others wait.

    Raises:
        ConfigurationError: The database can't be reached.
    """
    applied: list[str] = []

    def note(event: str, _app: str, name: str) -> None:
        if event == "apply_done":
            applied.append(name)

    with _reporting(url, "migrated"):
        async with _migration_lock(url), _migration_executor(url) as executor:
            await executor.migrate(progress=note)
    return applied


@contextlib.asynccontextmanager
async def _migration_lock(url: str) -> AsyncIterator[None]:
    if dialect_of(url) == "sqlite":
        sqlite_path(url).parent.mkdir(parents=True, exist_ok=True)
        async with _file_lock(sqlite_path(url).with_suffix(".migrating")):
            yield
        return
    connection = await asyncpg.connect(**_lock_credentials(url))
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('fluxrate migrations'))")
        yield
    finally:
        await connection.close()


def _lock_credentials(url: str) -> dict[str, Any]:
    credentials = _postgres(url, 1)["credentials"]
    return {name: credentials.get(name) for name in ("user", "password", "host", "port", "database", "ssl")}


@contextlib.asynccontextmanager
async def _file_lock(path: Path) -> AsyncIterator[None]:
    with path.open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


async def pending_migrations(url: str) -> list[str]:
    """The names of the migrations that a database still lacks, in order.

    Raises:
        ConfigurationError: The database can't be reached.
    """
    if dialect_of(url) == "sqlite" and not sqlite_path(url).is_file():
        raise ConfigurationError(f'There is no database at {sqlite_path(url)}: run "fluxrate migrate" first.')
    with _reporting(url, "read"):
        async with _migration_executor(url) as executor:
            return [step.migration.name for step in await executor.plan()]


# --- Reading and writing ---------------------------------------------------------------------------------------

_PARAMETER: Final = re.compile(r"\$(\d+)")
Row = Mapping[str, Any]


class Transaction:
    """An open write transaction. SQL is PostgreSQL's with `$1` parameters, kept to what both databases know."""

    def __init__(self, client: SqliteTransaction | PostgresTransaction, dialect: Dialect) -> None:
        self._client = client
        self.dialect: Final = dialect

    async def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """The rows that a statement answers."""
        if self.dialect == "postgres":
            return await self._client._connection.fetch(sql, *values)  # type: ignore[no-any-return, union-attr]
        return await self._client._connection.execute_fetchall(to_sqlite(sql), values)  # type: ignore[return-value]

    async def execute(self, sql: str, *values: object) -> None:
        """Run a statement for its effect."""
        await self.fetch(sql, *values)

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once per row."""
        statement = sql if self.dialect == "postgres" else to_sqlite(sql)
        await self._client._connection.executemany(statement, rows)

    def for_update(self, sql: str) -> str:
        """The query with its rows locked until the end; SQLite has one writer at a time and needs none."""
        return f"{sql} FOR UPDATE" if self.dialect == "postgres" else sql

    def for_share(self, sql: str) -> str:
        """The query with its rows kept from changing until the end."""
        return f"{sql} FOR SHARE" if self.dialect == "postgres" else sql


def to_sqlite(sql: str) -> str:
    """A statement's `$1` parameters in SQLite's notation."""
    return _PARAMETER.sub(r"?\1", sql)


@contextlib.asynccontextmanager
async def transaction() -> AsyncIterator[Transaction]:
    """The one door for writes: commits when the block ends, rolls back when it raises.

    The models used inside it read and write through it. A task that is cancelled inside rolls back; one that is
    cancelled while it commits is told so after the commit. A second one inside it would wait for the first.

    Raises:
        Unavailable: The database can't be had right now.
    """
    if isinstance(get_connection(READER), SqliteTransaction | PostgresTransaction):
        raise RuntimeError("this task is in a write transaction already")
    writer = get_connection(WRITER)
    door = _PostgresDoor(writer) if isinstance(writer, AsyncpgDBClient) else _SqliteDoor(writer)
    await _unless_unavailable(_uninterrupted(door.open(), undo=door.close))
    token = get_connections().set(READER, door.client)
    try:
        try:
            yield Transaction(door.client, door.dialect)
        except BaseException as error:
            await _uninterrupted(door.rollback())
            if is_unavailable(error):
                raise Unavailable(_UNAVAILABLE) from error
            raise
        await _unless_unavailable(_uninterrupted(door.commit()))
    finally:
        get_connections().reset(token)


_UNAVAILABLE: Final = "The database can't be had right now and nothing was changed: try again in a moment."


async def _unless_unavailable(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except Exception as error:
        if is_unavailable(error):
            raise Unavailable(_UNAVAILABLE) from error
        raise


async def _uninterrupted(work: Coroutine[Any, Any, None], undo: Any = None) -> None:
    """Run to the end even when this task is cancelled meanwhile, then let the cancellation through.

    What was finished in vain is undone.
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


class _PostgresDoor:
    dialect: Final[Dialect] = "postgres"

    def __init__(self, writer: AsyncpgDBClient) -> None:
        self._writer = writer
        self.client = PostgresTransaction(writer)

    async def open(self) -> None:
        pool = self._writer._pool
        if pool is None:
            raise ConnectionError("the pool is closed")
        self.client._connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            await self.client.begin()
        except BaseException:
            await pool.release(self.client._connection)
            raise

    async def commit(self) -> None:
        try:
            await self.client.commit()
        finally:
            await self.close()

    async def rollback(self) -> None:
        try:
            with contextlib.suppress(*UNAVAILABLE_ERRORS):  # a lost connection has rolled back already
                await self.client.rollback()
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the connection back; a transaction still open in it is rolled back by the pool's reset."""
        pool = self._writer._pool
        if pool is not None:
            await pool.release(self.client._connection)


class _SqliteDoor:
    dialect: Final[Dialect] = "sqlite"

    def __init__(self, writer: Any) -> None:
        if not isinstance(writer, SqliteClient):
            raise TypeError(type(writer).__name__)
        self._writer = writer
        self.client = SqliteTransaction(writer)

    async def open(self) -> None:
        await asyncio.wait_for(self._writer._lock.acquire(), ACQUIRE_TIMEOUT_S)
        try:
            await self.client._connection.execute_fetchall("BEGIN IMMEDIATE")
        except BaseException:
            self._writer._lock.release()
            raise

    async def commit(self) -> None:
        try:
            await self.client._connection.execute_fetchall("COMMIT")
        except BaseException:
            await self.rollback()
            raise
        self._writer._lock.release()

    async def rollback(self) -> None:
        try:
            if self.client._connection.in_transaction:
                await self.client._connection.execute_fetchall("ROLLBACK")
        finally:
            self._writer._lock.release()

    close = rollback


def reading_dialect() -> Dialect:
    """Which of the two databases is open."""
    return "postgres" if isinstance(get_connection(READER), AsyncpgDBClient) else "sqlite"


async def fetch(sql: str, *values: object) -> Sequence[Row]:
    """The rows that a reading statement answers, outside of any model; `$1` parameters."""
    reader = get_connection(READER)
    statement = sql if isinstance(reader, AsyncpgDBClient) else to_sqlite(sql)
    return await reader.execute_query_dict(statement, list(values))
