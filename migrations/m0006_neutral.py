"""Ids that a payment provider gives are named for what they are, not for who gave them."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Columns under other names; what is in them stays."""

    dependencies = [("models", "m0005_orders")]
    operations = [
        Sql(
            "ALTER TABLE integrations RENAME COLUMN stripe_account_id TO provider_account_id",
            "ALTER TABLE payment_links RENAME COLUMN stripe_id TO provider_id",
            "ALTER TABLE webhook_events RENAME COLUMN stripe_event_id TO provider_event_id",
        ),
    ]
