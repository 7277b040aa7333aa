"""Writes a SQLite file by one connection, which keeps the statements that a batch of webhooks needs prepared."""

from typing import Final

from tortoise.backends.sqlite.client import SqliteClient

from database.sqlite_file import connect

_STATEMENTS: Final = 256
"""How many statements stay prepared. Lists of rows have one for each of twelve lengths (`database/bulk.py`)."""


class SqliteWriter(SqliteClient):
    """Tortoise's client of a SQLite file, opened as our readers open it."""

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  (Tortoise's)
        """Open the connection."""
        if self._connection is None:
            self._connection = await connect(self.filename, self.pragmas, cached_statements=_STATEMENTS)


client_class = SqliteWriter
