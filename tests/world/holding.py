"""A transaction that others have to wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from database.access import in_transaction
from database.transaction import Transaction


@asynccontextmanager
async def holding(sql: str, *values: object) -> AsyncIterator[None]:
    """Hold the locks that a statement takes until the block ends, then commit. It runs in a task of its own."""
    is_held, may_end = asyncio.Event(), asyncio.Event()

    async def hold(tx: Transaction) -> None:
        await tx.execute(sql, *values)
        is_held.set()
        await may_end.wait()

    task = asyncio.create_task(in_transaction(hold))
    await is_held.wait()
    try:
        yield
    finally:
        may_end.set()
        await task
