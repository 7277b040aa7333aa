"""Writes a SQLite file by one connection, which a transaction of few short statements uses in the event loop.

To hand a statement to the connection's thread and back costs more than most statements. The beginning and the commit
always go to the thread: they wait for locks and for the disk.
"""

import sqlite3

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient


class SqliteWriter(SqliteClient):
    """Tortoise's client of a SQLite file, whose connection both the thread and the event loop may use, by turns."""

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  (Tortoise's)
        """Open the connection, which fails at once if the file has a problem."""
        if self._connection is not None:
            return
        connection = await aiosqlite.connect(
            self.filename, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection._conn.row_factory = sqlite3.Row
            for pragma, value in self.pragmas.items():
                await connection.execute_fetchall(f"PRAGMA {pragma}={value}")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection


client_class = SqliteWriter
