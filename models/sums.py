"""Sums of payments, invoices and webhook events, which triggers in the database keep up to date.

On SQLite, where one transaction writes at a time, a change adds to the row of its key. On PostgreSQL a change inserts a
row instead, so that no writer waits for another; the sum is that of all rows with its key. A merge inserts the sum of
the rows that it deletes: however many merges run at once, nothing is lost or counted twice.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from database.access import fetch, reading_dialect, retrying, transaction
from database.dialect import Dialect
from database.transaction import Row, Transaction
from models.amounts import REMAINING_OF_OPEN

MERGED_AT_ONCE: Final = 2_000


class Sums(NamedTuple):
    """A table of sums: its keys besides the workspace, and its values.

    `keys` and `values` are SQL on the rows of `summed`; only rows that meet `where` count. `DAY(…)` and `DATE(…)` stand
    for the day of an instant and of a date as text, `QUARTER_HOUR(…)` for the beginning of an instant's quarter of an
    hour.
    """

    table: str
    summed: str
    keys: dict[str, str]
    values: dict[str, str]
    where: str = "TRUE"


SUMS: Final = (
    Sums(
        "payment_sums",
        "payments",
        {"currency": "currency", "day": "DAY(occurred_at)", "status": "status", "allocation": "allocation"},
        {"amount": "amount", "refunded": "amount_refunded", "overpaid": "overpaid"},
    ),
    Sums(
        "payment_totals",
        "payments",
        {"currency": "currency", "status": "status", "allocation": "allocation"},
        {"number": "1", "amount": "amount", "refunded": "amount_refunded", "overpaid": "overpaid"},
    ),
    Sums(
        "invoice_sums",
        "invoices",
        {
            "currency": "currency",
            "status": "status",
            "due": "CASE WHEN status = 'OPEN' THEN DATE(due_date) ELSE '' END",
            "paid_on": "CASE WHEN amount_paid_out_of_band > 0 THEN DAY(paid_at) ELSE '' END",
        },
        {"number": "1", "remaining": REMAINING_OF_OPEN, "out_of_band": "amount_paid_out_of_band"},
    ),
    Sums(
        "invoice_totals",
        "invoices",
        {"currency": "currency", "status": "status"},
        {
            "number": "1",
            "remaining": REMAINING_OF_OPEN,
            "out_of_band": "CASE WHEN paid_at IS NULL THEN 0 ELSE amount_paid_out_of_band END",
            "total": "total",
            "paid": "amount_paid + amount_paid_out_of_band",
            "unpaid": "CASE WHEN total > amount_paid + amount_paid_out_of_band"
            " THEN total - amount_paid - amount_paid_out_of_band ELSE 0 END",
        },
    ),
    Sums("webhook_event_sums", "webhook_events", {"status": "status", "type": "coalesce(type, '')"}, {"number": "1"}),
    Sums(
        "payment_quarter_hour_sums",
        "payments",
        {"quarter_hour": "QUARTER_HOUR(occurred_at)", "currency": "currency", "allocation": "allocation"},
        {"amount": "amount", "refunded": "amount_refunded", "overpaid": "overpaid"},
        where="status = 'SUCCEEDED'",
    ),
    Sums(
        "out_of_band_quarter_hour_sums",
        "invoices",
        {"quarter_hour": "QUARTER_HOUR(paid_at)", "currency": "currency"},
        {"amount": "amount_paid_out_of_band"},
        where="amount_paid_out_of_band > 0 AND paid_at IS NOT NULL",
    ),
)

_AS_TEXT: Final = {
    "sqlite": {
        "DAY": r"coalesce(substr(\1, 1, 10), '')",
        "DATE": r"coalesce(\1, '')",
        "QUARTER_HOUR": r"substr(\1, 1, 14) || substr('0' || (substr(\1, 15, 2) / 15 * 15), -2)",
    },
    "postgres": {
        "DAY": r"coalesce(to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '')",
        "DATE": r"coalesce(to_char(\1, 'YYYY-MM-DD'), '')",
        "QUARTER_HOUR": r"to_char(date_bin('15 minutes', \1, 'epoch') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')",
    },
}

Key = tuple[str, ...]
Values = tuple[int, ...]


async def merge_all() -> int:
    """Merge the rows that changes have inserted; return how many. On SQLite triggers have done this already."""
    if reading_dialect() == "sqlite":
        return 0
    merged = 0
    for sums in SUMS:
        # PostgreSQL would read a small table whole, and the table grows with every day.
        waiting = await fetch(f"SELECT 1 FROM {sums.table} WHERE NOT is_merged ORDER BY id LIMIT 1")  # noqa: S608
        taken = MERGED_AT_ONCE if waiting else 0
        while taken == MERGED_AT_ONCE:
            async with transaction() as tx:
                taken = await merge(tx, sums)
            merged += taken
    return merged


async def merge(tx: Transaction, sums: Sums) -> int:
    """Merge some of the rows that changes have inserted into one per key; return how many rows were merged."""
    key, columns = ", ".join(_names(sums)), _columns(sums)
    added = ", ".join(f"{value} = t.{value} + excluded.{value}" for value in sums.values)
    nothing = " AND ".join(f"{value} = 0" for value in sums.values)
    rows = await tx.fetch(
        f"WITH taken AS (DELETE FROM {sums.table} WHERE id IN (SELECT id FROM {sums.table} WHERE NOT is_merged"  # noqa: S608
        f" ORDER BY id LIMIT {MERGED_AT_ONCE} FOR UPDATE SKIP LOCKED) RETURNING {columns}),"
        f" merged AS (INSERT INTO {sums.table} AS t ({columns}, is_merged)"
        f" SELECT {key}, {', '.join(f'SUM({value})' for value in sums.values)}, TRUE FROM taken"
        f" GROUP BY {key} ORDER BY {key}"  # if two merges run at once, one waits for the other
        f" ON CONFLICT ({key}) WHERE is_merged DO UPDATE SET {added} RETURNING id, {', '.join(sums.values)})"
        f" SELECT (SELECT COUNT(*) FROM taken) AS taken, ARRAY(SELECT id FROM merged WHERE {nothing}) AS of_nothing"
    )
    if rows[0]["of_nothing"]:
        await tx.execute(f"DELETE FROM {sums.table} WHERE id = ANY($1)", rows[0]["of_nothing"])  # noqa: S608
    return int(rows[0]["taken"])


def _names(sums: Sums) -> tuple[str, ...]:
    return "workspace_id", *sums.keys


def _columns(sums: Sums) -> str:
    return ", ".join((*_names(sums), *sums.values))


def _key(sums: Sums, row: Row) -> Key:
    return tuple(row[name] for name in _names(sums))


def _values(sums: Sums, row: Row) -> Values:
    return tuple(int(row[name]) for name in sums.values)


# --- From scratch ----------------------------------------------------------------------------------------------


class Mistake(NamedTuple):
    """A stored sum that differs from the rows; `kept` and `counted` are in the order of the table's values."""

    table: str
    key: Key
    kept: Values
    counted: Values


async def mistakes() -> list[Mistake]:
    """Find stored sums that differ from the rows: there are none unless somebody bypassed the triggers.

    It reads all rows. Changes made meanwhile may show up as mistakes.
    """
    found = []
    for sums in SUMS:
        kept = _by_key(sums, await fetch(_grouped(sums, sums.table, sums.keys, sums.values)))
        keys, values = _from_scratch(sums, reading_dialect())
        counted = _by_key(sums, await fetch(_grouped(sums, sums.summed, keys, values)))
        nothing = (0,) * len(sums.values)
        found += [
            Mistake(sums.table, key, kept.get(key, nothing), counted.get(key, nothing))
            for key in sorted({*kept, *counted})
            if kept.get(key, nothing) != counted.get(key, nothing)
        ]
    return found


async def rebuild() -> None:
    """Sum all rows again; writers wait meanwhile."""
    await retrying(_rebuild)


async def _rebuild() -> None:
    async with transaction() as tx:
        if tx.dialect == "postgres":  # in the order in which writers and merges lock them
            await tx.execute("LOCK TABLE invoices, payments, webhook_events IN SHARE MODE")
            await tx.execute(f"LOCK TABLE {', '.join(sums.table for sums in SUMS)} IN EXCLUSIVE MODE")
        for sums in SUMS:
            await tx.execute(f"DELETE FROM {sums.table}")  # noqa: S608
            selected = _grouped(sums, sums.summed, *_from_scratch(sums, tx.dialect), more=", TRUE")
            await tx.execute(f"INSERT INTO {sums.table} ({_columns(sums)}, is_merged) {selected}")


def _from_scratch(sums: Sums, dialect: Dialect) -> tuple[dict[str, str], dict[str, str]]:
    keys = dict(sums.keys)
    for name, text in _AS_TEXT[dialect].items():
        keys = {key: re.sub(rf"\b{name}\((\w+)\)", text, value) for key, value in keys.items()}
    return keys, sums.values


def _grouped(sums: Sums, table: str, keys: dict[str, str], values: dict[str, str], more: str = "") -> str:
    named = [f"{keys[name] if table == sums.summed else name} AS {name}" for name in sums.keys]
    summed = [f"SUM({values[name] if table == sums.summed else name}) AS {name}" for name in sums.values]
    groups = ", ".join(str(place) for place in range(1, len(named) + 2))
    columns = ", ".join(["workspace_id", *named, *summed])
    where = sums.where if table == sums.summed else "TRUE"
    return f"SELECT {columns}{more} FROM {table} WHERE {where} GROUP BY {groups}"  # noqa: S608


def _by_key(sums: Sums, rows: Sequence[Row]) -> dict[Key, Values]:
    found = {_key(sums, row): _values(sums, row) for row in rows}
    return {key: values for key, values in found.items() if any(values)}
