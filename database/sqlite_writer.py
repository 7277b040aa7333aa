"""Writes a SQLite file by one connection, which a transaction of few short statements uses in the event loop.

To hand a statement to the connection's thread and back costs more than most statements. The beginning and the commit
always go to the thread: they wait for locks and for the disk.
"""

from tortoise.backends.sqlite.client import SqliteClient

from database.sqlite_file import connect


class SqliteWriter(SqliteClient):
    """Tortoise's client of a SQLite file, whose connection both the thread and the event loop may use, by turns."""

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  (Tortoise's)
        """Open the connection."""
        if self._connection is None:
            self._connection = await connect(
                self.filename, self.pragmas, check_same_thread=False, cached_statements=256
            )


client_class = SqliteWriter
