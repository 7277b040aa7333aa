"""A session of PostgreSQL that is given back as it was taken."""

from typing import Any

from asyncpg import Connection


class Session(Connection):  # type: ignore[misc]  # asyncpg has no types
    """Knows whether a statement was left half done.

    asyncpg prepares a statement and runs it in two messages. Between them PostgreSQL is in a transaction, which holds
    locks; a caller who is cancelled there leaves the session in it.
    """

    _is_midway = False

    async def _do_execute(self, *args: Any, **kwargs: Any) -> Any:
        self._is_midway = True
        result = await super()._do_execute(*args, **kwargs)
        self._is_midway = False
        return result

    async def end_statement(self) -> None:
        """End what was left half done. It stands for asyncpg's reset, a statement after every use: we set nothing."""
        if self._is_midway:
            await self.execute("SELECT")
            self._is_midway = False
