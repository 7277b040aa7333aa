"""Sums by the quarter of an hour, of which the days of every time zone are made, and indexes of what needs attention."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql
from migrations._sums import QUARTER_HOUR, Summed, on_postgres, on_sqlite, tables


def summed(dialect: str) -> list[Summed]:
    """What is summed from here on."""
    quarter_hour = QUARTER_HOUR[dialect]
    return [
        Summed(
            "payments",
            "payment_quarter_hour_sums",
            {
                "quarter_hour": quarter_hour % {"at": "occurred_at"},
                "currency": "{row}.currency",
                "allocation": "{row}.allocation",
            },
            {"amount": "{row}.amount", "refunded": "{row}.amount_refunded", "overpaid": "{row}.overpaid"},
            ("currency", "occurred_at", "status", "allocation", "amount", "amount_refunded", "overpaid"),
            "payment_quarter_hours",
            ("quarter_hour", "currency", "allocation"),
            "{row}.status = 'SUCCEEDED'",
        ),
        Summed(
            "invoices",
            "out_of_band_quarter_hour_sums",
            {"quarter_hour": quarter_hour % {"at": "paid_at"}, "currency": "{row}.currency"},
            {"amount": "{row}.amount_paid_out_of_band"},
            ("currency", "paid_at", "amount_paid_out_of_band"),
            "out_of_band_quarter_hours",
            ("quarter_hour", "currency"),
            "{row}.amount_paid_out_of_band > 0 AND {row}.paid_at IS NOT NULL",
        ),
    ]


class Migration(BaseMigration):
    """Sums of what came in, by time; those by day are found by their days first."""

    dependencies = [("models", "m0008_rare")]
    operations = [
        Sql(
            *tables(summed("sqlite")),
            "DROP INDEX payment_sums_by_key",
            "CREATE INDEX payment_sums_by_day ON payment_sums (workspace_id, day, currency, status, allocation)",
            "DROP INDEX invoice_sums_by_key",
            "CREATE INDEX invoice_sums_by_day ON invoice_sums (workspace_id, paid_on, status, due, currency)",
            """
            CREATE INDEX payments_to_apply ON payments (workspace_id, id)
            WHERE allocation = 'UNAPPLIED' AND status = 'SUCCEEDED' AND amount_refunded < amount
            """,
            "CREATE INDEX payments_overpaid ON payments (workspace_id, id) WHERE overpaid > amount_refunded",
            "CREATE INDEX payment_links_failed ON payment_links (workspace_id, id) WHERE status = 'FAILED'",
            sqlite=tuple(on_sqlite(summed("sqlite"))),
            postgres=tuple(on_postgres(summed("postgres"))),
        ),
    ]
