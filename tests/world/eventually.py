"""Waiting for what others do in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE_S: Final = 10.0


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, and not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():  # noqa: ASYNC110 - what others do sets no event of ours
            await asyncio.sleep(0.01)
