"""The errors of the two databases for being unavailable, and for conflicts of writers."""

import sqlite3
from typing import Final

import asyncpg
from tortoise.exceptions import OperationalError, TransactionManagementError

from errors import TimedOutError

UNAVAILABLE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)
"""The errors of a database that is stopped, restarting, full, locked or read-only; SQLite's by their codes."""


CONFLICTS: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    sqlite3.IntegrityError,
)
"""The errors of two writers of the same rows: the loser repeats its transaction and reads the rows again."""


def is_unavailable(error: BaseException) -> bool:
    """Whether an error says that the database is unavailable, not that a statement was wrong."""
    error = _unwrapped(error)
    if type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR
    return isinstance(error, UNAVAILABLE_ERRORS)


def is_stopped(error: BaseException) -> bool:
    """Whether an error says that a statement, or a series of them, took too long and was stopped."""
    error = _unwrapped(error)
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return isinstance(error, asyncpg.QueryCanceledError | TimedOutError)


def is_session_lost(error: BaseException) -> bool:
    """Whether an error says that a PostgreSQL session is useless, though its socket may still be open.

    It may stay read-only although the database no longer is; or the server has ended it, the driver has not seen the
    socket close yet, and refuses every statement as out of order.
    """
    return isinstance(_unwrapped(error), asyncpg.ReadOnlySQLTransactionError | asyncpg.InternalClientError)


def _unwrapped(error: BaseException) -> BaseException:
    """Return the driver's error inside Tortoise's."""
    is_wrapper = isinstance(error, OperationalError | TransactionManagementError)
    wrapped = error.args[0] if is_wrapper and error.args else None
    return wrapped if isinstance(wrapped, BaseException) else error
