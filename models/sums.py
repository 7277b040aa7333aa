"""Sums of payments, invoices and webhook events that the database keeps by triggers, and their merging.

A change adds a row, so a sum is that of all rows of its key. Whoever merges inserts what it deleted: however many do
so at once, nothing is lost and nothing counts twice.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from database.bulk import insert_rows
from database.door import Row, Transaction, transaction

MERGED_AT_ONCE: Final = 2_000
_LARGEST: Final = 2**62
"""What SQLite holds is merged no further than this: it has no larger numbers."""


class Sums(NamedTuple):
    """A table of sums: what they are kept by besides the workspace, and what is summed."""

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


SUMS: Final = (
    Sums("payment_sums", ("currency", "day", "status", "allocation"), ("number", "amount", "refunded", "overpaid")),
    Sums("invoice_sums", ("currency", "status", "due", "paid_on"), ("number", "remaining", "out_of_band")),
    Sums("webhook_event_sums", ("status", "type"), ("number",)),
)

Key = tuple[str, ...]
Values = tuple[int, ...]


async def merge_all() -> int:
    """Merge the rows that changes have added; how many there were."""
    merged = 0
    for sums in SUMS:
        taken = MERGED_AT_ONCE
        while taken == MERGED_AT_ONCE:
            async with transaction() as tx:
                taken = await merge(tx, sums)
            merged += taken
    return merged


async def merge(tx: Transaction, sums: Sums) -> int:
    """Merge some rows that changes have added, each with those of its key; how many were taken."""
    skipping = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgres" else ""
    added = await tx.fetch(
        f"DELETE FROM {sums.table} WHERE id IN (SELECT id FROM {sums.table} WHERE NOT is_merged"  # noqa: S608
        f" ORDER BY id LIMIT {MERGED_AT_ONCE}{skipping}) RETURNING {_columns(sums)}"
    )
    rows: dict[Key, list[Values]] = defaultdict(list)
    for row in added:
        rows[_key(sums, row)].append(_values(sums, row))
    for key in sorted(rows):
        same = " AND ".join(f"{name} = ${position}" for position, name in enumerate(_names(sums), start=1))
        known = await tx.fetch(
            f"DELETE FROM {sums.table} WHERE {same} AND is_merged RETURNING {_columns(sums)}",  # noqa: S608
            *key,
        )
        rows[key] += [_values(sums, row) for row in known]
    together = [(*key, *values, True) for key, found in rows.items() for values in _added_up(found) if any(values)]
    await insert_rows(tx, sums.table, _types(sums), together)
    return len(added)


def _added_up(rows: Sequence[Values]) -> list[Values]:
    """The rows as one, or as few as there can be."""
    few = [rows[0]]
    for row in rows[1:]:
        total = tuple(one + other for one, other in zip(few[-1], row, strict=True))
        if max(map(abs, total)) > _LARGEST:
            few.append(row)
        else:
            few[-1] = total
    return few


def _names(sums: Sums) -> tuple[str, ...]:
    return "workspace_id", *sums.keys


def _columns(sums: Sums) -> str:
    return ", ".join((*_names(sums), *sums.values))


def _types(sums: Sums) -> dict[str, str]:
    return dict.fromkeys(_names(sums), "text") | dict.fromkeys(sums.values, "numeric") | {"is_merged": "boolean"}


def _key(sums: Sums, row: Row) -> Key:
    return tuple(row[name] for name in _names(sums))


def _values(sums: Sums, row: Row) -> Values:
    return tuple(int(row[name]) for name in sums.values)
