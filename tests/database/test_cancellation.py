"""A task may be cancelled at any of its waits: a socket that closes cancels what it asked for."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from itertools import count
from typing import Any, Final

import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.connection import get_connection

from database.access import Database, fetch, in_transaction, transaction
from database.dialect import READER, WRITER
from database.postgres_connections import PostgresConnections
from database.scope import scoped
from database.sqlite_readers import CONNECTIONS, SqliteReaders
from database.transaction import Transaction
from models.customer import Customer
from models.event import Event, Happening, append
from models.instant import utc_now
from models.kinds import EventType
from models.workspace import Workspace
from tests.models.interrupting import Interrupted, Moment
from tests.models.rows import ROWS, insert

PATIENCE_S = 5.0


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A database whose pools are soon exhausted by what leaks."""
    async with Database(database_url, pool_size=2) as opened:
        yield opened


async def _write(workspace_id: str) -> None:
    """Three tables by SQL and by a model, then the log."""
    happening = Happening(
        type=EventType.CUSTOMER_CREATED, workspace_id=workspace_id, actor="key_1", occurred_at=utc_now()
    )
    async with transaction() as tx:
        await insert(tx, "workspaces", {**ROWS["workspaces"], "id": workspace_id, "seq": 0})
        await Customer.create(
            id=f"cust_{workspace_id}",
            workspace_id=workspace_id,
            name="Ada",
            email="ada@example.com",
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        assert await scoped(Customer, workspace_id).count() == 1
        await append(tx, [happening, happening])


async def _write_at_once(workspace_id: str) -> None:
    """The same by SQL, as one function."""
    happening = Happening(
        type=EventType.CUSTOMER_CREATED, workspace_id=workspace_id, actor="key_1", occurred_at=utc_now()
    )

    async def work(tx: Transaction) -> None:
        await insert(tx, "workspaces", {**ROWS["workspaces"], "id": workspace_id, "seq": 0})
        await insert(tx, "customers", {**ROWS["customers"], "id": f"cust_{workspace_id}", "workspace_id": workspace_id})
        await append(tx, [happening, happening])

    await in_transaction(work)


async def _written(workspace_id: str) -> tuple[int | None, int, int]:
    """The counter, the customers, the lines of the log."""
    counters = await fetch("SELECT seq FROM workspaces WHERE id = $1", workspace_id)
    customers = await scoped(Customer, workspace_id).count()
    return counters[0]["seq"] if counters else None, customers, await scoped(Event, workspace_id).count()


ALL = (2, 1, 2)
NOTHING = (None, 0, 0)


LONG: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT count(*) AS counted FROM n
"""
"""Too long for SQLite to read it at once."""


async def _read(workspace_id: str) -> None:
    await fetch(LONG)
    await scoped(Customer, workspace_id).order_by("id").limit(3)
    await fetch(LONG)


async def _interrupt(work: Coroutine[Any, Any, None], wait: int, moment: Moment) -> Interrupted:
    interrupted = Interrupted(work, wait, moment)
    task = asyncio.create_task(interrupted.run())
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
    assert done, "it hangs"
    assert task.cancelled() or task.exception() is None
    assert not task.cancelled() or interrupted.was_cancelled
    return interrupted


async def _everything_is_given_back(alias: str) -> None:
    connection = get_connection(alias)
    if isinstance(connection, PostgresConnections):
        await connection.release_all()
    if isinstance(connection, AsyncpgDBClient):
        pool = connection._pool
        assert pool is not None
        taken = [await pool.acquire(timeout=PATIENCE_S) for _ in range(pool.get_max_size())]
        for one in taken:
            await pool.release(one)
        assert pool.get_idle_size() == pool.get_size() == pool.get_max_size()
    elif isinstance(connection, SqliteReaders):
        await asyncio.gather(*connection._reclaiming)
        assert len(connection._idle) == len(connection.opened) <= CONNECTIONS == connection._turns._value
    else:
        assert isinstance(connection, SqliteClient)
        assert connection._connection is not None
        assert not connection._lock.locked()
        assert not connection._connection.in_transaction


@pytest.mark.parametrize("moment", Moment)
async def test_a_write_cancelled_at_any_wait_is_done_wholly_or_not_at_all_and_holds_nothing_up(
    small: Database, moment: Moment
) -> None:
    outcomes = set()
    for wait in count():
        interrupted = await _interrupt(_write(f"ws_{wait}"), wait, moment)

        await _everything_is_given_back(WRITER)
        outcomes.add(await _written(f"ws_{wait}"))
        async with asyncio.timeout(PATIENCE_S):
            await _write(f"ws_after_{wait}")
        assert await _written(f"ws_after_{wait}") == ALL
        if not interrupted.was_cancelled:
            break

    assert wait > 5
    assert outcomes == {ALL, NOTHING}
    assert await _written(f"ws_{wait}") == ALL


@pytest.mark.parametrize("moment", Moment)
async def test_a_function_that_writes_is_done_wholly_though_its_task_is_cancelled(
    small: Database, moment: Moment
) -> None:
    for wait in count():
        interrupted = await _interrupt(_write_at_once(f"ws_{wait}"), wait, moment)

        await _everything_is_given_back(WRITER)
        assert await _written(f"ws_{wait}") == ALL
        if not interrupted.was_cancelled:
            break

    assert wait > 0


@pytest.mark.parametrize("moment", Moment)
async def test_a_read_cancelled_at_any_wait_holds_nothing_up(small: Database, moment: Moment) -> None:
    for wait in count():
        interrupted = await _interrupt(_read("ws_1"), wait, moment)

        await _everything_is_given_back(READER)
        async with asyncio.timeout(PATIENCE_S):
            await _read("ws_1")
        if not interrupted.was_cancelled:
            break

    assert wait > 1


@pytest.mark.parametrize("moment", Moment)
async def test_many_writes_cancelled_at_once_hold_nothing_up(small: Database, moment: Moment) -> None:
    waits = range(12)

    await asyncio.gather(*(_interrupt(_write(f"ws_{wait}"), wait, moment) for wait in waits))

    await _everything_is_given_back(WRITER)
    assert {await _written(f"ws_{wait}") for wait in waits} <= {ALL, NOTHING}
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(_write(f"ws_after_{number}") for number in range(4)))


async def test_a_write_whose_limit_passes_is_undone_and_the_caller_is_told_that_it_was_the_limit(
    small: Database,
) -> None:
    async def write_slowly() -> None:
        async with asyncio.timeout(0.05), transaction() as tx:
            await insert(tx, "workspaces", ROWS["workspaces"])
            await asyncio.sleep(PATIENCE_S)

    with pytest.raises(TimeoutError):
        await write_slowly()

    assert await Workspace.all().count() == 0
    await _everything_is_given_back(WRITER)
