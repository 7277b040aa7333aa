"""When a webhook event came again or was tried again, and what came of it each time."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Nothing is written for what comes once: the event's own row says when that was, and what came of it."""

    dependencies = [("models", "m0014_at_once")]
    operations = [
        Sql(
            """
            CREATE TABLE webhook_event_attempts (
                id {SERIAL} NOT NULL PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                webhook_event_id TEXT NOT NULL,
                source TEXT NOT NULL,
                status TEXT NOT NULL,
                reason_code TEXT,
                reason_detail TEXT,
                at {INSTANT} NOT NULL
            ) {STRICT}
            """,
            "CREATE INDEX webhook_event_attempts_in_order ON webhook_event_attempts (webhook_event_id, id)",
        ),
    ]
