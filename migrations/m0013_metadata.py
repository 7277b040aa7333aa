"""What businesses keep about their customers and invoices, for themselves."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """A table of its own, so that payments, which move invoices, neither read nor copy it."""

    dependencies = [("models", "m0012_orders")]
    operations = [
        Sql(
            """
            CREATE TABLE metadata (
                subject_id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                entries TEXT NOT NULL
            ) {STRICT}
            """,
        ),
    ]
