"""The event log: numbered without a gap, in the order of commit."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from database.access import Database, fetch, transaction
from database.scope import scoped
from models.event import Event, Happening, append
from models.kinds import EventType, InvoiceStatus, Mode
from models.workspace import Workspace, add_workspace
from tests.models.appending import append_at_random, append_in_a_process
from tests.models.rows import rehearsal
from tests.world.long import few_or_many

AT = datetime(2026, 11, 23, 12, 30, 15, 250, tzinfo=UTC)


def _happening(workspace: Workspace, **fields: Any) -> Happening:
    defaults = {"type": EventType.INVOICE_VOIDED, "actor": "key_1", "occurred_at": AT, "workspace_id": workspace.id}
    return Happening(**{**defaults, **fields})


async def _seq(workspace: Workspace) -> int:
    rows = await fetch("SELECT seq FROM workspaces WHERE id = $1", workspace.id)
    seq: int = rows[0]["seq"]
    return seq


async def _numbers_after(workspace: Workspace, cursor: int) -> list[int]:
    rows = await fetch(
        "SELECT number FROM events WHERE workspace_id = $1 AND number > $2 ORDER BY number", workspace.id, cursor
    )
    return [row["number"] for row in rows]


async def _follow(workspace: Workspace, writing: asyncio.Future[Any]) -> list[int]:
    """What a reader sees that only ever asks for what comes after the newest it has seen, until all is written."""
    seen: list[int] = []
    while True:
        is_last_look = writing.done()
        seen += await _numbers_after(workspace, seen[-1] if seen else 0)
        if is_last_look:
            return seen
        await asyncio.sleep(0)


async def _seen_while(workspace: Workspace, *writers: Coroutine[Any, Any, int]) -> tuple[list[int], int]:
    writing = asyncio.gather(*writers)
    seen = await _follow(workspace, writing)
    return seen, sum(await writing)


@pytest.mark.slow
@pytest.mark.longer
async def test_a_reader_misses_nothing_of_what_tasks_write_at_once(database: Database, workspace: Workspace) -> None:
    """A number that appears after a larger one would be missing from what the reader saw."""
    writes = few_or_many(10, 50)

    seen, committed = await _seen_while(
        workspace, *(append_at_random(workspace.id, seed, writes) for seed in range(12))
    )

    assert seen == list(range(1, committed + 1))
    assert await _seq(workspace) == committed > 8 * writes


@pytest.mark.slow
@pytest.mark.longer
async def test_a_reader_misses_nothing_of_what_processes_write_at_once(
    database: Database, workspace: Workspace, database_url: str
) -> None:
    writes = few_or_many(15, 60)
    processes = [append_in_a_process(database_url, workspace.id, seed, 2 * writes) for seed in range(2)]
    own = [append_at_random(workspace.id, seed, writes) for seed in range(2, 5)]

    seen, committed = await _seen_while(workspace, *processes, *own)

    assert seen == list(range(1, committed + 1))
    assert await _seq(workspace) == committed > 5 * writes


async def test_the_counters_of_workspaces_are_independent(database: Database, workspace: Workspace) -> None:
    async with transaction() as tx:
        other = await add_workspace(tx, "Umbrella", Mode.TEST)

    async with transaction() as tx:
        newest = await append(tx, [_happening(other), _happening(workspace), _happening(other)])

    assert newest == {workspace.id: 1, other.id: 2}
    assert await _numbers_after(workspace, 0) == [1]
    assert await _numbers_after(other, 0) == [1, 2]
    async with transaction() as tx:
        assert await append(tx, [_happening(workspace)]) == {workspace.id: 2}


async def test_writers_of_several_workspaces_do_not_deadlock(database: Database, workspace: Workspace) -> None:
    """Counters are taken in order of id, whatever the order of what happened."""
    async with transaction() as tx:
        others = [await add_workspace(tx, f"Umbrella {number}", Mode.TEST) for number in range(3)]
    every = [_happening(one) for one in (workspace, *others)]

    async def write(happenings: list[Happening]) -> None:
        async with transaction() as tx:
            await append(tx, happenings)

    await asyncio.gather(*(write(every if number % 2 else every[::-1]) for number in range(20)))

    assert [await _seq(one) for one in (workspace, *others)] == [20] * 4


async def test_a_rolled_back_write_gives_its_numbers_back(database: Database, workspace: Workspace) -> None:
    async with rehearsal() as tx:
        await append(tx, [_happening(workspace)] * 3)

    async with transaction() as tx:
        newest = await append(tx, [_happening(workspace)])

    assert newest == {workspace.id: 1}


async def test_nothing_that_happened_takes_no_number(database: Database, workspace: Workspace) -> None:
    async with transaction() as tx:
        assert await append(tx, []) == {}

    assert await _seq(workspace) == 0


async def test_lines_keep_their_order_and_all_that_was_said(database: Database, workspace: Workspace) -> None:
    said = {
        "note": "Paid twice, “sorry” 🙂",
        "previous_status": InvoiceStatus.OPEN,
        "status": InvoiceStatus.VOID,
        "invoice_id": "inv_1",
        "payment_id": "pay_1",
        "customer_id": "cust_1",
        "integration_id": "int_1",
        "webhook_event_id": "whe_1",
    }

    async with transaction() as tx:
        await append(tx, [_happening(workspace, **said), _happening(workspace, type=EventType.INVOICE_PAID)])

    first, second = await scoped(Event, workspace.id).order_by("number")
    assert {name: getattr(first, name) for name in said} == said
    assert (first.number, first.type, first.actor, first.occurred_at) == (1, EventType.INVOICE_VOIDED, "key_1", AT)
    assert (second.number, second.type) == (2, EventType.INVOICE_PAID)
    assert {name: getattr(second, name) for name in said} == dict.fromkeys(said)


@pytest.mark.parametrize("type_", EventType)
async def test_every_type_of_event_can_be_kept(migrated_sqlite_url: str, type_: EventType) -> None:
    async with Database(migrated_sqlite_url):
        async with transaction() as tx:
            workspace = await add_workspace(tx, "Acme", Mode.LIVE)
            await append(tx, [_happening(workspace, type=type_)])

        assert (await scoped(Event, workspace.id).get()).type is type_
