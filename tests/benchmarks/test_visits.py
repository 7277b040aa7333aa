"""A query's visits are its own, whatever others have done just before."""

import asyncio

import pytest
from tortoise.connection import get_connection

from benchmarks.scale import _writing, place
from benchmarks.visits import visits
from database.access import Database, fetch, transaction
from database.dialect import WRITER
from models.kinds import Mode
from models.sums import SUMS
from models.workspace import add_workspace

pytestmark = pytest.mark.long


async def test_the_rows_that_a_busy_session_has_read_before_are_not_counted(migrated_postgres_url: str) -> None:
    """PostgreSQL's sessions report what they have read once a second: this one reads twice within a second."""
    async with Database(migrated_postgres_url, pool_size=2):
        pool = get_connection(WRITER)._pool
        has_read = asyncio.Event()

        async def read_and_stay() -> None:
            async with transaction() as tx:
                await tx.fetch("SELECT id FROM workspaces")
                has_read.set()
                while pool.get_size() < 2 or pool.get_idle_size() > 0:  # noqa: ASYNC110  (no event says so)
                    await asyncio.sleep(0)

        async with transaction() as tx:
            await add_workspace(tx, "Acme", Mode.TEST)
        reading = asyncio.create_task(read_and_stay())
        await has_read.wait()

        counted = await visits(lambda: reading)

    assert counted == 0


async def test_payments_that_came_in_meanwhile_are_done_and_summed_before_the_next_query(postgres_url: str) -> None:
    begun, done = 0, 0
    async with place(postgres_url, 100, lambda _: None) as at:

        async def write() -> None:
            nonlocal begun, done
            begun += 1
            await at.write()
            done += 1

        async with _writing(write):
            while begun < 2:  # noqa: ASYNC110  (no event says so)
                await asyncio.sleep(0)
        ended = begun, done
        waiting = [await fetch(f"SELECT id FROM {sums.table} WHERE NOT is_merged") for sums in SUMS]

    assert ended == (begun, begun)
    assert not any(waiting)
