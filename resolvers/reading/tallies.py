"""Adds up a list by currency: from stored sums, where there are fitting ones, otherwise up to the limit of a count."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from tortoise.connection import get_connection
from tortoise.queryset import QuerySet

from database.access import fetch, reading_dialect
from database.bulk import listed, texts_at
from database.dialect import READER
from database.transaction import Row
from models.instant import utc_today
from resolvers.reading import counts
from resolvers.reading.narrowing import Narrowing, pieces
from resolvers.reading.shared import SharedLoader
from resolvers.reading.statement import statement_of

Measures = Mapping[str, str]
"""SQL of what is added up, by name; each is a whole number of a row."""

Sums = Mapping[str, int]

_RECEIVED: Final = "amount_paid + amount_paid_out_of_band"

INVOICE_MEASURES: Final = {
    "total": "total",
    "paid": _RECEIVED,
    "unpaid": f"CASE WHEN total > {_RECEIVED} THEN total - ({_RECEIVED}) ELSE 0 END",
    "open": f"CASE WHEN status = 'OPEN' THEN total - ({_RECEIVED}) ELSE 0 END",
}
KEPT_INVOICE_MEASURES: Final = {"total": "total", "paid": "paid", "unpaid": "unpaid", "open": "remaining"}
"""The same, in the stored sums."""

PAYMENT_MEASURES: Final = {
    "received": "CASE WHEN status = 'SUCCEEDED' THEN amount ELSE 0 END",
    "refunded": "CASE WHEN status = 'SUCCEEDED' THEN amount_refunded ELSE 0 END",
}
KEPT_PAYMENT_MEASURES: Final = {
    "received": PAYMENT_MEASURES["received"],
    "refunded": "CASE WHEN status = 'SUCCEEDED' THEN refunded ELSE 0 END",
}

_PART: Final = 1_000_000


class Tally(NamedTuple):
    """Sums of one currency, exact or lower bounds, and the `number` of rows."""

    by_currency: Mapping[str, Sums]
    is_exact: bool = True


def summing(measures: Measures) -> str:
    """Write the columns of a statement that adds up; SQLite's integers end at 2⁶³, so it adds up in two parts."""
    if reading_dialect() == "postgres":
        return ", ".join(f"SUM({sql}) AS {name}" for name, sql in measures.items())
    parts = ((f"({sql}) / {_PART}", f"({sql}) % {_PART}", name) for name, sql in measures.items())
    return ", ".join(f"SUM({high}) AS {name}_high, SUM({low}) AS {name}" for high, low, name in parts)


def summed_in(row: Row, measures: Measures) -> dict[str, int]:
    """Read the sums of a row of such a statement."""
    if reading_dialect() == "postgres":
        return {name: int(row[name]) for name in measures}
    return {name: row[f"{name}_high"] * _PART + row[name] for name in measures}


async def tally_kept(table: str, workspace_id: str, measures: Measures, **among: Sequence[str] | None) -> Tally:
    """Add up a table of sums, of those whose keys are among the values; None means any value."""
    measures = {"number": "number", **measures}
    where, values = counts.conditions(workspace_id, **among)
    found = await fetch(
        f"SELECT currency, {summing(measures)} FROM {table} WHERE {where} GROUP BY currency",  # noqa: S608
        *values,
    )
    return Tally(_in_order({row["currency"]: summed_in(row, measures) for row in found}))


async def tally(rows: QuerySet[Any], narrowings: Sequence[Narrowing], measures: Measures) -> Tally:
    """Add up the rows that meet all conditions, up to the limit of a count."""
    measures, left = {"number": "1", **measures}, counts.COUNTED
    together: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(measures, 0))
    for some in await pieces(rows, narrowings):
        for currency, sums in (await _tally_of(some.limit(left + 1), measures)).items():
            together[currency] = {name: together[currency][name] + value for name, value in sums.items()}
            left -= sums["number"]
        if left < 0:
            return Tally(_in_order(together), is_exact=False)
    return Tally(_in_order(together))


async def _tally_of(few: QuerySet[Any], measures: Measures) -> dict[str, dict[str, int]]:
    sql, values = statement_of(few).get_parameterized_sql()
    statement = f"SELECT currency, {summing(measures)} FROM ({sql}) AS few GROUP BY currency"  # noqa: S608
    found = await get_connection(READER).execute_query_dict(statement, values)
    return {row["currency"]: summed_in(row, measures) for row in found}


def _in_order(by_currency: Mapping[str, Sums]) -> dict[str, Sums]:
    return {currency: by_currency[currency] for currency in sorted(by_currency) if by_currency[currency]["number"]}


class CustomerTallies(SharedLoader[Tally]):
    """Adds up each customer's invoices, up to the limit of a count."""

    def __init__(self, workspace_id: str) -> None:
        super().__init__()
        self._workspace_id = workspace_id
        self._measures = {"number": "1", **_of_customer(utc_today())}

    async def batch_load_fn(self, keys: list[str]) -> list[Tally]:
        """Load the sums of each customer, in the order of the keys."""
        dialect = reading_dialect()
        sql = _OF_CUSTOMERS[dialect].format(summing=summing(self._measures), most=counts.COUNTED + 1, keys=texts_at(2))
        found: dict[str, dict[str, Sums]] = defaultdict(dict)
        for row in await fetch(sql, self._workspace_id, listed(dialect, keys)):
            found[row["customer"]][row["currency"]] = summed_in(row, self._measures)
        return [self._tally(found[key]) for key in keys]

    def _tally(self, by_currency: Mapping[str, Sums]) -> Tally:
        number = sum(sums["number"] for sums in by_currency.values())
        return Tally(_in_order(by_currency), number <= counts.COUNTED)


def _of_customer(today: date) -> Measures:
    return {
        "invoiced": "CASE WHEN status IN ('OPEN', 'PAID', 'UNCOLLECTIBLE') THEN total ELSE 0 END",
        "paid": INVOICE_MEASURES["paid"],
        "open": INVOICE_MEASURES["open"],
        "overdue": f"CASE WHEN due_date < '{today.isoformat()}' THEN {INVOICE_MEASURES['open']} ELSE 0 END",
    }


_OF_CUSTOMERS: Final = {
    "postgres": """
        SELECT k.value AS customer, found.* FROM unnest({keys}) k (value) CROSS JOIN LATERAL (
            SELECT currency, {summing} FROM (
                SELECT t.* FROM invoices t WHERE t.customer_id = k.value LIMIT {most}
            ) few WHERE workspace_id = $1 GROUP BY currency
        ) found
    """,
    "sqlite": """
        SELECT k.value AS customer, i.currency, {summing} FROM json_each($2) k CROSS JOIN invoices i ON i.rowid IN (
            SELECT t.rowid FROM invoices t WHERE t.customer_id = k.value AND +t.workspace_id = $1
            LIMIT {most}
        ) GROUP BY 1, 2
    """,
}
"""Looks up each customer's invoices by their index, up to a number."""
