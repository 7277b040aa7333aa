"""PostgreSQL restarted, stopped, read-only, and with every connection in use."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from feed.cursor import encode_cursor
from tests.faults.serving import OUTAGE_S, PROMPT_S, serving
from tests.world.documents import CREATE_CUSTOMER
from tests.world.follower import Follower
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL
from tests.world.postgres import Postgres
from tests.world.shop import open_shop

POOL_SIZE = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL that the module may stop."""
    with Postgres() as server:
        yield server


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Somebody else's connection, which may be lost meanwhile."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def until_blocked(connection: Any, times: int = 1) -> None:
    """Wait until so many transactions in this database wait for a lock."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'"
    )
    async with asyncio.timeout(10):
        while await connection.fetchval(waiting) < times:
            await connection.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees them as at first sight
            await asyncio.sleep(0.02)


async def test_a_restart_in_the_middle_of_a_transaction_undoes_it_and_asks_stripe_to_come_again(
    server: Postgres,
) -> None:
    async with open_shop(server.url(server.create_database(server.migrated))) as shop:
        events = shop.sell(20)
        with serving(shop.database_url) as app:
            async with connected(shop.database_url) as other:
                await other.execute("BEGIN")
                await other.execute("SELECT 1 FROM integration_traffic FOR UPDATE")  # what a batch writes last but one
                posting = asyncio.create_task(shop.post(app.url, events))
                await until_blocked(other)
                await asyncio.to_thread(server.stop)
                answers = await posting
            await asyncio.to_thread(server.start)

            after_redelivery = await shop.post(app.url, events)

        assert answers == {503: len(events)}
        assert after_redelivery == {200: len(events)}
        shop.audit(complete=True)


async def test_while_the_database_is_stopped_all_is_refused_and_nothing_of_it_is_missing_afterwards(
    server: Postgres,
) -> None:
    async with open_shop(server.url(server.create_database(server.migrated))) as shop:
        events = shop.sell(20)
        follower = Follower(shop.workspace_id, shop.api_key)
        with serving(shop.database_url) as app:
            async with follower.following(app.url):
                before = await shop.post(app.url, events[:10])
                await asyncio.to_thread(server.stop)
                during: Counter[int | str] = Counter()
                ends_at = time.monotonic() + OUTAGE_S
                while time.monotonic() < ends_at:
                    during += await shop.post(app.url, events, timeout_s=PROMPT_S)
                    await asyncio.sleep(1)
                async with httpx.AsyncClient(base_url=app.url, **LOCAL) as http:
                    alive, ready = await http.get("/healthz"), await http.get("/readyz")
                await asyncio.to_thread(server.start)

                after = await shop.post(app.url, events)
                books = shop.audit(complete=True)
                await follower.reach(books.newest)

        assert (set(before), set(during), set(after)) == ({200}, {503}, {200})
        assert (alive.status_code, ready.status_code) == (200, 503)
        assert follower.numbers == list(range(1, books.newest + 1))


async def test_a_read_only_database_refuses_deliveries_answers_queries_and_is_written_again_when_it_can_be(
    migrated_postgres_url: str,
) -> None:
    async with open_shop(migrated_postgres_url) as shop, connected(shop.database_url) as other:
        events = shop.sell(10)
        name = await other.fetchval("SELECT current_database()")
        with serving(shop.database_url) as app:
            before = await shop.post(app.url, events[:5])
            await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            during = [await shop.post(app.url, events, timeout_s=PROMPT_S) for _ in range(3)]
            unready = await asyncio.to_thread(httpx.get, f"{app.url}/readyz", **LOCAL)
            async with GraphQLClient(app.url, shop.api_key) as client:
                read = await client.query("{ invoices(first: 1) { totalCount } }")
            await other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

            for _ in range(POOL_SIZE):  # a session from before is found out by its first write
                await shop.post(app.url, shop.unacknowledged)
            ready = await asyncio.to_thread(httpx.get, f"{app.url}/readyz", **LOCAL)

        assert before == {200: 5}
        assert set().union(*during) == {503}
        assert (unready.status_code, ready.status_code) == (503, 200), (unready.text, ready.text)
        assert "read-only" in unready.json()["reason"]
        assert read == {"invoices": {"totalCount": 10}}
        shop.audit(complete=True)


async def test_when_every_connection_is_in_use_deliveries_are_refused_rather_than_left_hanging(
    migrated_postgres_url: str,
) -> None:
    async with open_shop(migrated_postgres_url) as shop, open_shop(migrated_postgres_url) as busy:
        events = shop.sell(5)
        with serving(shop.database_url) as app:
            async with GraphQLClient(app.url, busy.api_key) as client, connected(shop.database_url) as other:
                await other.execute("BEGIN")
                await other.execute("SELECT 1 FROM workspaces WHERE id = $1 FOR UPDATE", busy.workspace_id)
                customer = {"name": "Ada", "email": "ada@example.com"}
                hogging = [
                    asyncio.create_task(client.mutate(CREATE_CUSTOMER, input=customer)) for _ in range(POOL_SIZE)
                ]
                await until_blocked(other, POOL_SIZE)
                during = await shop.post(app.url, events, timeout_s=PROMPT_S)
                await other.execute("ROLLBACK")
                await asyncio.gather(*hogging)

                after = await shop.post(app.url, events)

        assert (during, after) == ({503: len(events)}, {200: len(events)})
        shop.audit(complete=True)


LINE = "subscription ($after: String) { events(after: $after) { cursor customer { id } } }"


async def test_who_follows_is_never_shown_half_of_an_event(migrated_postgres_url: str) -> None:
    """What can't be read to its end is an error: the cursor stays, and what it left out is shown to who comes back."""
    async with open_shop(migrated_postgres_url) as shop, connected(shop.database_url) as other:
        events = shop.sell(1)
        after = encode_cursor(shop.workspace_id, shop.books().newest)
        asking = {"query": LINE, "variables": {"after": after}}
        accepting = {"Authorization": f"Bearer {shop.api_key}", "Accept": "text/event-stream"}
        with serving(shop.database_url) as app:
            async with (
                GraphQLClient(app.url, shop.api_key) as client,
                client.subscribe(LINE, after=after) as by_socket,
                shop.http.stream("POST", f"{app.url}/graphql", json=asking, headers=accepting) as by_stream,
            ):
                await other.execute("BEGIN")
                await other.execute("LOCK TABLE customers")
                answers = await shop.post(app.url, events)
                await until_blocked(other)
                await other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                )
                message = await by_socket.socket.receive()
                streamed = [line async for line in by_stream.aiter_lines() if line.startswith("data: {")]
                await other.execute("ROLLBACK")
            async with GraphQLClient(app.url, shop.api_key) as client, client.subscribe(LINE, after=after) as again:
                shown = await again.next()

        assert answers == {200: len(events)}
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAVAILABLE")
        (last,) = [json.loads(line.removeprefix("data: ")) for line in streamed]
        assert (last.get("data"), last["errors"][0]["extensions"]["code"]) == (None, "UNAVAILABLE")
        assert shown["customer"] is not None
