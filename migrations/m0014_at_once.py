"""Sums that cost a payment less, and an index of webhook events by Stripe's id that few are in."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations import m0007_sums, m0009_times, m0012_orders
from migrations._sql import Sql
from migrations._sums import Summed, at_once_on_sqlite, merged


def _summed(dialect: str) -> list[Summed]:
    others = [each for each in m0007_sums.summed(dialect) if each.table != "invoices"]
    return [*others, m0012_orders.summed_invoices(dialect), *m0009_times.summed(dialect)]


class Migration(BaseMigration):
    """One row for each key of a sum; SQLite adds to it at once, and PostgreSQL merges into it with one statement.

    Nearly every webhook event is known by Stripe's id to its integration, so an index of that for all of them was
    written for a few. What is committed between two statements of the merge would be lost: nothing is, while the tables
    are locked.
    """

    dependencies = [("models", "m0013_metadata")]
    operations = [
        Sql(postgres=[f"LOCK TABLE {', '.join(each.sums for each in _summed('postgres'))} IN EXCLUSIVE MODE"]),
        Sql(
            *merged(_summed("sqlite")),
            "DROP INDEX webhook_events_by_stripe_id",
            """
            CREATE INDEX webhook_events_by_other_id ON webhook_events (workspace_id, provider_event_id)
            WHERE provider_event_id <> delivery_key
            """,
            sqlite=tuple(at_once_on_sqlite(_summed("sqlite"))),
        ),
    ]
