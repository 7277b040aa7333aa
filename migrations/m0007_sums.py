"""Sums that are kept: what a total or a count would otherwise be counted from, all of a workspace's rows."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql
from migrations._sums import DATE, DAY, Summed, on_postgres, on_sqlite, tables


def summed(dialect: str) -> list[Summed]:
    """What is summed from here on."""
    day, date = DAY[dialect], DATE[dialect]
    return [
        Summed(
            "payments",
            "payment_sums",
            {
                "currency": "{row}.currency",
                "day": day % "occurred_at",
                "status": "{row}.status",
                "allocation": "{row}.allocation",
            },
            {
                "number": "1",
                "amount": "{row}.amount",
                "refunded": "{row}.amount_refunded",
                "overpaid": "{row}.overpaid",
            },
            ("currency", "occurred_at", "status", "allocation", "amount", "amount_refunded", "overpaid"),
            "payments_summed",
            ("currency", "day", "status", "allocation"),
        ),
        Summed(
            "invoices",
            "invoice_sums",
            {
                "currency": "{row}.currency",
                "status": "{row}.status",
                "due": f"CASE WHEN {{row}}.status = 'OPEN' THEN {date % 'due_date'} ELSE '' END",
                "paid_on": f"CASE WHEN {{row}}.amount_paid_out_of_band > 0 THEN {day % 'paid_at'} ELSE '' END",
            },
            {
                "number": "1",
                "remaining": "CASE WHEN {row}.status = 'OPEN'"
                " THEN {row}.total - {row}.amount_paid - {row}.amount_paid_out_of_band ELSE 0 END",
                "out_of_band": "{row}.amount_paid_out_of_band",
            },
            ("currency", "status", "due_date", "paid_at", "total", "amount_paid", "amount_paid_out_of_band"),
            "invoices_summed",
            ("currency", "status", "due", "paid_on"),
        ),
        Summed(
            "webhook_events",
            "webhook_event_sums",
            {"status": "{row}.status", "type": "coalesce({row}.type, '')"},
            {"number": "1"},
            ("status", "type"),
            "webhook_events_summed",
            ("status", "type"),
        ),
    ]


class Migration(BaseMigration):
    """The sums, what keeps them, and the indexes by which the rest of a day is counted."""

    dependencies = [("models", "m0006_neutral")]
    operations = [
        Sql(
            *tables(summed("sqlite")),
            "CREATE INDEX payments_by_time ON payments (workspace_id, occurred_at)",
            """
            CREATE INDEX invoices_paid_out_of_band ON invoices (workspace_id, paid_at)
            WHERE amount_paid_out_of_band > 0
            """,
            sqlite=tuple(on_sqlite(summed("sqlite"))),
            postgres=tuple(on_postgres(summed("postgres"))),
        ),
    ]
