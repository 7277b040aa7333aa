"""Valkey stopped, frozen and restarted: it only wakes, so nobody who posts waits for it and nobody who follows misses
anything.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.serving import serving
from tests.world.app import RunningApp
from tests.world.follower import Follower
from tests.world.postgres import Postgres
from tests.world.shop import open_shop
from tests.world.valkey import Valkey

IN_A_ROW = 10
A_SECOND_EACH = float(IN_A_ROW)


@dataclass(frozen=True)
class Pair:
    """Two servers of one database that hear one another by a Valkey of their own."""

    database_url: str
    valkey: Valkey
    posted_to: RunningApp
    followed: RunningApp


@pytest.fixture(scope="module")
def pair(postgres_server: Postgres) -> Iterator[Pair]:
    """What is posted to one is followed at the other."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres_server.database(postgres_server.migrated))
        valkey = stack.enter_context(Valkey())
        servers = [stack.enter_context(serving(url, broadcast_url=valkey.url)) for _ in range(2)]
        yield Pair(url, valkey, *servers)


@contextmanager
def stopped(valkey: Valkey) -> Iterator[None]:
    """Nobody listens on its port."""
    valkey.stop()
    yield
    valkey.start()


@contextmanager
def restarted(valkey: Valkey) -> Iterator[None]:
    """It has forgotten who listens."""
    valkey.stop()
    valkey.start()
    yield


@pytest.mark.parametrize("fault", [stopped, Valkey.frozen, restarted], ids=lambda fault: fault.__name__)
async def test_webhooks_are_answered_and_followers_catch_up(
    pair: Pair,
    fault: Callable[[Valkey], AbstractContextManager[None]],
) -> None:
    async with open_shop(pair.database_url) as shop:
        events = shop.sell(20)
        follower = Follower(shop.workspace_id, shop.api_key)
        async with follower.following(pair.followed.url):
            await shop.post(pair.posted_to.url, events[:IN_A_ROW])
            with fault(pair.valkey):
                async with asyncio.timeout(A_SECOND_EACH):
                    during = [await shop.post(pair.posted_to.url, [id_]) for id_ in events[IN_A_ROW : 2 * IN_A_ROW]]
                await follower.reach(shop.audit().newest)
            after = await shop.post(pair.posted_to.url, shop.unacknowledged)
            books = shop.audit(complete=True)
            await follower.reach(books.newest)

        assert during == [{200: 1}] * IN_A_ROW
        assert set(after) == {200}
        assert follower.numbers == list(range(1, books.newest + 1))
