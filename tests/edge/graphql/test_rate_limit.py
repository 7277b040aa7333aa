"""Nobody asks too often: per API key and per address, alone and with several workers, with Redis and without."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge.graphql import rate_limit
from edge.graphql.rate_limit import FAILURE_COUNTS, RateLimits, address_of
from errors import RateLimitedError
from models.instant import utc_now
from tests.world.app import RunningApp, running_app
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL
from tests.world.valkey import Valkey

QUERY = {"query": "{ __typename }"}


async def count(limits: RateLimits, times: int, who: str = "key_1") -> int:
    """How many of so many operations of a key are let through."""
    through = 0
    for _ in range(times):
        with contextlib.suppress(RateLimitedError):
            await limits.count_operation(who)
            through += 1
    return through


# --- Counting ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "valkey"])
def url(request: pytest.FixtureRequest) -> str:
    """Where is counted."""
    return "memory://" if request.param == "memory" else str(request.getfixturevalue("valkey_url"))


async def test_a_key_is_let_through_so_often(url: str) -> None:
    async with RateLimits(url, "5/day", None) as limits:
        assert await count(limits, 8) == 5
        assert await count(limits, 8, who="key_2") == 5

        with pytest.raises(RateLimitedError) as refused:
            await limits.count_operation("key_1")

    assert (refused.value.limit, refused.value.maximum) == ("perKey", "5/day")
    assert 0 < refused.value.retry_after_s <= 86_400
    assert refused.value.message.startswith("At most 5 requests per day are answered for one API key: try again in ")


async def test_several_at_once_are_counted_each_and_let_through_together_or_not_at_all(url: str) -> None:
    async with RateLimits(url, "10/day", None) as limits:
        await limits.count_operation("key_1", 7)
        with pytest.raises(RateLimitedError):
            await limits.count_operation("key_1", 4)

        assert await count(limits, 8) == 3


async def test_an_address_is_let_through_so_often_whatever_the_key(url: str) -> None:
    async with RateLimits(url, None, "3/day") as limits:
        for _ in range(3):
            await limits.count_request("192.0.2.1")

        with pytest.raises(RateLimitedError) as refused:
            await limits.count_request("192.0.2.1")
        await limits.count_request("192.0.2.2")

    assert (refused.value.limit, refused.value.maximum) == ("perAddress", "3/day")


async def test_failures_are_refused_much_earlier_and_nothing_else_is(url: str) -> None:
    """Keys are not to be guessed, and those who share an address are not to be locked out by it."""
    async with RateLimits(url, None, f"{3 * FAILURE_COUNTS}/day") as limits:
        for _ in range(3):
            await limits.count_failure("192.0.2.1")
        with pytest.raises(RateLimitedError) as refused:
            await limits.count_failure("192.0.2.1")
        await limits.count_failure("192.0.2.2")
        limits.check_address("192.0.2.1")
        for _ in range(3 * FAILURE_COUNTS):
            await limits.count_request("192.0.2.1")

    assert (refused.value.limit, refused.value.maximum) == ("perAddress", "3/day")
    assert refused.value.message.startswith("At most 3 requests per day are answered from one address without a valid")


async def test_an_address_that_is_refused_is_so_before_anything_is_looked_up(url: str) -> None:
    async with RateLimits(url, None, "1/day") as limits:
        limits.check_address("192.0.2.1")
        await limits.count_request("192.0.2.1")
        with pytest.raises(RateLimitedError) as counted:
            await limits.count_request("192.0.2.1")

        with pytest.raises(RateLimitedError) as known:
            limits.check_address("192.0.2.1")
        limits.check_address("192.0.2.2")

    assert known.value.retry_after_s == counted.value.retry_after_s


async def test_who_waits_is_let_through_again(url: str) -> None:
    async with RateLimits(url, "2/second", None) as limits:
        assert await count(limits, 20) < 20

        async with asyncio.timeout(30):
            while True:
                if await count(limits, 1):
                    break
                await asyncio.sleep(0.2)


async def test_what_is_left_of_a_limit_is_told(url: str) -> None:
    """All of it is there again two windows later at the latest, since what was asked in one counts in the next, too."""
    async with RateLimits(url, "10/minute", "100/minute") as limits:
        before = await limits.standing("key_1")
        await limits.count_operation("key_1", 4)
        after = await limits.standing("key_1")
        other = await limits.standing("key_2")

    assert before is not None
    assert after is not None
    assert (before.limit, before.remaining) == (after.limit, after.remaining + 4) == (10, 10)
    assert before.resets_at <= time.time() + 1
    assert time.time() < after.resets_at <= time.time() + 121
    assert other is not None
    assert other.remaining == 10


async def test_a_limit_that_is_none_has_no_standing() -> None:
    async with RateLimits("memory://", None, "100/minute") as limits:
        assert await limits.standing("key_1") is None


async def test_no_limit_and_no_address_mean_no_refusal() -> None:
    async with RateLimits("memory://", None, None) as unlimited:
        assert await count(unlimited, 20) == 20
        await unlimited.count_failure("192.0.2.1")
    async with RateLimits("memory://", "1/day", "1/day") as limits:
        for _ in range(3):
            await limits.count_request(None)


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_an_ipv6_network_is_counted_as_one_address(host: str | None, counted_as: str) -> None:
    """One customer has 2**64 of its addresses."""
    assert address_of(host) == counted_as


async def test_counters_that_are_over_and_too_many_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_COUNTERS", 10)
    async with RateLimits("memory://", "1/day", None) as limits:
        for number in range(50):
            await count(limits, 2, who=f"key_{number}")

        assert len(limits._local.storage.storage) <= 11  # type: ignore[attr-defined]
        assert len(limits._refused_until) <= 11


# --- Redis away --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def frozen(server: Valkey) -> Iterator[None]:
    """A server that keeps its connections and says nothing."""
    with Redis.from_url(server.url) as client:
        process_id = client.info("server")["process_id"]
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


async def test_processes_count_together_on_redis(valkey_url: str) -> None:
    async with RateLimits(valkey_url, "10/day", None) as one, RateLimits(valkey_url, "10/day", None) as other:
        through = [await count(limits, 4) for limits in (one, other, one, other)]

    assert sum(through) == 10


async def test_a_redis_that_is_away_refuses_nobody_and_is_told_of_once() -> None:
    """Each process counts by itself meanwhile."""
    async with RateLimits("redis://127.0.0.1:1", "5/day", None) as limits:
        with capture_logs() as log:
            through = await count(limits, 100)

    assert through == 5
    assert [line["event"] for line in log] == ["redis unreachable, each process counts requests on its own"]


async def test_a_redis_that_hangs_is_waited_for_once_and_counts_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limit, "_REDIS_REST_S", 0.2)
    with Valkey() as server:
        async with RateLimits(server.url, "1000/day", None) as limits:
            await count(limits, 1)
            with capture_logs() as log:
                with frozen(server):
                    through = await count(limits, 50)
                async with asyncio.timeout(10):
                    while len(log) < 2:
                        await count(limits, 1)
                        await asyncio.sleep(0.05)

    assert through == 50
    assert [line["event"] for line in log] == [
        "redis unreachable, each process counts requests on its own",
        "redis counts requests again",
    ]


# --- From outside ------------------------------------------------------------------------------------------------


def ask(app: RunningApp, key: str | None, **headers: str) -> httpx.Response:
    """An answer over a connection of its own."""
    known = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.post(f"{app.url}/graphql", json=QUERY, headers={**known, **headers}, **LOCAL, timeout=30)


def refusal_of(response: httpx.Response) -> dict[str, Any]:
    """The extensions of a 429's only error, which says how long to wait in the header too."""
    assert response.status_code == 429
    (error,) = response.json()["errors"]
    extensions: dict[str, Any] = error["extensions"]
    assert extensions["code"] == "RATE_LIMITED"
    assert response.headers["retry-after"] == str(extensions["retryAfter"])
    assert error["message"].startswith(f"At most {extensions['maximum'].partition('/')[0]} requests per ")
    return extensions


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[RunningApp]:
    """The product with small limits, behind a proxy on this machine."""
    env = {
        "FLUXRATE_RATE_LIMIT_PER_KEY": "5/day",
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "45/day",
        "FLUXRATE_TRUSTED_PROXIES": "127.0.0.1",
    }
    with running_app(cwd=tmp_path, env=env) as app:
        yield app


def test_a_key_that_asks_too_often_is_told_when_to_come_back(strict: RunningApp) -> None:
    key = strict.announced["apiKey"]

    answers = [ask(strict, key) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert {name: refusal_of(answers[-1])[name] for name in ("limit", "maximum")} == {
        "limit": "perKey",
        "maximum": "5/day",
    }


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json", "text/event-stream"])
def test_every_answer_tells_what_is_left(strict: RunningApp, accept: str) -> None:
    def told(query: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {strict.announced['apiKey']}", "Accept": accept}
        body = httpx.post(f"{strict.url}/graphql", json={"query": query}, headers=headers, **LOCAL).text
        answer = next(line.removeprefix("data: ") for line in body.splitlines() if "{" in line)
        extensions: dict[str, Any] = json.loads(answer)["extensions"]
        return extensions

    first, second = told("{ invoices(first: 7) { nodes { id customer { id } } } }"), told("{ customer(id: 1) { id } }")

    assert first["cost"] == {"requested": 15, "limit": 25_000}
    assert second["cost"] == {"requested": 1, "limit": 25_000}
    assert [each["rateLimit"]["limit"] for each in (first, second)] == [5, 5]
    assert [each["rateLimit"]["remaining"] for each in (first, second)] == [4, 3]
    assert utc_now() < datetime.fromisoformat(second["rateLimit"]["resetAt"]) < utc_now() + timedelta(days=2)


def test_what_is_refused_for_its_cost_is_told_what_it_would_be(strict: RunningApp) -> None:
    query = "{ invoices(first: 100) { nodes { customer { invoices(first: 100) { nodes { customer { id } } } } } } }"
    response = httpx.post(
        f"{strict.url}/graphql",
        json={"query": f"{{ a: {query[2:-2]} b: {query[2:-2]} }}"},
        headers={"Authorization": f"Bearer {strict.announced['apiKey']}"},
        **LOCAL,
    )

    answer = response.json()
    assert answer["errors"][0]["extensions"]["actual"] == answer["extensions"]["cost"]["requested"] > 25_000


def test_who_guesses_keys_is_stopped_by_the_address_that_the_proxy_tells(strict: RunningApp) -> None:
    """Others behind the same proxy are not."""
    guesses = [ask(strict, f"flx_test_{number:040x}", **{"X-Forwarded-For": "192.0.2.9"}) for number in range(10)]
    other = ask(strict, strict.announced["apiKey"], **{"X-Forwarded-For": "192.0.2.10"})

    statuses = [guess.status_code for guess in guesses]
    assert statuses[:2] == [401, 401]
    assert statuses[-1] == 429
    assert refusal_of(guesses[-1])["limit"] == "perAddress"
    assert other.status_code == 200


def test_webhooks_and_health_are_never_refused_for_their_address(strict: RunningApp) -> None:
    """Stripe's deliveries come from few addresses, and in bursts."""
    while ask(strict, None).status_code != 429:
        pass

    webhooks = [
        httpx.post(f"{strict.url}/webhooks/stripe/unknown", content=b"{}", **LOCAL).status_code for _ in range(60)
    ]
    health = httpx.get(f"{strict.url}/readyz", **LOCAL).status_code

    assert set(webhooks) == {404}
    assert health == 200


async def test_a_socket_stays_open_when_its_key_asks_too_often(strict: RunningApp) -> None:
    """Its handshake counts as an operation too."""
    async with GraphQLClient(strict.url, strict.announced["apiKey"]).socket() as socket:
        frames = []
        for number in range(6):
            await socket.send({"id": str(number), "type": "subscribe", "payload": QUERY})
            frames.append(await socket.receive())
            if frames[-1]["type"] == "next":
                assert (await socket.receive())["type"] == "complete"
        await socket.send({"type": "ping"})
        pong = await socket.receive()

    assert [frame["type"] for frame in frames] == ["next"] * 4 + ["error"] * 2
    (error,) = frames[-1]["payload"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["retryAfter"] > 0
    assert pong["type"] == "pong"


async def closed_for(app: RunningApp, key: str) -> int | None:
    """The code that a new socket with a key is closed with; None where it is acknowledged."""
    protocols: Any = ["graphql-transport-ws"]
    async with connect(f"{app.ws_url}/graphql", subprotocols=protocols) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}))
        try:
            await socket.recv()
        except ConnectionClosed:
            return socket.close_code
    return None


async def test_sockets_count_per_address_once_they_have_a_key(tmp_path: Path) -> None:
    """Then new ones are refused before there is a socket."""
    env = {"FLUXRATE_RATE_LIMIT_PER_KEY": "off", "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "3/day"}
    with running_app(cwd=tmp_path, env=env) as app:
        without = [await closed_for(app, "flx_no") for _ in range(5)]
        codes = [await closed_for(app, app.announced["apiKey"]) for _ in range(4)]
        with pytest.raises(InvalidStatus) as refused:
            await closed_for(app, app.announced["apiKey"])

    assert without == [4401] * 5
    assert codes == [None] * 3 + [1013]
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["retry-after"]) > 0


async def test_bad_keys_do_not_lock_out_good_ones(tmp_path: Path) -> None:
    """A flood of them from the one address that a proxy shows, by the limits as they are."""
    with running_app(cwd=tmp_path) as app:
        key = app.announced["apiKey"]
        async with httpx.AsyncClient(base_url=app.url, **LOCAL, timeout=30) as guessing:
            guesses = [
                await guessing.post("/graphql", json=QUERY, headers={"Authorization": f"Bearer flx_test_{number:040x}"})
                for number in range(700)
            ]
        good = [ask(app, key).status_code for _ in range(5)]
        on_socket = await closed_for(app, key)

    statuses = [guess.status_code for guess in guesses]
    assert set(statuses[:600]) == {401}
    assert statuses[-1] == 429
    assert refusal_of(guesses[-1])["maximum"] == "600/minute"
    assert (good, on_socket) == ([200] * 5, None)


def test_workers_count_together(migrated_postgres_url: str, valkey_url: str) -> None:
    env = {"FLUXRATE_RATE_LIMIT_PER_KEY": "10/day"}
    with running_app(migrated_postgres_url, valkey_url, workers=2, env=env) as app:
        key = app.workspace().api_key
        statuses = [ask(app, key).status_code for _ in range(30)]

    assert statuses.count(200) == 10
    assert statuses.count(429) == 20


def test_redis_away_stops_nobody(migrated_postgres_url: str, tmp_path: Path) -> None:
    with Valkey() as server, running_app(migrated_postgres_url, server.url) as app:
        key = app.workspace().api_key
        before = ask(app, key).status_code
        with frozen(server):
            statuses = {ask(app, key).status_code for _ in range(30)}
        told = [line for line in app.log() if "counts requests" in line["event"]]

    assert before == 200
    assert statuses == {200}
    assert 1 <= len(told) <= 4


# --- Mutations ---------------------------------------------------------------------------------------------------


async def test_each_mutation_of_a_document_counts(tmp_path: Path) -> None:
    """Over HTTP and over a socket; a document for which there is no room changes nothing."""
    fragment = " fragment More on Mutation { c: %s d: %s }" % ((NEW_CUSTOMER,) * 2)
    four = "mutation { a: %s b: %s ...More }" % ((NEW_CUSTOMER,) * 2) + fragment
    with running_app(cwd=tmp_path, env={"FLUXRATE_RATE_LIMIT_PER_KEY": "12/day"}) as app:
        key = app.announced["apiKey"]
        async with httpx.AsyncClient(base_url=app.url, timeout=30, **LOCAL) as http:
            http.headers["Authorization"] = f"Bearer {key}"
            first = await http.post("/graphql", json={"query": four})
            async with GraphQLClient(app.url, key).socket() as socket:
                await socket.send({"id": "1", "type": "subscribe", "payload": {"query": four}})
                second = await socket.receive()
            third = await http.post("/graphql", json={"query": four})
            seen = await http.post("/graphql", json={"query": "{ customers { totalCount } }"})

    assert first.json()["data"]["a"] is not None
    assert second["type"] == "next"
    assert third.status_code == 429
    assert third.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert seen.json()["data"]["customers"]["totalCount"] == 8


NEW_CUSTOMER = 'createCustomer(input: {name: "Ada", email: "ada@example.com"}) { __typename }'
