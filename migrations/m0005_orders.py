"""What Stripe invoices with several payments need besides: which payments pay the same one, and what was paid outside.

Events that an earlier version could not read, or left to a person, are marked so that this one tries them again.
"""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """A Stripe invoice's id is no longer a name of its payments, but what they have in common."""

    dependencies = [("models", "m0004_scale")]
    operations = [
        Sql(
            "ALTER TABLE payments ADD COLUMN order_id TEXT",
            """
            UPDATE payments SET order_id = (
                SELECT MIN(r.provider_id) FROM payment_references r
                WHERE r.payment_id = payments.id AND substr(r.provider_id, 1, 3) = 'in_'
            ) WHERE id IN (SELECT payment_id FROM payment_references WHERE substr(provider_id, 1, 3) = 'in_')
            """,
            """
            DELETE FROM payment_references WHERE substr(provider_id, 1, 3) = 'in_' AND EXISTS (
                SELECT 1 FROM payments p WHERE p.id = payment_id AND p.provider_payment_id <> provider_id
            )
            """,
            "CREATE INDEX payments_by_order ON payments (workspace_id, order_id) WHERE order_id IS NOT NULL",
            "ALTER TABLE invoices ADD COLUMN marked_paid TEXT",
            """
            UPDATE webhook_events SET reader_version = 2
            WHERE reader_version IS NULL AND reason_code IN ('UNREADABLE_PAYLOAD', 'OUT_OF_BAND_PARTLY')
            """,
        ),
    ]
