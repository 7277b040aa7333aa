"""An operation that runs SQL written once for both databases.

Tortoise's own operations drop constraints of new tables and rebuild tables on SQLite; plain SQL says what it does.
"""

from typing import Any, Final

from tortoise.migrations.operations import TortoiseOperation

_TYPES: Final = {
    "sqlite": {"BYTES": "BLOB", "INSTANT": "TEXT", "DATE": "TEXT", "BIGINT": "INTEGER", "BOOL": "INTEGER", "STRICT": "STRICT"},
    "postgres": {"BYTES": "BYTEA", "INSTANT": "TIMESTAMPTZ", "DATE": "DATE", "BIGINT": "BIGINT", "BOOL": "BOOLEAN", "STRICT": ""},
}  # fmt: skip


class Sql(TortoiseOperation):
    """Statements with `{BYTES}`, `{INSTANT}`, `{DATE}`, `{BIGINT}`, `{BOOL}` for each database's own types."""

    reduces_to_sql = True
    reversible = False

    def __init__(self, *statements: str) -> None:
        self.statements = statements

    def describe(self) -> str:
        """What the operation is, for Tortoise's own listing."""
        return "Run SQL"

    async def database_forward(self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None) -> None:
        """Run the statements one by one, inside the migration's transaction."""
        if state_editor is None:
            return
        types = _TYPES[state_editor.client.capabilities.dialect]
        for statement in self.statements:
            await state_editor.client.execute_query(statement.format(**types))
