"""Feeds of several processes: they wake one another, look by themselves, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any, Final

import pytest
from redis import Redis

from database.access import transaction
from feed import follow
from feed.bus import CHANNEL
from feed.follow import Feed
from models.event import SYSTEM, Happening, append
from models.instant import utc_now
from models.kinds import EventType
from models.workspace import Workspace
from resolvers.reading.loaders import Loaders
from tests.world.eventually import eventually
from tests.world.statements import statements
from tests.world.valkey import Valkey

PATIENCE_S: Final = 20.0


async def happens(workspace: Workspace, type_: EventType = EventType.CUSTOMER_UPDATED, times: int = 1) -> int:
    """The number of the line that was committed last, of which no feed knows yet."""
    async with transaction() as tx:
        newest = await append(tx, [Happening(type_, workspace.id, SYSTEM, utc_now())] * times)
    return newest[workspace.id]


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds are woken, or hear of nothing within an hour."""
    monkeypatch.setattr(follow, "POLL_INTERVAL_S", 3600.0)


class Keys:
    """What checks the keys of open connections, and takes its time: until `go_on` is set."""

    def __init__(self) -> None:
        self.times = 0
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def check(self) -> None:
        """What a feed calls before it tells of a revocation."""
        self.times += 1
        self.began.set()
        await self.go_on.wait()


# --- Across processes ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nobody_looks", "database")
async def test_a_feed_wakes_another_one(workspace: Workspace, valkey_url: str) -> None:
    """The other one reads what is new once, and doesn't look for what else there is."""
    async with Feed(valkey_url, Loaders) as here, Feed(valkey_url, Loaders) as there, asyncio.timeout(PATIENCE_S):
        await _hear(valkey_url, 2)
        async with aclosing(there.follow(workspace.id, 0)) as lines:
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(_so(lambda: there.follower_count == 1))
            for number in (1, 2):
                here.wake({workspace.id: await happens(workspace)})
                assert (await waiting).number == number
                waiting = asyncio.ensure_future(anext(lines))
            newest = await happens(workspace)
            with statements() as sent:
                here.wake({workspace.id: newest})
                assert (await waiting).number == 3
                await asyncio.sleep(0.1)  # for another read, if there were one

    assert len([each for each in sent if "SELECT" in each]) == 1


@pytest.mark.usefixtures("nobody_looks", "database")
async def test_what_was_committed_while_redis_was_away_is_looked_for_once_it_is_back(workspace: Workspace) -> None:
    with Valkey() as server:
        async with (
            asyncio.timeout(PATIENCE_S),
            Feed(server.url, Loaders) as feed,
            aclosing(feed.follow(workspace.id, 0)) as lines,
        ):
            await _hear(server.url, 1)
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(_so(lambda: feed.follower_count == 1))
            server.stop()
            await happens(workspace)
            server.start()

            assert (await waiting).number == 1


@pytest.mark.usefixtures("database")
async def test_a_feed_that_is_never_woken_looks_by_itself(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asks nothing while nobody follows."""
    monkeypatch.setattr(follow, "POLL_INTERVAL_S", 0.02)

    async with Feed("memory://", Loaders) as feed, asyncio.timeout(PATIENCE_S):
        with statements() as idle:
            await asyncio.sleep(0.2)
        async with aclosing(feed.follow(workspace.id, 0)) as lines:
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(_so(lambda: feed.follower_count == 1))
            await happens(workspace)

            assert (await waiting).number == 1

    assert idle == []


# --- Reading for all, and the end ------------------------------------------------------------------------------


@pytest.mark.usefixtures("nobody_looks")
async def test_who_is_woken_while_it_reads_goes_on_reading(workspace: Workspace, feed: Feed[Loaders]) -> None:
    """One reads for all, and nothing that was committed meanwhile is left out."""
    keys = Keys()
    feed.check_keys_with(keys.check)

    async with aclosing(feed.follow(workspace.id, 0)) as lines, asyncio.timeout(PATIENCE_S):
        waiting = asyncio.ensure_future(anext(lines))
        await eventually(_so(lambda: feed.follower_count == 1))
        feed.wake({workspace.id: await happens(workspace, EventType.API_KEY_REVOKED)})
        await keys.began.wait()
        for _ in range(3):
            feed.wake({workspace.id: await happens(workspace)})
        await asyncio.sleep(0.1)  # for others to read, if there were any
        assert keys.times == 1
        keys.go_on.set()

        assert [(await waiting).number, *[(await anext(lines)).number for _ in range(3)]] == [1, 2, 3, 4]
    assert keys.times == 1


@pytest.mark.usefixtures("nobody_looks")
async def test_who_is_woken_for_a_line_that_is_not_there_goes_on_following(
    workspace: Workspace, feed: Feed[Loaders], logged: list[MutableMapping[str, Any]]
) -> None:
    """It reads, finds nothing, and waits for the next line; that is no failure."""
    async with aclosing(feed.follow(workspace.id, 0)) as lines, asyncio.timeout(PATIENCE_S):
        waiting = asyncio.ensure_future(anext(lines))
        await eventually(_so(lambda: feed.follower_count == 1))
        with statements() as sent:
            feed.wake({workspace.id: 7})
            await eventually(_so(lambda: len(sent) > 0 and feed._channels[workspace.id].reading is None))
        feed.wake({workspace.id: await happens(workspace)})

        assert (await waiting).number == 1
    assert logged == []


@pytest.mark.parametrize(("count", "reads"), [(1, 1), (4, 2), (5, 3)])
async def test_what_was_missed_is_read_page_by_page_to_its_end(
    workspace: Workspace, feed: Feed[Loaders], monkeypatch: pytest.MonkeyPatch, count: int, reads: int
) -> None:
    """With no read more than there are pages."""
    monkeypatch.setattr(follow, "PAGE", 2)
    newest = await happens(workspace, times=count)

    with statements() as sent:
        numbers = [line.number async for line in feed.follow(workspace.id, 0, until=newest)]

    assert numbers == list(range(1, count + 1))
    assert len(sent) == reads


@pytest.mark.usefixtures("nobody_looks")
async def test_when_all_have_gone_nobody_reads_on(
    workspace: Workspace, feed: Feed[Loaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is their workspace kept."""
    monkeypatch.setattr(follow, "MAX_BUFFERED", 1)
    keys = Keys()
    feed.check_keys_with(keys.check)

    async with asyncio.timeout(PATIENCE_S):
        async with aclosing(feed.follow(workspace.id, 0)) as lines:
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(_so(lambda: feed.follower_count == 1))
            await happens(workspace, EventType.API_KEY_REVOKED)
            feed.wake({workspace.id: await happens(workspace, times=5)})
            await keys.began.wait()
            waiting.cancel()
            await asyncio.wait([waiting])
        assert list(feed._channels) == [workspace.id]
        with statements() as sent:
            keys.go_on.set()
            await eventually(_so(lambda: not feed._channels))

    assert sent == []


@pytest.mark.usefixtures("nobody_looks")
@pytest.mark.parametrize("url", ["memory://", None], ids=["alone", "with others"])
async def test_a_feed_that_is_closed_while_it_reads_reads_no_more(
    workspace: Workspace, url: str | None, valkey_url: str
) -> None:
    """Once it is closed nothing of it runs."""
    before, keys = asyncio.all_tasks(), Keys()

    async with asyncio.timeout(PATIENCE_S):
        async with Feed(url or valkey_url, Loaders) as feed:
            feed.check_keys_with(keys.check)
            lines = feed.follow(workspace.id, 0)
            waiting = asyncio.ensure_future(anext(lines))
            await eventually(_so(lambda: feed.follower_count == 1))
            feed.wake({workspace.id: await happens(workspace, EventType.API_KEY_REVOKED)})
            await keys.began.wait()

        assert asyncio.all_tasks() - before == {waiting}
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def _hear(url: str, count: int) -> None:
    """Wait until so many listen to Redis."""
    with Redis.from_url(url) as client:
        await eventually(_so(lambda: dict(client.pubsub_numsub(CHANNEL)) == {CHANNEL.encode(): count}))


def _so(is_so: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return is_so()

    return asked
