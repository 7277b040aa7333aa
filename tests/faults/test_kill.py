"""Killed with -9 between any two steps of a delivery's way, started again, and posted to again: nothing is lost and
nothing is there twice.

FLUXRATE_FAULT_SEEDS sets how many times each database's server is killed; unless it does, twice at each place with
--long, and without it once at every second: SQLite's at some, PostgreSQL's at the others.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx
import pytest

from tests.faults.dying import AFTER, BEFORE, POINTS
from tests.faults.serving import serving
from tests.world.app import RunningApp
from tests.world.documents import UPDATE_INTEGRATION
from tests.world.eventually import eventually
from tests.world.follower import Follower
from tests.world.graphql_client import GraphQLClient
from tests.world.long import asks_for_more, few_or_many
from tests.world.seed import WEBHOOK_SECRET
from tests.world.shop import Shop, open_shop

ANYWHERE: Final = "anywhere"
PLACES: Final = (*POINTS, ANYWHERE, ANYWHERE)
KILLS: Final = few_or_many(len(PLACES), 2 * len(PLACES), "FLUXRATE_FAULT_SEEDS")
HISTORIES: Final = -(-KILLS // len(PLACES))
PER_DELIVERY: Final = frozenset({"verified", "answered"})
"""Points that each delivery reaches by itself; the others are a batch's."""

MAX_ROUNDS: Final = 300


@dataclass(frozen=True)
class Kill:
    """How a server dies: at a point reached for the n-th time, or after a while, with so many posts under way."""

    point: str
    times: int
    after_s: float
    in_flight: int

    @property
    def dies_at(self) -> str | None:
        """What tells the server."""
        return None if self.point == ANYWHERE else f"{self.point}:{self.times}"


def kills(random: Random, most: int, on_sqlite: bool) -> Iterator[Kill]:
    """One at each place, as many as are wanted, in some order."""
    places = PLACES[:most] if asks_for_more("FLUXRATE_FAULT_SEEDS") else PLACES[on_sqlite::2]
    for point in random.sample(places, len(places)):
        times = random.randint(1, 20 if point in PER_DELIVERY else 4)
        yield Kill(point, times, random.uniform(0.0, 0.1), random.choice([1, 4, 12, 40]))


def test_every_point_is_somewhere() -> None:
    assert {*BEFORE, *AFTER} == set(POINTS)
    assert not [place for place in (*BEFORE.values(), *AFTER.values()) if not hasattr(*place)]


@pytest.mark.timeout(300)
@pytest.mark.longer
@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_a_server_killed_at_every_point_loses_nothing_and_counts_nothing_twice(
    database_url: str, seed: int
) -> None:
    random = Random(seed)
    async with open_shop(database_url) as shop:
        follower = Follower(shop.workspace_id, shop.api_key)

        for kill in kills(random, KILLS - seed * len(PLACES), database_url.startswith("sqlite")):
            await be_killed(shop, follower, kill, random)
            shop.audit()
        with serving(shop.database_url) as app:
            async with follower.following(app.url):
                answers = await shop.post(app.url, [*shop.unacknowledged, *random.sample(list(shop.bodies), 20)])
                books = shop.audit(complete=True)
                await follower.reach(books.newest)

        assert set(answers) == {200}
        assert follower.numbers == list(range(1, books.newest + 1))


async def test_a_worker_that_is_killed_is_replaced_and_nothing_of_its_is_missing(
    migrated_postgres_url: str, valkey_url: str
) -> None:
    async with open_shop(migrated_postgres_url) as shop:
        events = shop.sell(20)
        with serving(shop.database_url, broadcast_url=valkey_url, workers=2) as app:
            victim, _ = workers(app)
            posting = asyncio.create_task(shop.post(app.url, events))
            await asyncio.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            await posting
            async with asyncio.timeout(20):
                while victim in (alive := workers(app)) or len(alive) < 2:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)

            after = await shop.post(app.url, events)

        assert set(after) == {200}
        shop.audit(complete=True)


def workers(app: RunningApp) -> list[int]:
    """The process ids of a server's workers."""
    children = Path(f"/proc/{app.process.pid}/task/{app.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"resource_tracker" not in command_line(child)]


def command_line(process_id: str) -> bytes:
    """What a process was started with; nothing once it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    return b""


async def test_a_server_killed_while_it_releases_what_waited_for_its_secret_releases_the_rest_by_itself(
    migrated_postgres_url: str,
) -> None:
    async with open_shop(migrated_postgres_url, webhook_secret=None) as shop:
        events = shop.sell(10)
        with serving(shop.database_url, dies_at="settled:1") as app:
            answers = await shop.post(app.url, events)
            await save_secret(shop, app)
            assert await died(app) == -signal.SIGKILL
        with serving(shop.database_url, dies_at="committed:1") as app:
            await save_secret(shop, app)
            assert await died(app) == -signal.SIGKILL

        with serving(shop.database_url):
            await eventually(lambda: released(shop))

        assert answers == {400: len(events)}
        shop.audit(complete=True)


async def released(shop: Shop) -> bool:
    """Whether nothing waits for the secret any more."""
    await asyncio.sleep(0.2)  # to read it all is too much to do at every moment
    return "QUARANTINED" not in {row["status"] for row in shop.books().webhook_events}


async def save_secret(shop: Shop, app: RunningApp) -> None:
    """Save the secret that the shop's posts are signed with, answered or not."""
    given = {"id": shop.integration.id, "webhookSecret": WEBHOOK_SECRET}
    async with GraphQLClient(app.url, shop.api_key) as client:
        with contextlib.suppress(httpx.TransportError):
            saved = await client.mutate(UPDATE_INTEGRATION, input=given)
            assert saved["__typename"] == "UpdateStripeIntegrationSuccess"


async def be_killed(shop: Shop, follower: Follower, kill: Kill, random: Random) -> None:
    """Start a server and post to it until it dies: what is new first, then whatever was ever told."""
    new = shop.sell(8, random)
    with serving(shop.database_url, dies_at=kill.dies_at) as app:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(follower.following(app.url))
            if kill.point == ANYWHERE:
                asyncio.get_running_loop().call_later(kill.after_s, app.process.send_signal, signal.SIGKILL)
            for _ in range(MAX_ROUNDS):
                events, new = new[: kill.in_flight], new[kill.in_flight :]
                events += random.choices(list(shop.bodies), k=kill.in_flight - len(events) + 1)
                answers = await shop.post(app.url, events)
                if "no answer" in answers:
                    break
            assert await died(app) == -signal.SIGKILL, kill


async def died(app: RunningApp) -> int:
    """How a server ended."""
    return await asyncio.to_thread(app.process.wait, 10)
