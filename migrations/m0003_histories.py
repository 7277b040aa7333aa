"""What Stripe's histories need besides: what the customer saw, what came so far, and several disputes of one payment.

Events that an earlier version could not read are marked, so that this one tries them again.
"""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Columns for money that came in parts or in another currency, or that is disputed twice."""

    dependencies = [("models", "m0002_trust")]
    operations = [
        Sql(
            "ALTER TABLE payments ADD COLUMN amount_received {BIGINT}",
            "ALTER TABLE payments ADD COLUMN presentment_amount {BIGINT}",
            "ALTER TABLE payments ADD COLUMN presentment_currency TEXT",
            "ALTER TABLE payments ADD COLUMN disputes TEXT",
            "ALTER TABLE payments ADD COLUMN is_whole {BOOL} NOT NULL DEFAULT FALSE",
            "ALTER TABLE payment_links ADD COLUMN sessions_closed_at {INSTANT}",
            "ALTER TABLE webhook_events ADD COLUMN reader_version {BIGINT}",
            "UPDATE webhook_events SET reader_version = 1 WHERE reason_code = 'UNREADABLE_PAYLOAD'",
            """
            CREATE INDEX webhook_events_unread ON webhook_events (reader_version, id)
            WHERE reader_version IS NOT NULL
            """,
            "ALTER TABLE integration_traffic ADD COLUMN quarantine_judged_at {INSTANT}",
            "CREATE INDEX webhook_events_quarantined ON webhook_events (received_at) WHERE status = 'QUARANTINED'",
            """
            CREATE INDEX payment_links_active ON payment_links (integration_id, created_at)
            WHERE status = 'ACTIVE'
            """,
            "UPDATE payments SET is_whole = TRUE WHERE substr(provider_payment_id, 1, 3) = 'in_'",
        ),
    ]
