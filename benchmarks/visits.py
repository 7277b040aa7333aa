"""Counts the work of a database: the same statement counts the same on every machine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.connection import get_connection

from database.dialect import READER, WRITER
from database.sqlite_readers import STEP

_STEP: Final = 20
_READ: Final = """
    SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)
        + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes) AS visited
"""

Work = Callable[[], Awaitable[object]]


async def visits(work: Work) -> int:
    """Count SQLite's steps, in twenties, or the rows and index entries that PostgreSQL read."""
    if isinstance(get_connection(WRITER), AsyncpgDBClient):
        before = await _rows_read()
        await work()
        return await _rows_read() - before
    return await _steps(work)


async def _steps(work: Work) -> int:
    steps = 0

    def one_more() -> int:
        nonlocal steps
        steps += 1
        return 0

    readers: Any = get_connection(READER)
    connections: list[Any] = [*readers.opened, get_connection(WRITER)._connection]
    readers._at_once.set_progress_handler(one_more, _STEP)
    for connection in connections:
        await connection.set_progress_handler(one_more, _STEP)
    try:
        await work()
    finally:
        readers._at_once.set_progress_handler(readers._is_long, STEP)
        for connection in connections:
            await connection.set_progress_handler(None, 0)
    return steps


async def _rows_read() -> int:
    """Read the statistics of all sessions, after making each of them report."""
    for alias in (READER, WRITER):
        connections: Any = get_connection(alias)
        await connections.release_all()
        pool = connections._pool
        sessions: list[Any] = []
        while len(sessions) < pool.get_size():  # while one is busy, the pool opens others, and then waits for it
            sessions.append(await pool.acquire())
        for session in sessions:
            await session.execute("SELECT pg_stat_force_next_flush()")
        for session in sessions:
            await pool.release(session)
    await asyncio.sleep(0)
    pool = get_connection(READER)._pool
    async with pool.acquire() as session:
        return int(await session.fetchval(_READ))
