"""What makes the inbox whole: quarantine, rotation, reconciliation, refunds and disputes."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Columns for deliveries that wait for a secret, for what Stripe was asked, and for money that goes back."""

    dependencies = [("models", "m0001_initial")]
    operations = [
        Sql(
            "ALTER TABLE integrations ADD COLUMN webhook_endpoint_id TEXT",
            "ALTER TABLE integrations ADD COLUMN previous_webhook_secret_preview TEXT",
            "ALTER TABLE integrations ADD COLUMN findings TEXT",
            "ALTER TABLE integrations ADD COLUMN checked_at {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN quarantine_refused {BIGINT} NOT NULL DEFAULT 0",
            "ALTER TABLE integration_traffic ADD COLUMN quarantine_logged_at {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN secret_matched_at {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN previous_secret_matched_at {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN secret_alone_since {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN synced_until {INSTANT}",
            "ALTER TABLE integration_traffic ADD COLUMN sync_due_at {INSTANT}",
            "ALTER TABLE payment_links ADD COLUMN checked_at {INSTANT}",
            "ALTER TABLE payments ADD COLUMN refund_decided_by TEXT",
            "ALTER TABLE payments ADD COLUMN failed_refunds TEXT",
            "ALTER TABLE payments ADD COLUMN dispute_decided_by TEXT",
            "ALTER TABLE webhook_events ADD COLUMN posts TEXT",
        ),
    ]
