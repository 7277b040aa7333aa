"""Processes wake one another by Redis, from their start and after it was away."""

import asyncio
from typing import Final

import pytest
from redis import Redis

from database.access import Database, transaction
from feed import follow
from feed.bus import Bus
from feed.follow import Feed
from models.event import SYSTEM, Happening, append
from models.instant import utc_now
from models.kinds import EventType
from models.workspace import Workspace
from resolvers.reading.loaders import Loaders
from tests.world.eventually import eventually
from tests.world.valkey import Valkey

PATIENCE_S: Final = 20.0
SOME_WERE_LOST: Final = None


class Ear:
    """What a process hears: which workspace's log has how many lines, or that it may have missed some."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[tuple[str, int] | None] = asyncio.Queue()

    def bus(self, url: str) -> Bus:
        """A bus that it listens to."""
        return Bus(
            url,
            lambda workspace_id, number: self._heard.put_nowait((workspace_id, number)),
            lambda: self._heard.put_nowait(SOME_WERE_LOST),
        )

    async def has_heard(self, wanted: tuple[str, int] | None) -> None:
        """Wait until it was told so."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._heard.get() != wanted:
                pass


async def test_a_process_hears_of_what_another_one_commits(valkey_url: str) -> None:
    """It does not have to look for it: the channel that it asked for while it connected is one that it listens to."""
    ear = Ear()

    async with ear.bus(valkey_url), Ear().bus(valkey_url) as other:
        await ear.has_heard(SOME_WERE_LOST)
        other.wake({"ws_a": 7})

        await ear.has_heard(("ws_a", 7))


async def test_a_redis_that_was_restarted_is_listened_to_again() -> None:
    ear, echo = Ear(), Ear()

    with Valkey() as server:
        async with ear.bus(server.url), echo.bus(server.url) as other:
            for each in (ear, echo):
                await each.has_heard(SOME_WERE_LOST)
            server.stop()
            server.start()
            for each in (ear, echo):
                await each.has_heard(SOME_WERE_LOST)
            other.wake({"ws_a": 7})

            await ear.has_heard(("ws_a", 7))


async def test_a_bus_may_be_closed_at_any_moment_and_leaves_nothing_behind() -> None:
    """Also while it connects, however far it has come: a cancellation that it doesn't notice would hang it for ever."""
    before = asyncio.all_tasks()

    with Valkey() as server, Redis.from_url(server.url) as client:
        for turns in range(60):
            async with asyncio.timeout(PATIENCE_S), Ear().bus(server.url) as bus:
                bus.wake({"ws_a": turns})
                for _ in range(turns):
                    await asyncio.sleep(0)
            assert asyncio.all_tasks() == before

        await eventually(lambda: _is_alone(client))


async def test_who_follows_where_it_is_committed_is_told_though_redis_is_away(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: nobody looks by itself before an hour has passed."""
    monkeypatch.setattr(follow, "POLL_INTERVAL_S", 3600.0)
    with Valkey() as server:
        async with Feed(server.url, Loaders) as feed:
            lines = feed.follow(workspace.id, 0)
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(lambda: _is_followed(feed))
            server.stop()
            happening = Happening(EventType.CUSTOMER_CREATED, workspace.id, SYSTEM, utc_now())
            async with transaction() as tx:
                newest = await append(tx, [happening])

            feed.wake(newest)

            async with asyncio.timeout(PATIENCE_S):
                assert (await waiting).event.number == newest[workspace.id]
            await lines.aclose()


async def _is_alone(client: Redis) -> bool:
    connections: int = client.info("clients")["connected_clients"]  # type: ignore[index]  # it isn't awaitable
    return connections == 1


async def _is_followed(feed: Feed[Loaders]) -> bool:
    return feed.follower_count > 0
