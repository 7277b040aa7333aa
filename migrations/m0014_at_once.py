"""Sums that cost a payment less, and indexes of payments by currency and of webhook events by Stripe's id."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations import m0007_sums, m0009_times
from migrations._sql import Sql
from migrations._sums import Summed, at_once_on_sqlite, merged


def _summed(dialect: str) -> list[Summed]:
    return [*m0007_sums.summed(dialect), *m0009_times.summed(dialect)]


class Migration(BaseMigration):
    """One row for each key of a sum; SQLite adds to it at once, and PostgreSQL merges into it with one statement.

    Nearly every webhook event is known by Stripe's id to its integration, so an index of that for all of them was
    written for a few.
    """

    dependencies = [("models", "m0013_metadata")]
    operations = [
        Sql(
            *merged(_summed("sqlite")),
            "DROP INDEX webhook_events_by_stripe_id",
            """
            CREATE INDEX webhook_events_by_other_id ON webhook_events (workspace_id, provider_event_id)
            WHERE provider_event_id <> delivery_key
            """,
            "CREATE INDEX payments_by_currency ON payments (workspace_id, currency, id)",
            sqlite=tuple(at_once_on_sqlite(_summed("sqlite"))),
        ),
    ]
