"""Whoever follows is shown every line once and in order, wherever they come back to and whatever breaks meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.faults.serving import serving
from tests.world.follower import Follower
from tests.world.long import few_or_many
from tests.world.postgres import Postgres
from tests.world.shop import Shop, open_shop
from tests.world.valkey import Valkey

FOLLOWERS = 4
SALES = few_or_many(24, 200)


async def roam(follower: Follower, urls: Sequence[str], random: Random, over: asyncio.Event) -> None:
    """Follow for a moment, hang up, and come back with the last cursor, here or there."""
    while not over.is_set():
        async with follower.following(random.choice(urls)):
            await asyncio.sleep(random.uniform(0.0, 0.4))


@asynccontextmanager
async def roaming(followers: Sequence[Follower], urls: Sequence[str], random: Random) -> AsyncIterator[None]:
    """All of them are on the move within the block."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for follower in followers:
            tasks.create_task(roam(follower, urls, random, over))
        try:
            yield
        finally:
            over.set()


async def post_everywhere(shop: Shop, urls: Sequence[str], events: Sequence[str]) -> None:
    """Have Stripe post to all servers at once, in small crowds."""
    for start in range(0, len(events), 10):
        crowd = events[start : start + 10]
        await asyncio.gather(*(shop.post(url, crowd[place :: len(urls)]) for place, url in enumerate(urls)))


@pytest.mark.longer
async def test_who_comes_and_goes_while_several_workers_commit_is_shown_all_once_in_order(
    postgres_server: Postgres,
) -> None:
    """One server restarts, and so does Valkey."""
    random = Random(4)
    with postgres_server.database(postgres_server.migrated) as database_url, Valkey() as valkey:
        async with open_shop(database_url) as shop:
            events = shop.sell(SALES, random)
            third = len(events) // 3
            followers = [Follower(shop.workspace_id, shop.api_key) for _ in range(FOLLOWERS)]
            with serving(database_url, broadcast_url=valkey.url, workers=2) as lasting:
                with serving(database_url, broadcast_url=valkey.url) as first:
                    async with roaming(followers, [lasting.url, first.url], random):
                        await post_everywhere(shop, [lasting.url, first.url], events[:third])
                        await asyncio.to_thread(first.stop)
                        await post_everywhere(shop, [lasting.url], events[third : 2 * third])
                with serving(database_url, broadcast_url=valkey.url) as second:
                    urls = [lasting.url, second.url]
                    async with roaming(followers, urls, random):
                        valkey.stop()
                        await post_everywhere(shop, urls, events[2 * third :])
                        valkey.start()
                        await post_everywhere(shop, urls, shop.unacknowledged)
                    newest = shop.audit(complete=True).newest
                    for number, follower in enumerate(followers):
                        async with follower.following(urls[number % 2]):
                            await follower.reach(newest)

        assert [follower.numbers for follower in followers] == [list(range(1, newest + 1))] * FOLLOWERS
