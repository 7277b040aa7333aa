"""The sums that are kept: whatever is changed, they are what would be counted, and merging them changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from database.access import Database, fetch, reading_dialect, transaction
from models.instant import from_row
from models.sums import SUMS, merge, merge_all, mistakes, rebuild
from tests.models.rows import AT, ROWS, insert, insert_all
from tests.world.eventually import eventually

PARENTS = ("workspaces", "integrations", "customers", "invoices")


@pytest.fixture
async def on_postgres(migrated_postgres_url: str) -> AsyncIterator[Database]:
    """Where changes add rows that are merged later."""
    async with Database(migrated_postgres_url) as opened:
        yield opened


async def kept() -> dict[str, dict[tuple[Any, ...], tuple[int, ...]]]:
    """The sums of all keys that have any."""
    found = {}
    for sums in SUMS:
        names = ", ".join(("workspace_id", *sums.keys))
        values = ", ".join(f"SUM({value}) AS {value}" for value in sums.values)
        rows = await fetch(f"SELECT {names}, {values} FROM {sums.table} GROUP BY {names}")
        each = {
            tuple(row[name] for name in ("workspace_id", *sums.keys)): tuple(int(row[name]) for name in sums.values)
            for row in rows
        }
        found[sums.table] = {key: numbers for key, numbers in each.items() if any(numbers)}
    return found


async def counted() -> dict[str, dict[tuple[Any, ...], tuple[int, ...]]]:
    """The same, from the rows that are summed."""
    found: dict[str, dict[tuple[Any, ...], tuple[int, ...]]] = {sums.table: {} for sums in SUMS}
    for row in await fetch("SELECT * FROM payments"):
        key: tuple[Any, ...] = (
            row["workspace_id"],
            row["currency"],
            str(row["occurred_at"])[:10],
            row["status"],
            row["allocation"],
        )
        received = (row["amount"], row["amount_refunded"], row["overpaid"])
        _add(found["payment_sums"], key, received)
        key = (row["workspace_id"], row["currency"], row["status"], row["allocation"])
        _add(found["payment_totals"], key, (1, *received))
        if row["status"] == "SUCCEEDED":
            key = (row["workspace_id"], _quarter_hour(row["occurred_at"]), row["currency"], row["allocation"])
            _add(found["payment_quarter_hour_sums"], key, received)
    for row in await fetch("SELECT * FROM invoices"):
        is_open = row["status"] == "OPEN"
        due = str(row["due_date"]) if is_open and row["due_date"] else ""
        paid_on = str(row["paid_at"])[:10] if row["amount_paid_out_of_band"] and row["paid_at"] else ""
        paid = row["amount_paid"] + row["amount_paid_out_of_band"]
        remaining = row["total"] - paid if is_open else 0
        key = (row["workspace_id"], row["currency"], row["status"], due, paid_on)
        out_of_band = row["amount_paid_out_of_band"]
        _add(found["invoice_sums"], key, (1, remaining, out_of_band))
        key = (row["workspace_id"], row["currency"], row["status"])
        owed = (row["total"], paid, max(0, row["total"] - paid))
        _add(found["invoice_totals"], key, (1, remaining, out_of_band if row["paid_at"] else 0, *owed))
        if paid_on:
            key = (row["workspace_id"], _quarter_hour(row["paid_at"]), row["currency"])
            _add(found["out_of_band_quarter_hour_sums"], key, (row["amount_paid_out_of_band"],))
    for row in await fetch("SELECT workspace_id, status, type FROM webhook_events"):
        _add(found["webhook_event_sums"], (row["workspace_id"], row["status"], row["type"] or ""), (1,))
    return found


def _quarter_hour(at: datetime | str) -> str:
    at = from_row(at)
    return f"{at:%Y-%m-%d %H}:{at.minute // 15 * 15:02d}"


def _add(sums: dict[tuple[Any, ...], tuple[int, ...]], key: tuple[Any, ...], values: tuple[int, ...]) -> None:
    before = sums.get(key, (0,) * len(values))
    sums[key] = tuple(one + other for one, other in zip(before, values, strict=True))


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("payments", {"amount": 1234, "overpaid": 0}),
    ("payments", {"amount_refunded": 7}),
    ("payments", {"occurred_at": AT + timedelta(days=3)}),
    ("payments", {"occurred_at": AT - timedelta(minutes=23, microseconds=1)}),
    ("payments", {"currency": "EUR"}),
    ("payments", {"status": "FAILED"}),
    ("payments", {"allocation": "UNAPPLIED", "unapplied_code": "INVOICE_VOID"}),
    ("payments", {"failure_message": "nothing that is summed"}),
    ("invoices", {"amount_paid": 3}),
    ("invoices", {"amount_paid": 10**6}),
    ("invoices", {"total": 4321}),
    ("invoices", {"due_date": (AT + timedelta(days=9)).date()}),
    ("invoices", {"due_date": None}),
    ("invoices", {"status": "VOID", "paid_at": None}),
    ("invoices", {"status": "PAID", "paid_at": AT, "amount_paid_out_of_band": 40}),
    ("invoices", {"memo": "nothing that is summed"}),
    ("webhook_events", {"status": "IGNORED", "reason_code": "NO_METADATA"}),
    ("webhook_events", {"type": None}),
]


async def test_whatever_is_changed_the_sums_are_what_would_be_counted(database: Database) -> None:
    chance = Random(7)
    async with transaction() as tx:
        await insert_all(tx, {table: ROWS[table] for table in PARENTS})
    for number in range(60):
        async with transaction() as tx:
            payment = {**ROWS["payments"], "id": f"pay_{number}", "provider_payment_id": f"pi_x{number}"}
            await insert(tx, "payments", payment)
            event = {**ROWS["webhook_events"], "id": f"whe_{number}", "delivery_key": f"evt_x{number}"}
            await insert(tx, "webhook_events", event | {"payment_id": None})
        table, change = CHANGES[number % len(CHANGES)]
        await _change(table, change, number)
        if chance.random() < 0.3:
            async with transaction() as tx:
                await tx.execute("DELETE FROM payments WHERE id = $1", f"pay_{chance.randint(0, number)}")
        if chance.random() < 0.2:
            await merge_all()

        assert await kept() == await counted()


async def _change(table: str, change: dict[str, Any], number: int) -> None:
    """Change a row as an UPDATE of some columns does."""
    ids = {"payments": f"pay_{number}", "webhook_events": f"whe_{number}", "invoices": ROWS["invoices"]["id"]}
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(change, start=2))
    async with transaction() as tx:
        await tx.execute(f"UPDATE {table} SET {sets} WHERE id = $1", ids[table], *change.values())


async def test_sums_that_are_wrong_are_found_and_made_anew(database: Database) -> None:
    await _many_payments(5)
    await merge_all()
    assert await mistakes() == []
    async with transaction() as tx:
        await tx.execute("UPDATE payment_sums SET amount = amount + 7")
        await tx.execute("DELETE FROM invoice_sums")

    wrong = await mistakes()
    await rebuild()

    assert {mistake.table for mistake in wrong} == {"payment_sums", "invoice_sums"}
    assert all(mistake.kept != mistake.counted for mistake in wrong)
    assert await mistakes() == []
    assert await kept() == await counted()


async def _somebody_waits() -> bool:
    (found,) = await fetch("SELECT count(*) AS number FROM pg_locks WHERE NOT granted")
    return int(found["number"]) > 0


async def test_who_merges_while_they_are_made_anew_adds_nothing_to_them(on_postgres: Database) -> None:
    await _many_payments(8)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def merge_slowly() -> None:
        async with transaction() as tx:
            for sums in SUMS:
                await merge(tx, sums)
            begun.set()
            await go_on.wait()

    merging = asyncio.create_task(merge_slowly())
    await begun.wait()
    rebuilding = asyncio.create_task(rebuild())
    await eventually(_somebody_waits)
    go_on.set()
    await asyncio.gather(merging, rebuilding)

    assert await mistakes() == []


async def test_merging_leaves_a_row_for_each_key_and_loses_nothing(database: Database) -> None:
    await _many_payments(50)
    before = await kept()

    merged = await merge_all()

    assert merged == 0 if reading_dialect() == "sqlite" else merged >= 50
    assert await kept() == before
    rows = await fetch("SELECT day, amount FROM payment_sums WHERE is_merged")
    assert sorted(int(row["amount"]) for row in rows) == [25 * ROWS["payments"]["amount"]] * 2
    assert await merge_all() == 0


async def test_a_sum_of_nothing_is_no_row(database: Database) -> None:
    await _many_payments(3)
    await merge_all()

    async with transaction() as tx:
        await tx.execute("DELETE FROM payments")
    await merge_all()

    of_payments = [sums.table for sums in SUMS if sums.summed == "payments"]
    assert [row for table in of_payments for row in await fetch(f"SELECT id FROM {table}")] == []


async def test_several_that_merge_at_once_lose_nothing(on_postgres: Database) -> None:
    await _many_payments(40)
    before = await kept()

    async def merge_some() -> None:
        async with transaction() as tx:
            for sums in SUMS:
                await merge(tx, sums)

    await asyncio.gather(*(merge_some() for _ in range(4)), _many_payments(10, begin=40), merge_some())
    await merge_all()

    after = await kept()
    assert sum(numbers[0] for numbers in after["payment_totals"].values()) == 50
    assert after == await counted()
    assert before["invoice_sums"] == after["invoice_sums"]


async def test_a_sum_may_be_larger_than_what_is_summed(on_postgres: Database) -> None:
    async with transaction() as tx:
        await insert_all(tx, {"workspaces": ROWS["workspaces"]})
        for _ in range(3):
            await tx.execute(
                "INSERT INTO webhook_event_sums (workspace_id, status, type, number) VALUES ($1, 'HELD', 't', $2)",
                ROWS["workspaces"]["id"],
                2**62,
            )

    await merge_all()

    rows = await fetch("SELECT number FROM webhook_event_sums")
    assert [int(row["number"]) for row in rows] == [3 * 2**62]


async def _many_payments(number: int, begin: int = 0) -> None:
    async with transaction() as tx:
        if begin == 0:
            await insert_all(tx, {table: ROWS[table] for table in PARENTS})
        for place in range(begin, begin + number):
            row = {**ROWS["payments"], "id": f"pay_{place}", "provider_payment_id": f"pi_x{place}"}
            await insert(tx, "payments", row | {"occurred_at": AT + timedelta(days=place % 2)})
