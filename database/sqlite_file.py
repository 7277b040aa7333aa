"""Makes the SQLite file, with its permissions, opens it, and checks whether it can be written."""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiosqlite

from errors import ConfigurationError

_OWNER_ONLY: Final = 0o600
_OWNER_ONLY_FOLDER: Final = 0o700
_BESIDE: Final = ("", "-wal", "-shm")
ROOM_BYTES: Final = 16 * 1024 * 1024
"""With less free space than this the disk counts as full: SQLite's log grows that far before it is merged."""


def make_file(path: Path, *, embedded: bool) -> None:
    """Make a missing database file, readable by its owner alone whatever the umask.

    The embedded database's folder is made too, and both are made private even if an older version left them public.
    Any other folder must exist: a mistyped path would make an empty database.

    Raises:
        ConfigurationError: The folder does not exist.
    """
    folder = path.absolute().parent
    if embedded:
        folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        folder.chmod(_OWNER_ONLY_FOLDER)
    elif not folder.exists():
        raise ConfigurationError(
            f"The folder {folder} does not exist, so there can be no database in it: correct FLUXRATE_DATABASE_URL, or"
            f' make the folder ("mkdir -p {folder}").'
        )
    is_new = not path.exists()
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, _OWNER_ONLY))
    if embedded or is_new:
        for suffix in _BESIDE:
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.chmod(_OWNER_ONLY)


async def connect(path: str, pragmas: Mapping[str, Any], **options: Any) -> aiosqlite.Connection:
    """Open a connection, which fails at once if the file has a problem; `options` are those of `sqlite3.connect`."""
    connection = await aiosqlite.connect(path, isolation_level=None, **options)
    try:
        connection._conn.row_factory = sqlite3.Row
        for pragma, value in pragmas.items():
            await connection.execute_fetchall(f"PRAGMA {pragma}={value}")
    except BaseException:
        await connection.close()
        raise
    return connection


def unwritable_because(path: Path) -> str | None:
    """Find out, without writing, why a database's file can't be written; None if nothing speaks against it."""
    if not os.access(path, os.W_OK) or not os.access(path.absolute().parent, os.W_OK):
        return "The database can't be written: its file or folder is read-only."
    if shutil.disk_usage(path.absolute().parent).free < ROOM_BYTES:
        return "The database can't be written: its disk is full."
    return None
