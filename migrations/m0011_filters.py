"""Indexes for what a list of invoices is narrowed to: by the time they are due, finalized or paid, by amount, and others.

What Stripe's posts insert with every payment is in none of those of webhook events and of the log.
"""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Indexes of invoices, and of what is rare among webhook events and in the log."""

    dependencies = [("models", "m0010_search")]
    operations = [
        Sql(
            "CREATE INDEX invoices_by_due_day ON invoices (workspace_id, due_date) WHERE due_date IS NOT NULL",
            """
            CREATE INDEX invoices_by_finalization ON invoices (workspace_id, finalized_at)
            WHERE finalized_at IS NOT NULL
            """,
            "CREATE INDEX invoices_by_payment ON invoices (workspace_id, paid_at) WHERE paid_at IS NOT NULL",
            "CREATE INDEX invoices_by_total ON invoices (workspace_id, currency, total)",
            "CREATE INDEX invoices_by_integration ON invoices (integration_id, id) WHERE integration_id IS NOT NULL",
            """
            CREATE INDEX invoices_partially_paid ON invoices (workspace_id, id)
            WHERE status IN ('OPEN', 'UNCOLLECTIBLE') AND amount_paid + amount_paid_out_of_band > 0
            """,
            """
            CREATE INDEX webhook_events_by_reason ON webhook_events (workspace_id, reason_code, id)
            WHERE reason_code IS NOT NULL
            """,
            "CREATE INDEX events_by_actor ON events (workspace_id, actor, number) WHERE actor <> 'stripe'",
        ),
    ]
