"""Indexes of what is rare: they hold nothing of a payment that comes as it should, and so cost it nothing."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """What failed or is under way, what is nobody's, and the kinds of events that seldom come."""

    dependencies = [("models", "m0007_sums")]
    operations = [
        Sql(
            "CREATE INDEX payments_unsettled ON payments (workspace_id, id) WHERE status IN ('PENDING', 'FAILED')",
            "CREATE INDEX webhook_events_ignored ON webhook_events (workspace_id, id) WHERE status = 'IGNORED'",
            """
            CREATE INDEX webhook_events_rare ON webhook_events (workspace_id, type, id)
            WHERE type NOT IN ('payment_intent.succeeded', 'checkout.session.completed')
            """,
            """
            CREATE INDEX events_rare ON events (workspace_id, type, number)
            WHERE type NOT IN ('INVOICE_CREATED', 'INVOICE_FINALIZED', 'INVOICE_PAID', 'PAYMENT_SUCCEEDED',
                'PAYMENT_LINK_CREATED', 'WEBHOOK_EVENT_RECEIVED', 'WEBHOOK_EVENT_UPDATED')
            """,
        ),
    ]
