"""Hundreds of subscriptions come and go on a real port, politely or not, and leave nothing behind."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Self, TypeVar

import pytest
import stripe  # noqa: F401 - the product loads it when it has time
import structlog
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from edge.graphql.keys import KeyWatch
from edge.server import listen
from edge.server.http import BoundedProtocol
from edge.server.websocket import BoundedWebSocket
from execution.shared import Fanout
from feed.follow import Feed
from main import create_app
from models.kinds import Mode
from resolvers.operator import create_workspace
from settings import Settings
from tests.world.app import ENCRYPTION_KEY
from tests.world.long import few_or_many

T = TypeVar("T")

CYCLES: Final = few_or_many(800, 4000)
HANGING_UP: Final = few_or_many(200, 1000)
AT_ONCE: Final = 40
SETTLES_WITHIN_S: Final = 20.0
SUBSCRIBE: Final = {"query": "subscription { events { type cursor invoice { id status } } }"}


class Left(NamedTuple):
    """What subscriptions hold while they are open."""

    groups: int
    followers: int
    keys: int
    tasks: int


def only(kind: type[T]) -> T:
    """The only object of its kind in the process that serves."""
    *_, found = [each for each in gc.get_objects() if type(each) is kind]  # another test's may not be collected yet
    return found


class Holders(NamedTuple):
    """Who holds something for subscriptions, in the process that serves."""

    shared: Fanout
    feed: Feed[Any]
    keys: KeyWatch

    @classmethod
    def found(cls) -> Self:
        """Look through all objects, which takes a while."""
        return cls(only(Fanout), only(Feed), only(KeyWatch))

    def left(self) -> Left:
        """What is held now."""
        tasks = len(asyncio.all_tasks())
        return Left(self.shared.group_count, self.feed.follower_count, len(self.keys._held), tasks)


@pytest.fixture
async def url(migrated_sqlite_url: str) -> AsyncIterator[tuple[str, str]]:
    """The product on a real port of this very process, and an API key."""
    environ = {"FLUXRATE_DATABASE_URL": migrated_sqlite_url, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    bound, logging = listen.bind("127.0.0.1", 0), structlog.get_config()
    app = create_app(Settings.from_env({**environ, "FLUXRATE_SYNC_INTERVAL_S": "0"}))
    structlog.configure(cache_logger_on_first_use=False)  # or later tests of this process could capture nothing
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws=BoundedWebSocket,
        lifespan="on",
        log_config=None,
        access_log=False,
    )
    serving = uvicorn.Server(config)
    task = asyncio.create_task(serving.serve(sockets=[bound]))
    while not serving.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    gc.unfreeze()  # so that all can be counted
    _, key = await create_workspace("Acme", Mode.TEST)
    yield listen.url_of(bound).replace("http", "ws") + "/graphql", key
    serving.should_exit = True
    await task
    bound.close()
    structlog.configure(**logging)
    gc.freeze()  # as it was


@asynccontextmanager
async def opened(url: tuple[str, str]) -> AsyncIterator[ClientConnection]:
    """A socket that is acknowledged."""
    address, key = url
    async with connect(address, subprotocols=["graphql-transport-ws"], ping_interval=None) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}))
        await socket.recv()
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def settled(before: Left) -> Left:
    """What is held once it is as it was, or after a while."""
    holders = Holders.found()
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while (left := holders.left())[:3] != before[:3] or left.tasks > before.tasks:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
    return left


def objects() -> int:
    """How many objects live."""
    gc.collect()
    return len(gc.get_objects())


async def come_and_go(url: tuple[str, str], cycles: int) -> None:
    """Subscribe and complete, again and again, on one socket."""
    async with opened(url) as socket:
        for number in range(cycles):
            await say(socket, id=str(number), type="subscribe", payload=SUBSCRIBE)
            await say(socket, id=str(number), type="complete")
        await say(socket, type="ping")
        while json.loads(await socket.recv())["type"] != "pong":
            pass


async def hang_up(url: tuple[str, str]) -> None:
    """Subscribe, and be gone without a word."""
    async with opened(url) as socket:
        await say(socket, id="1", type="subscribe", payload=SUBSCRIBE)
        await asyncio.sleep(0)
        socket.transport.abort()


@pytest.mark.slow
@pytest.mark.longer
async def test_many_that_subscribe_and_complete_leave_nothing_behind(url: tuple[str, str]) -> None:
    for _ in range(2):  # what is made once and kept
        await asyncio.gather(*(come_and_go(url, 5) for _ in range(AT_ONCE)))
    before, lived = await settled(Left(0, 0, 0, len(asyncio.all_tasks()))), objects()

    for _ in range(CYCLES // AT_ONCE // 5):
        await asyncio.gather(*(come_and_go(url, 5) for _ in range(AT_ONCE)))

    after = await settled(before)
    assert after.tasks <= before.tasks
    assert objects() - lived < CYCLES // 2


@pytest.mark.slow
@pytest.mark.longer
async def test_many_that_hang_up_leave_nothing_behind(url: tuple[str, str]) -> None:
    for _ in range(2):  # what is made once and kept
        await asyncio.gather(*(hang_up(url) for _ in range(AT_ONCE)))
    before, lived = await settled(Left(0, 0, 0, len(asyncio.all_tasks()))), objects()

    for _ in range(HANGING_UP // AT_ONCE):
        await asyncio.gather(*(hang_up(url) for _ in range(AT_ONCE)))

    after = await settled(before)
    assert after.tasks <= before.tasks
    assert objects() - lived < HANGING_UP // 2
