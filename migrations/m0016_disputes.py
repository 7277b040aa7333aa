"""An index of payments whose dispute is not decided: it holds nothing of a payment that comes as it should."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Open disputes, by the id of their payment."""

    dependencies = [("models", "m0015_attempts")]
    operations = [
        Sql(
            """
            CREATE INDEX payments_disputed ON payments (workspace_id, id)
            WHERE dispute_opened_at IS NOT NULL AND dispute_closed_at IS NULL
            """,
        ),
    ]
