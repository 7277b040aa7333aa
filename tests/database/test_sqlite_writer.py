"""Short transactions write in the event loop, all others in the connection's thread; both begin and commit there."""

import asyncio
import sqlite3
import threading
from collections import defaultdict

import pytest
from tortoise.connection import get_connection

from database.access import Database, fetch, transaction
from database.dialect import WRITER
from database.sqlite_writer import SqliteWriter

INSERT = "INSERT INTO workspaces (id, name, mode, seq, created_at) VALUES ($1, $2, 'TEST', 0, '2026-01-01')"


async def names() -> list[str]:
    return [row["name"] for row in await fetch("SELECT name FROM workspaces ORDER BY name")]


@pytest.mark.parametrize("is_short", [True, False])
async def test_only_short_transactions_run_in_the_event_loop(migrated_sqlite_url: str, is_short: bool) -> None:
    async with Database(migrated_sqlite_url):
        writer = get_connection(WRITER)
        assert isinstance(writer, SqliteWriter)
        assert writer._connection is not None
        threads: dict[str, set[bool]] = defaultdict(set)
        writer._connection._conn.set_trace_callback(
            lambda sql: threads[sql.split()[0]].add(threading.current_thread() is threading.main_thread())
        )
        async with transaction(is_short=is_short) as tx:
            await tx.execute(INSERT, "ws_1", "a")
            await tx.execute_many(INSERT, [("ws_2", "b"), ("ws_3", "c")])
            assert len(await tx.fetch("SELECT id FROM workspaces WHERE mode = $1", "TEST")) == 3
        assert threads == {"BEGIN": {False}, "INSERT": {is_short}, "SELECT": {is_short}, "COMMIT": {False}}
        assert await names() == ["a", "b", "c"]


async def test_a_short_transaction_that_fails_changes_nothing(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):
        for twice in ([("ws_1", "a"), ("ws_1", "b")], [("ws_1", "a")] * 2):
            with pytest.raises(sqlite3.IntegrityError):
                async with transaction(is_short=True) as tx:
                    await tx.execute_many(INSERT, twice)
        async with transaction() as tx:
            await tx.execute(INSERT, "ws_2", "c")
        assert await names() == ["c"]


async def test_short_and_long_transactions_take_turns(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):

        async def add(number: int) -> None:
            async with transaction(is_short=number % 2 == 0) as tx:
                await tx.execute(INSERT, f"ws_{number}", f"{number:02}")
                await asyncio.sleep(0)
                await tx.execute("UPDATE workspaces SET seq = seq + 1")

        adding = [asyncio.ensure_future(add(number)) for number in range(20)]
        await asyncio.sleep(0.003)
        for each in adding[1::5]:
            each.cancel()
        done = await asyncio.gather(*adding, return_exceptions=True)
        kept = [f"{number:02}" for number, result in enumerate(done) if result is None]
        assert len(kept) >= 16
        assert set(kept) <= set(await names())  # cancelled during its commit, a transaction is kept, too
        seqs = [row["seq"] for row in await fetch("SELECT seq FROM workspaces ORDER BY seq DESC")]
        assert seqs == list(range(len(seqs), 0, -1))


async def test_a_file_that_cannot_be_opened_leaves_no_connection(migrated_sqlite_url: str) -> None:
    writer = SqliteWriter(migrated_sqlite_url.removeprefix("sqlite://"), connection_name=WRITER, no_such="(")
    with pytest.raises(sqlite3.OperationalError):
        await writer.create_connection(with_db=True)
    assert writer._connection is None
