"""Reading SQLite: nobody waits behind another's question, and one that takes too long is stopped."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from tortoise.connection import get_connection
from tortoise.exceptions import OperationalError

from database.access import Database, fetch, transaction, unwritable_because
from database.dialect import READER
from database.errors import is_stopped, is_unavailable
from database.sqlite_readers import CONNECTIONS, SqliteReaders
from execution.errors import of_exception
from models.kinds import Mode
from models.workspace import add_workspace

ENDLESS: Final = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"
LONG: Final = ENDLESS.replace("FROM n)", "FROM n WHERE i < 20000)")
"""What ends, but takes too long to be read at once."""


@pytest.fixture
async def readers(migrated_sqlite_url: str) -> AsyncIterator[SqliteReaders]:
    """The open database's."""
    async with Database(migrated_sqlite_url):
        found: Any = get_connection(READER)
        yield found


async def endless() -> Exception | None:
    """Ask what has no end; what came of it."""
    try:
        await fetch(ENDLESS)
    except Exception as error:
        return error
    return None


async def until_busy(readers: SqliteReaders, connections: int = CONNECTIONS) -> None:
    """Wait until so many connections are being asked."""
    async with asyncio.timeout(20):
        while len(readers.opened) - len(readers._idle) < connections:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


async def test_whoever_asks_little_does_not_wait_behind_who_asks_much(readers: SqliteReaders) -> None:
    long = [asyncio.create_task(endless()) for _ in range(CONNECTIONS - 1)]
    await until_busy(readers, CONNECTIONS - 1)

    assert await fetch("SELECT 1 AS one") == [{"one": 1}]

    assert not any(task.done() for task in long)
    for connection in readers.opened:
        await connection.interrupt()
    await asyncio.gather(*long)


async def test_what_is_short_is_read_while_all_threads_are_busy_however_often(readers: SqliteReaders) -> None:
    long = [asyncio.create_task(endless()) for _ in range(CONNECTIONS + 2)]
    await until_busy(readers)
    some = ENDLESS.replace("FROM n)", "FROM n WHERE i < 100)")

    answers = [await fetch(some) for _ in range(100)]

    assert answers == [[{"n": 100}]] * 100
    assert not any(task.done() for task in long)
    for task in long:
        task.cancel()
    await asyncio.gather(*long, return_exceptions=True)


async def test_others_get_their_turns_between_what_is_short(readers: SqliteReaders) -> None:
    """Though nothing in the event loop ever waits for such a statement."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    await asyncio.sleep(0)
    before = turns
    for _ in range(5000):
        await fetch("SELECT 1 AS one")
    others.cancel()

    assert turns - before >= 5
    assert readers.opened == readers._idle


async def test_what_is_long_or_searches_or_is_wrong_is_left_to_a_thread(readers: SqliteReaders) -> None:
    assert await fetch(LONG) == [{"n": 20000}]
    assert readers.read_at_once(LONG, []) is None
    for uncounted in ("invoice_search WHERE invoice_search MATCH 'abc'", "invoices WHERE memo LIKE '%a%'"):
        assert readers.read_at_once(f"SELECT 1 FROM {uncounted}", []) is None
    assert readers.read_at_once("SELECT payload FROM webhook_events", []) is None
    with pytest.raises(OperationalError, match="no such table: nowhere"):
        await fetch("SELECT 1 FROM nowhere")


async def test_what_is_read_at_once_can_not_write_and_sees_what_was_committed(readers: SqliteReaders) -> None:
    async with transaction() as tx:
        await add_workspace(tx, "Acme", Mode.TEST)

    assert [row["name"] for row in readers.read_at_once("SELECT name FROM workspaces", []) or ()] == ["Acme"]
    with pytest.raises(OperationalError, match="readonly"):
        await fetch("DELETE FROM workspaces")
    assert readers.read_at_once("DELETE FROM workspaces", []) is None


async def test_readiness_does_not_wait_even_when_everybody_asks_much(readers: SqliteReaders) -> None:
    long = [asyncio.create_task(endless()) for _ in range(CONNECTIONS + 2)]
    await until_busy(readers)

    assert await unwritable_because() is None

    assert not any(task.done() for task in long)
    for task in long:
        task.cancel()
    await asyncio.gather(*long, return_exceptions=True)


async def test_what_takes_too_long_is_stopped_and_says_so(
    readers: SqliteReaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_reading_timeout_s", 0.05)

    error = await endless()

    assert error is not None
    assert is_stopped(error)
    assert is_unavailable(error)
    answer = of_exception(error, "r1")
    assert answer.extensions is not None
    assert answer.extensions["code"] == "TIMED_OUT"
    assert "narrow the filter" in answer.message
    assert await fetch("SELECT 1 AS one") == [{"one": 1}]


async def test_what_nobody_waits_for_any_more_is_stopped(readers: SqliteReaders) -> None:
    for _ in range(3 * CONNECTIONS):
        task = asyncio.create_task(endless())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(5):
        assert await fetch("SELECT 1 AS one") == [{"one": 1}]
    assert len(readers.opened) <= CONNECTIONS


async def test_what_is_cancelled_before_it_begins_holds_nobody_up(readers: SqliteReaders) -> None:
    task = asyncio.create_task(endless())
    for _ in range(2):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(5):
        await asyncio.gather(*readers._reclaiming)
        assert await fetch("SELECT 1 AS one") == [{"one": 1}]
    assert len(readers._idle) == len(readers.opened)


async def test_who_waits_while_it_is_closed_is_refused(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):
        found: Any = get_connection(READER)
        long = [asyncio.create_task(endless()) for _ in range(CONNECTIONS)]
        await until_busy(found)
        waiting = [asyncio.create_task(fetch(LONG)) for _ in range(2)]
        await asyncio.sleep(0)

    refused = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(each, OSError) for each in refused)
    assert found.opened == []
    await asyncio.gather(*long, return_exceptions=True)


async def test_no_more_connections_are_opened_than_are_needed(readers: SqliteReaders) -> None:
    for _ in range(10):
        await fetch(LONG)
    assert len(readers.opened) == 1

    await asyncio.gather(*(fetch(LONG) for _ in range(50)))

    assert len(readers.opened) == CONNECTIONS
