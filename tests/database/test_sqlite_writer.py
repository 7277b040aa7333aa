"""The connection that writes a SQLite file."""

import sqlite3

import pytest

from database.dialect import WRITER
from database.sqlite_writer import SqliteWriter


async def test_a_file_that_cannot_be_opened_leaves_no_connection(migrated_sqlite_url: str) -> None:
    writer = SqliteWriter(migrated_sqlite_url.removeprefix("sqlite://"), connection_name=WRITER, no_such="(")
    with pytest.raises(sqlite3.OperationalError):
        await writer.create_connection(with_db=True)
    assert writer._connection is None
