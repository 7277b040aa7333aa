"""Processes wake one another by Redis, from their start and after it was away."""

import asyncio
from typing import Final

from feed.bus import Bus
from tests.support.valkey import Valkey

PATIENCE_S: Final = 20.0
SOME_WERE_LOST: Final = (None, None)


class Ear:
    """What a process hears: which workspace's log has how many lines, or that it may have missed some."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[tuple[str | None, int | None]] = asyncio.Queue()

    def hear(self, workspace_id: str | None, number: int | None) -> None:
        """What the bus calls."""
        self._heard.put_nowait((workspace_id, number))

    async def has_heard(self, wanted: tuple[str | None, int | None]) -> None:
        """Wait until it was told so."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._heard.get() != wanted:
                pass


async def test_a_process_hears_of_what_another_one_commits(valkey_url: str) -> None:
    """It does not have to look for it: the channel that it asked for while it connected is one that it listens to."""
    ear = Ear()

    async with Bus(valkey_url, ear.hear), Bus(valkey_url, Ear().hear) as other:
        await ear.has_heard(SOME_WERE_LOST)
        other.wake({"ws_a": 7})

        await ear.has_heard(("ws_a", 7))


async def test_a_redis_that_was_restarted_is_listened_to_again() -> None:
    ear, echo = Ear(), Ear()

    with Valkey() as server:
        async with Bus(server.url, ear.hear), Bus(server.url, echo.hear) as other:
            for each in (ear, echo):
                await each.has_heard(SOME_WERE_LOST)
            server.stop()
            server.start()
            for each in (ear, echo):
                await each.has_heard(SOME_WERE_LOST)
            other.wake({"ws_a": 7})

            await ear.has_heard(("ws_a", 7))
