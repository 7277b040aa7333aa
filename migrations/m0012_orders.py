"""What lists are ordered by, and what is summed of them.

Each index takes the place of one that had no id at its end, but for those of payments by amount and of customers by
name. What no payment changes, on SQLite no payment writes.
"""

from collections.abc import Iterator
from typing import Final

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql
from migrations._sums import DATE, DAY, Summed, on_postgres, on_sqlite


def summed_invoices(dialect: str) -> Summed:
    """What is summed of invoices from here on."""
    day, date = DAY[dialect], DATE[dialect]
    received = "{row}.amount_paid + {row}.amount_paid_out_of_band"
    return Summed(
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
            "remaining": f"CASE WHEN {{row}}.status = 'OPEN' THEN {{row}}.total - ({received}) ELSE 0 END",
            "out_of_band": "{row}.amount_paid_out_of_band",
            "total": "{row}.total",
            "paid": received,
            "unpaid": f"CASE WHEN {{row}}.total > {received} THEN {{row}}.total - ({received}) ELSE 0 END",
        },
        ("currency", "status", "due_date", "paid_at", "total", "amount_paid", "amount_paid_out_of_band"),
        "invoices_summed",
        ("currency", "status", "due", "paid_on"),
    )


_SORT_NAME: Final = "ALTER TABLE customers ADD COLUMN sort_name TEXT"
"""Lower case of A to Z alone, compared by the numbers of the characters: the same order on every machine."""

_HAS_INVOICES: Final = "UPDATE customers SET has_invoices = TRUE WHERE id = NEW.customer_id AND NOT has_invoices"


def _on_sqlite() -> Iterator[str]:
    yield f"CREATE TRIGGER customers_invoiced_new AFTER INSERT ON invoices BEGIN {_HAS_INVOICES}; END"
    yield (
        "CREATE TRIGGER customers_invoiced_changed AFTER UPDATE OF customer_id ON invoices"
        f" WHEN OLD.customer_id IS NOT NEW.customer_id BEGIN {_HAS_INVOICES}; END"
    )
    for when in ("new", "gone", "changed"):
        yield f"DROP TRIGGER invoices_summed_{when}"
    yield from on_sqlite([summed_invoices("sqlite")])


def _on_postgres() -> Iterator[str]:
    yield (
        "CREATE FUNCTION customers_invoiced() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {_HAS_INVOICES}; RETURN NULL; END $$"
    )
    yield (
        "CREATE TRIGGER customers_invoiced_new AFTER INSERT ON invoices FOR EACH ROW"
        " EXECUTE FUNCTION customers_invoiced()"
    )
    yield (
        "CREATE TRIGGER customers_invoiced_changed AFTER UPDATE OF customer_id ON invoices FOR EACH ROW"
        " WHEN (OLD.customer_id IS DISTINCT FROM NEW.customer_id) EXECUTE FUNCTION customers_invoiced()"
    )
    for when in ("insert", "delete", "update"):
        yield f"DROP FUNCTION invoices_summed_{when} CASCADE"
    yield from on_postgres([summed_invoices("postgres")])


class Migration(BaseMigration):
    """Indexes that end with the id, names that sort, customers that have invoices, and sums of invoices' amounts."""

    dependencies = [("models", "m0011_filters")]
    operations = [
        Sql(
            "ALTER TABLE customers ADD COLUMN has_invoices {BOOL} NOT NULL DEFAULT FALSE",
            "UPDATE customers SET has_invoices = TRUE WHERE id IN (SELECT customer_id FROM invoices)",
            sqlite=[f"{_SORT_NAME} GENERATED ALWAYS AS (substr(lower(name), 1, 64)) VIRTUAL"],
            postgres=[f'{_SORT_NAME} COLLATE "C" GENERATED ALWAYS AS (substr(lower(name COLLATE "C"), 1, 64)) STORED'],
        ),
        Sql(
            "CREATE INDEX customers_by_name ON customers (workspace_id, sort_name, id)",
            "CREATE INDEX customers_invoiced_by_name ON customers (workspace_id, sort_name, id) WHERE has_invoices",
            "DROP INDEX invoices_by_due_day",
            "CREATE INDEX invoices_with_due_day ON invoices (workspace_id, due_date, id) WHERE due_date IS NOT NULL",
            "CREATE INDEX invoices_without_due_day ON invoices (workspace_id, id) WHERE due_date IS NULL",
            "DROP INDEX invoices_by_due_date",
            "CREATE INDEX invoices_open_by_due_day ON invoices (workspace_id, due_date, id) WHERE status = 'OPEN'",
            "DROP INDEX invoices_by_payment",
            "CREATE INDEX invoices_by_paid_at ON invoices (workspace_id, paid_at, id) WHERE paid_at IS NOT NULL",
            "DROP INDEX invoices_by_total",
            "CREATE INDEX invoices_by_amount ON invoices (workspace_id, currency, total, id)",
            "DROP INDEX payments_by_time",
            "CREATE INDEX payments_by_occurrence ON payments (workspace_id, occurred_at, id)",
            "CREATE INDEX payments_by_amount ON payments (workspace_id, currency, amount, id)",
            "ALTER TABLE invoice_sums ADD COLUMN total {SUM} NOT NULL DEFAULT 0",
            "ALTER TABLE invoice_sums ADD COLUMN paid {SUM} NOT NULL DEFAULT 0",
            "ALTER TABLE invoice_sums ADD COLUMN unpaid {SUM} NOT NULL DEFAULT 0",
            "DELETE FROM invoice_sums",
            sqlite=tuple(_on_sqlite()),
            postgres=tuple(_on_postgres()),
        ),
    ]
