"""SIGTERM while fifty deliveries are under way: each is answered, or can be posted again."""

import asyncio
import contextlib
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from tests.faults.serving import serving
from tests.world.app import RunningApp
from tests.world.local import LOCAL
from tests.world.shop import open_shop

IN_FLIGHT: Final = 50


@contextlib.asynccontextmanager
async def writes_held_up(database_url: str) -> AsyncIterator[None]:
    """Nobody's transaction can end meanwhile."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(Path(database_url.removeprefix("sqlite://")), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        other = await asyncpg.connect(database_url)
        await other.execute("BEGIN")
        await other.execute("SELECT 1 FROM workspaces FOR UPDATE")
        try:
            yield
        finally:
            other.terminate()


async def until_waiting(app: RunningApp, deliveries: int) -> None:
    """Wait until so many deliveries wait for their commit."""
    async with httpx.AsyncClient(base_url=app.url, **LOCAL) as http, asyncio.timeout(10):
        while f"fluxrate_inbox_queued {deliveries}.0" not in (await http.get("/metrics")).text:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def until_it_refuses_connections(app: RunningApp) -> None:
    """Wait until a server has begun to stop."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(app.url).port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_what_waits_for_its_commit_is_answered_before_the_server_stops(database_url: str) -> None:
    async with open_shop(database_url) as shop:
        shop.sell(IN_FLIGHT)
        events = list(shop.bodies)[:IN_FLIGHT]
        with serving(shop.database_url) as app:
            async with writes_held_up(database_url):
                posting = asyncio.create_task(shop.post(app.url, events))
                await until_waiting(app, IN_FLIGHT)
                app.process.send_signal(signal.SIGTERM)
                await until_it_refuses_connections(app)
            answers = await posting
            ended = await asyncio.to_thread(app.process.wait, 20)

        assert answers == {200: IN_FLIGHT}
        assert ended in {0, -signal.SIGTERM}
        shop.audit()


async def test_what_a_stopping_server_does_not_answer_is_counted_once_when_it_is_posted_again(
    database_url: str,
) -> None:
    async with open_shop(database_url) as shop:
        events = shop.sell(IN_FLIGHT)
        with serving(shop.database_url) as app:
            posting = [asyncio.create_task(shop.post(app.url, [id_])) for id_ in events[:IN_FLIGHT]]
            await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
            app.process.send_signal(signal.SIGTERM)
            answers: Counter[int | str] = sum(
                [await shop.post(app.url, [id_]) for id_ in events[IN_FLIGHT:]], Counter()
            )
            answers += sum([await each for each in posting], Counter())
            await asyncio.to_thread(app.process.wait, 20)
        shop.audit()
        with serving(shop.database_url) as app:
            after_redelivery = await shop.post(app.url, [*shop.unacknowledged, *events[:10]])

        assert set(answers) <= {200, 503, "no answer"}
        assert answers["no answer"] > 0
        assert set(after_redelivery) == {200}
        shop.audit(complete=True)
