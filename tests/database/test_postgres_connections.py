"""Connections to PostgreSQL stay at hand, and nobody waits for one that nobody uses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import pytest
from tortoise.connection import get_connection

from database.access import Database, fetch, in_transaction
from database.dialect import READER
from database.postgres_connections import PostgresConnections
from database.transaction import Transaction

SIZE: Final = 2
PATIENCE_S: Final = 20.0


@pytest.fixture
async def readers(migrated_postgres_url: str) -> AsyncIterator[PostgresConnections]:
    """The open database's."""
    async with Database(migrated_postgres_url, pool_size=SIZE):
        found: Any = get_connection(READER)
        yield found


async def session() -> int:
    """The session that a statement runs in."""
    return int((await fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"])


async def test_the_connection_that_was_used_last_is_used_again(readers: PostgresConnections) -> None:
    first = await session()

    assert [await session() for _ in range(3)] == [first] * 3
    assert readers._pool is not None
    assert readers._pool.get_idle_size() == 0


async def test_who_waits_gets_a_connection_as_soon_as_there_is_one(readers: PostgresConnections) -> None:
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*(fetch("SELECT pg_sleep(0.01)") for _ in range(5 * SIZE)))

    assert len(answers) == 5 * SIZE
    assert len(readers._at_hand) <= SIZE


async def test_a_connection_that_was_lost_is_not_used_again(readers: PostgresConnections) -> None:
    lost = await session()
    async with readers.acquire_connection() as connection:
        connection.terminate()

    assert await session() != lost


async def test_after_an_error_the_next_statement_is_answered(readers: PostgresConnections) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await fetch("SELECT 1 / 0")

    assert readers._at_hand == []
    assert await fetch("SELECT 1 AS one") == [{"one": 1}]


async def test_connections_go_back_to_the_pool_after_a_while(
    readers: PostgresConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.postgres_connections.KEPT_S", 0.01)
    await session()
    pool = readers._pool
    assert pool is not None

    async with asyncio.timeout(PATIENCE_S):
        while pool.get_idle_size() == 0:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)

    assert readers._at_hand == []


async def test_a_transaction_uses_the_connection_of_the_one_before(readers: PostgresConnections) -> None:
    pids = [await in_transaction(_pid) for _ in range(3)]

    assert len(set(pids)) == 1
    assert pids[0] != await session()  # those that read are others


async def test_a_transaction_that_failed_leaves_nothing_open(readers: PostgresConnections) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await in_transaction(lambda tx: tx.execute("SELECT 1 / 0"))

    async with asyncio.timeout(PATIENCE_S):
        pids = await asyncio.gather(*(in_transaction(_pid) for _ in range(3 * SIZE)))
    assert len(set(pids)) <= SIZE
    assert await fetch("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == []


async def test_a_transaction_in_which_an_error_was_ignored_does_not_seem_committed(
    readers: PostgresConnections,
) -> None:
    async def work(tx: Transaction) -> None:
        with suppress(Exception):
            await tx.execute("SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="rolled it back"):
        await in_transaction(work)

    assert await in_transaction(_pid)


async def _pid(tx: Transaction) -> int:
    return int((await tx.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"])


async def test_closing_waits_for_nothing_that_is_at_hand(migrated_postgres_url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with Database(migrated_postgres_url, pool_size=SIZE):
            readers: Any = get_connection(READER)
            await asyncio.gather(session(), session())
            running = asyncio.create_task(fetch("SELECT pg_sleep(0.2)"))
            await asyncio.sleep(0.05)
        await running

    with pytest.raises(ConnectionError, match="closed"):
        await readers.take()
