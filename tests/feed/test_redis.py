"""Redis away, frozen, and back."""

import asyncio
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from broadcaster import Event
from redis import Redis

from feed import redis
from feed.redis import RedisBackend
from tests.world.eventually import eventually
from tests.world.valkey import Valkey

PATIENCE_S: Final = 20.0
LOST: Final = "some were lost"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RedisBackend]:
    """A backend as long as the block lasts; Redis may be away."""
    backend = RedisBackend(url, LOST)
    await backend.connect()
    try:
        yield backend
    finally:
        await backend.disconnect()


async def published(backend: RedisBackend) -> Event:
    """What comes next, soon."""
    async with asyncio.timeout(PATIENCE_S):
        return await backend.next_published()


async def test_what_is_subscribed_to_on_an_open_connection_is_heard(valkey_url: str) -> None:
    async with connected(valkey_url) as backend:
        with Redis.from_url(valkey_url) as client:
            await eventually(lambda: _listens(client, LOST))  # it connects though there is nothing to listen to yet
            await backend.subscribe("late")
            await eventually(lambda: _listens(client, "late"))

        await backend.publish("late", "1")

        assert await published(backend) == Event("late", "1")


async def test_a_channel_that_is_given_up_is_heard_no_more(valkey_url: str) -> None:
    async with connected(valkey_url) as backend:
        for channel in ("a", "b"):
            await backend.subscribe(channel)
        await backend.unsubscribe("a")

        assert await published(backend) == Event("b", LOST)
        assert backend._messages.empty()


async def test_a_redis_that_says_nothing_is_kept_while_it_answers(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch, logged: list[MutableMapping[str, Any]]
) -> None:
    """It is asked the time now and then."""
    monkeypatch.setattr(redis, "_HEARTBEAT_S", 0.01)
    monkeypatch.setattr(redis, "_TIMEOUT_S", PATIENCE_S)

    async with connected(valkey_url):
        with Redis.from_url(valkey_url) as client:
            client.config_resetstat()
            await eventually(lambda: _was_asked_the_time(client, 3))

    assert logged == []


async def test_a_frozen_redis_is_given_up_and_what_was_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the connection and says nothing."""
    monkeypatch.setattr(redis, "_HEARTBEAT_S", 0.05)
    monkeypatch.setattr(redis, "_TIMEOUT_S", 0.2)

    with Valkey() as server:
        async with connected(server.url) as backend:
            await backend.subscribe("a")
            assert await published(backend) == Event("a", LOST)
            with server.frozen():
                await eventually(lambda: _is_cut_off(backend))

            assert await published(backend) == Event("a", LOST)


async def test_it_tries_again_ever_more_slowly_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, logged: list[MutableMapping[str, Any]]
) -> None:
    monkeypatch.setattr(redis, "_SLOWEST_RECONNECT_S", 0.2)
    with Valkey() as server:
        url = server.url

    began_at = time.monotonic()
    async with connected(url):
        await eventually(lambda: _has_tried(logged, 5))

    assert time.monotonic() - began_at > sum(entry["pause_s"] for entry in logged[:4])
    assert [entry["pause_s"] for entry in logged[:5]] == [0.05, 0.1, 0.2, 0.2, 0.2]


async def test_who_does_not_read_what_comes_is_told_that_some_were_lost(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded; nothing that was sent later is missing."""
    monkeypatch.setattr(redis, "_MAX_BUFFERED", 3)

    async with connected(valkey_url) as backend:
        await backend.subscribe("a")
        assert await published(backend) == Event("a", LOST)
        for number in range(1, 6):
            await backend.publish("a", str(number))
        await eventually(lambda: _waits(backend, "5"))

        assert [await published(backend), await published(backend)] == [Event("a", LOST), Event("a", "5")]


async def _listens(client: Redis, channel: str) -> bool:
    return dict(client.pubsub_numsub(channel)) == {channel.encode(): 1}  # type: ignore[arg-type]  # it isn't awaitable


async def _was_asked_the_time(client: Redis, times: int) -> bool:
    asked = client.info("commandstats").get("cmdstat_time")  # type: ignore[union-attr]  # it isn't awaitable
    return asked is not None and asked["calls"] >= times


async def _is_cut_off(backend: RedisBackend) -> bool:
    return backend._connection is None


async def _has_tried(logged: list[MutableMapping[str, Any]], times: int) -> bool:
    return len(logged) >= times


async def _waits(backend: RedisBackend, message: str) -> bool:
    return any(event.message == message for event in backend._messages._queue)  # type: ignore[attr-defined]
