"""A transaction that is given as a function; on SQLite it runs in the thread of the connection."""

import asyncio
import sqlite3
import threading
from collections import defaultdict

import pytest
from tortoise.connection import get_connection

from database.access import Database, fetch, in_transaction, transaction
from database.bulk import insert_rows
from database.dialect import WRITER
from database.sqlite_writer import SqliteWriter
from database.transaction import Transaction

INSERT = "INSERT INTO workspaces (id, name, mode, seq, created_at) VALUES ($1, $2, 'TEST', 0, '2026-01-01')"
COLUMNS = {"id": "text", "name": "text", "mode": "text", "seq": "bigint", "created_at": "text"}


async def names() -> list[str]:
    return [row["name"] for row in await fetch("SELECT name FROM workspaces ORDER BY name")]


async def test_all_its_statements_run_in_the_thread_of_the_connection(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):
        writer = get_connection(WRITER)
        assert isinstance(writer, SqliteWriter)
        assert writer._connection is not None
        threads: dict[str, set[threading.Thread]] = defaultdict(set)
        await writer._connection.set_trace_callback(lambda sql: threads[sql.split()[0]].add(threading.current_thread()))

        async def work(tx: Transaction) -> int:
            await tx.execute(INSERT, "ws_1", "a")
            return len(await tx.fetch("SELECT id FROM workspaces WHERE mode = $1", "TEST"))

        assert await in_transaction(work) == 1
        assert set(threads) == {"BEGIN", "INSERT", "SELECT", "COMMIT"}
        assert len(set.union(*threads.values())) == 1
        assert set.union(*threads.values()) != {threading.current_thread()}
        assert await names() == ["a"]


async def test_one_that_fails_changes_nothing(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):

        async def twice(tx: Transaction) -> None:
            await tx.execute(INSERT, "ws_0", "z")
            await insert_rows(tx, "workspaces", COLUMNS, [("ws_1", "a", "TEST", 0, "2026-01-01")] * 2)

        with pytest.raises(sqlite3.IntegrityError):
            await in_transaction(twice)

        await in_transaction(lambda tx: tx.execute(INSERT, "ws_2", "c"))
        assert await names() == ["c"]


async def test_one_that_waits_for_something_else_is_refused_and_changes_nothing(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):

        async def dawdling(tx: Transaction) -> None:
            await tx.execute(INSERT, "ws_1", "a")
            await asyncio.sleep(0)

        with pytest.raises(RuntimeError, match="other than its transaction"):
            await in_transaction(dawdling)

        await in_transaction(lambda tx: tx.execute(INSERT, "ws_2", "c"))
        assert await names() == ["c"]


async def test_both_kinds_of_transaction_take_turns_and_survive_a_cancelled_task(migrated_sqlite_url: str) -> None:
    async with Database(migrated_sqlite_url):

        async def write(tx: Transaction, number: int) -> None:
            await tx.execute(INSERT, f"ws_{number}", f"{number:02}")
            await tx.execute("UPDATE workspaces SET seq = seq + 1")

        async def add(number: int) -> None:
            if number % 2 == 0:
                await in_transaction(lambda tx: write(tx, number))
            else:
                async with transaction() as tx:
                    await write(tx, number)

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
