"""A PostgreSQL session that leaves no transaction open."""

from typing import Any

from asyncpg import Connection


class Session(Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that knows whether a statement was interrupted.

    asyncpg prepares a statement and runs it in two messages. Between them PostgreSQL is in a transaction, which holds
    locks; if the caller is cancelled there, the transaction stays open.
    """

    _is_midway = False

    async def _do_execute(self, *args: Any, **kwargs: Any) -> Any:
        self._is_midway = True
        result = await super()._do_execute(*args, **kwargs)
        self._is_midway = False
        return result

    async def learn_types(self) -> None:
        """Make asyncpg look up the types of arrays now: it would do so in the session's first statement with arrays."""
        arrays = (f"NULL::{type_}[]" for type_ in ("text", "bytea", "bigint", "boolean", "timestamptz", "date"))
        await self.fetch(f"SELECT ARRAY(SELECT ROW(1)), {', '.join(arrays)}")

    async def end_statement(self) -> None:
        """End an interrupted statement's transaction. It replaces asyncpg's reset: we change no settings."""
        if self._is_midway:
            await self.execute("SELECT")
            self._is_midway = False
