"""What large workspaces need besides: the few webhook events to look at are found among the many that are done."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """An index."""

    dependencies = [("models", "m0003_histories")]
    operations = [
        Sql(
            """
            CREATE INDEX webhook_events_open ON webhook_events (workspace_id, id)
            WHERE status IN ('UNAPPLIED', 'HELD', 'QUARANTINED', 'FAILED')
            """,
        ),
    ]
