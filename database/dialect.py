"""Reads the database's URL and makes Tortoise's configuration for it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from database.errors import is_unavailable
from database.postgres_session import Session
from errors import ConfigurationError

READER: Final = "default"
WRITER: Final = "writer"
PROBE: Final = "probe"
"""The connection of health checks, which never wait for another's statement."""

TABLES: Final = "models.tables"
"""The module in which Tortoise finds every table."""

LOCK_TIMEOUT_S: Final = 5.0
"""How long a write waits for a lock on rows or on SQLite's file."""

STATEMENT_TIMEOUT_S: Final = 15.0
"""How long a statement may take before it is stopped."""

PAGE_BYTES: Final = 4096
CHECKPOINT_PAGES: Final = 4096
"""How many pages SQLite's log has before it is merged into the file: more than by default, so fewer writes wait."""

Dialect = Literal["sqlite", "postgres"]


def dialect_of(url: str) -> Dialect:
    """Return the dialect of a database's URL.

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
    """Return the file of a `sqlite://PATH` URL, relative to the working directory unless PATH begins with a slash."""
    path = unquote(url.partition("://")[2])
    if not path or path == ":memory:":
        raise ConfigurationError('FLUXRATE_DATABASE_URL must name a file, like "sqlite://var/fluxrate.sqlite3".')
    return Path(path)


def redacted(url: str) -> str:
    """Remove the password from a database URL, wherever it is."""
    return re.sub(r"([?&]password=)[^&]*", r"\1***", re.sub(r"//([^:/@]*):.*@", r"//\1:***@", url))


@contextlib.contextmanager
def reporting(url: str, what: str) -> Iterator[None]:
    """Raise ConfigurationError if the database is unavailable, for the operator to fix."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"The database at {redacted(url)} can't be {what} ({said}): check that it exists and is intact, or fix"
            " FLUXRATE_DATABASE_URL."
        ) from error


_OWN_PLANS: Final = {"plan_cache_mode": "force_custom_plan", "jit": "off"}
"""Plan each read for its own values: a plan that was made once, for a small table, would keep scanning it."""

_POINT_LOOKUPS: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_indexonlyscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""Make writes look rows up by an index, even if the planner still takes a table for small.

Their plans are made once, perhaps while a table is empty: then reading a whole covering index looks as cheap as a
look-up in the right one.
"""

_KEPT_CONNECTIONS: Final = {"engine": "database.postgres_connections"}


def configuration(url: str, pool_size: int) -> dict[str, Any]:
    """Make Tortoise's configuration: a connection that only reads, and one that writes, for transactions."""
    connections = (
        {READER: _sqlite_readers(url), WRITER: _sqlite_writer(url), PROBE: sqlite(url, query_only="ON")}
        if dialect_of(url) == "sqlite"
        else {
            READER: _postgres_readers(url, pool_size),
            WRITER: _postgres_writers(url, pool_size),
            PROBE: postgres(url, 1),
        }
    )
    return {
        "connections": connections,
        "apps": {"models": {"models": [TABLES], "default_connection": READER}},
    }


def sqlite(url: str, **pragmas: str) -> dict[str, Any]:
    """Configure a connection to a SQLite file."""
    credentials = {
        "file_path": str(sqlite_path(url)),
        "journal_mode": "WAL",
        "synchronous": "FULL",
        "foreign_keys": "ON",
        "secure_delete": "ON",
        "busy_timeout": int(LOCK_TIMEOUT_S * 1000),
        "wal_autocheckpoint": CHECKPOINT_PAGES,
        "journal_size_limit": CHECKPOINT_PAGES * PAGE_BYTES,
        **pragmas,
    }
    return {"engine": "tortoise.backends.sqlite", "credentials": credentials}


def _sqlite_readers(url: str) -> dict[str, Any]:
    """Configure several connections that read a SQLite file."""
    credentials = sqlite(url, query_only="ON")["credentials"] | {"reading_timeout_s": STATEMENT_TIMEOUT_S}
    return {"engine": "database.sqlite_readers", "credentials": credentials}


def _sqlite_writer(url: str) -> dict[str, Any]:
    """Configure the connection that writes a SQLite file."""
    return sqlite(url) | {"engine": "database.sqlite_writer"}


def _postgres_readers(url: str, pool_size: int) -> dict[str, Any]:
    """Configure a pool of connections that read PostgreSQL."""
    configured = postgres(url, pool_size, default_transaction_read_only="on", **_OWN_PLANS)
    return configured | _KEPT_CONNECTIONS


def _postgres_writers(url: str, pool_size: int) -> dict[str, Any]:
    """Configure a pool of connections that write PostgreSQL."""
    configured = postgres(url, pool_size, **_POINT_LOOKUPS)
    configured["credentials"]["init"] = Session.learn_types
    return configured | _KEPT_CONNECTIONS


def postgres(url: str, pool_size: int, **server_settings: str) -> dict[str, Any]:
    """Configure a pool of connections to PostgreSQL."""
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
        "connection_class": Session,
        "reset": Session.end_statement,
        "command_timeout": STATEMENT_TIMEOUT_S + 5,
    }
    if "sslmode" in options:
        credentials["ssl"] = options["sslmode"]
    return {"engine": "tortoise.backends.asyncpg", "credentials": credentials}
