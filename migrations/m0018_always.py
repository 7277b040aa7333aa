"""Sums of all time beside those of each day."""

from collections.abc import Iterator
from typing import Final

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql
from migrations._sums import DATE, DAY, Summed, at_once_on_sqlite, merged, on_postgres, on_sqlite, tables

_RECEIVED: Final = "{row}.amount_paid + {row}.amount_paid_out_of_band"
_REMAINING: Final = f"CASE WHEN {{row}}.status = 'OPEN' THEN {{row}}.total - ({_RECEIVED}) ELSE 0 END"


def by_day(dialect: str) -> list[Summed]:
    """What is summed by day from here on: no longer what is asked for of all time alone."""
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
            {"amount": "{row}.amount", "refunded": "{row}.amount_refunded", "overpaid": "{row}.overpaid"},
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
            {"number": "1", "remaining": _REMAINING, "out_of_band": "{row}.amount_paid_out_of_band"},
            ("currency", "status", "due_date", "paid_at", "total", "amount_paid", "amount_paid_out_of_band"),
            "invoices_summed",
            ("currency", "status", "due", "paid_on"),
        ),
    ]


ALWAYS: Final = [
    Summed(
        "payments",
        "payment_totals",
        {"currency": "{row}.currency", "status": "{row}.status", "allocation": "{row}.allocation"},
        {"number": "1", "amount": "{row}.amount", "refunded": "{row}.amount_refunded", "overpaid": "{row}.overpaid"},
        ("currency", "status", "allocation", "amount", "amount_refunded", "overpaid"),
        "payments_totalled",
        ("currency", "status", "allocation"),
    ),
    Summed(
        "invoices",
        "invoice_totals",
        {"currency": "{row}.currency", "status": "{row}.status"},
        {
            "number": "1",
            "remaining": _REMAINING,
            "out_of_band": "CASE WHEN {row}.paid_at IS NULL THEN 0 ELSE {row}.amount_paid_out_of_band END",
            "total": "{row}.total",
            "paid": _RECEIVED,
            "unpaid": f"CASE WHEN {{row}}.total > {_RECEIVED} THEN {{row}}.total - ({_RECEIVED}) ELSE 0 END",
        },
        ("currency", "status", "paid_at", "total", "amount_paid", "amount_paid_out_of_band"),
        "invoices_totalled",
        ("currency", "status"),
    ),
]
"""What is summed of all time from here on."""


def _dropped_on_sqlite() -> Iterator[str]:
    for each in by_day("sqlite"):
        for when in ("new", "gone", "changed"):
            yield f"DROP TRIGGER {each.name}_{when}"
        yield f"DROP TRIGGER {each.sums}_of_nothing"


def _dropped_on_postgres() -> Iterator[str]:
    yield "LOCK TABLE invoices, payments IN SHARE ROW EXCLUSIVE MODE"
    yield "LOCK TABLE payment_sums, invoice_sums IN ACCESS EXCLUSIVE MODE"
    for each in by_day("postgres"):
        for when in ("insert", "delete", "update"):
            yield f"DROP FUNCTION {each.name}_{when} CASCADE"


class Migration(BaseMigration):
    """What a total of all time is read from: a few rows, however many years there are.

    Nothing is lost or counted twice: nobody writes meanwhile.
    """

    dependencies = [("models", "m0017_lz4")]
    operations = [
        Sql(sqlite=tuple(_dropped_on_sqlite()), postgres=tuple(_dropped_on_postgres())),
        Sql(
            "DELETE FROM payment_sums",
            "ALTER TABLE payment_sums DROP COLUMN number",
            "DELETE FROM invoice_sums",
            "ALTER TABLE invoice_sums DROP COLUMN total",
            "ALTER TABLE invoice_sums DROP COLUMN paid",
            "ALTER TABLE invoice_sums DROP COLUMN unpaid",
            *tables(ALWAYS),
            *merged(ALWAYS),
            sqlite=(
                *on_sqlite([*by_day("sqlite"), *ALWAYS]),
                *at_once_on_sqlite([*by_day("sqlite"), *ALWAYS]),
            ),
            postgres=tuple(on_postgres([*by_day("postgres"), *ALWAYS])),
        ),
    ]
