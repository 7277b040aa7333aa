"""Connections are bounded by the descriptors there are: idle ones make room, webhooks and health always have some."""

import asyncio
import base64
import os
import re
import resource
import shutil
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from edge.address import Networks, client_of
from edge.server.connections import Capacity, Connections
from tests.world import migrated
from tests.world.app import RunningApp, running_app
from tests.world.graphql_client import GraphQLClient, Socket
from tests.world.local import LOCAL
from tests.world.seed import WEBHOOK_SECRET, Seeded, add_integration, within
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers

ALL: Final = 1200
"""More than there are descriptors."""

ALIVE: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE: Final = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: %b\r\n\r\n" % base64.b64encode(os.urandom(16))
)


# --- Who is kept -------------------------------------------------------------------------------------------------


class Kept:
    """A connection."""

    def __init__(self, name: str, *, is_sending: bool = False) -> None:
        self.name = name
        self.is_dropped = False
        self.is_sending = is_sending

    def drop(self) -> bool:
        """Be hung up on."""
        self.is_dropped = not self.is_sending
        return self.is_dropped


class Small:
    """Connections for sixteen: four of them are kept, and six are for one address."""

    def __init__(self, *trusted: str) -> None:
        self.noted: list[str] = []
        capacity = Capacity(total=16, reserved=4, per_address=6, backlog=1)
        self.connections = Connections(capacity, Networks(trusted), self.noted.append)

    def come(self, *hosts: str, busy: bool = False) -> list[Kept]:
        """Those of so many that come and are admitted."""
        admitted = []
        for number, host in enumerate(hosts):
            connection = Kept(f"{host} {number}")
            if self.connections.admit(connection, host):
                admitted.append(connection)
                if busy:
                    self.connections.busy(connection)
        return admitted


def test_who_is_idle_longest_makes_room() -> None:
    small = Small()
    first, second, third, *_ = small.come(*(f"192.0.2.{number}" for number in range(12)))
    small.connections.busy(first)
    small.connections.idle(first)
    small.connections.busy(second)

    new = small.come("192.0.2.100", "192.0.2.101")

    assert third.is_dropped
    assert not first.is_dropped
    assert not second.is_dropped
    assert not any(connection.is_dropped or small.connections.is_short(connection) for connection in new)
    assert small.noted == ["idle", "idle"]


def test_an_address_makes_room_for_itself() -> None:
    """Not at the cost of others, that are idle longer."""
    small = Small()
    (other,) = small.come("192.0.2.1")

    mine = small.come(*["198.51.100.1"] * 7)

    assert not other.is_dropped
    assert [connection.is_dropped for connection in mine] == [True] + [False] * 6


def test_who_is_still_being_answered_is_not_dropped() -> None:
    small = Small()
    slow = Kept("slow", is_sending=True)
    assert small.connections.admit(slow, "192.0.2.1")

    others = small.come(*(f"192.0.2.{number}" for number in range(2, 14)))

    assert not slow.is_dropped
    assert others[0].is_dropped


def test_where_nobody_is_idle_there_is_room_for_what_must_not_wait_and_then_none() -> None:
    small = Small()

    admitted = small.come(*(f"192.0.2.{number}" for number in range(20)), busy=True)

    assert len(admitted) == 16
    assert [small.connections.is_short(connection) for connection in admitted[-4:]] == [True] * 4
    small.connections.forget(admitted[0])
    assert len(small.come("192.0.2.1")) == 1
    assert small.noted == ["refused"] * 4


def test_one_address_takes_neither_all_nor_the_room_that_is_kept() -> None:
    """Except a proxy that is trusted, whose connections are everybody's."""
    small, trusting = Small(), Small("198.51.100.0/24")

    assert len(small.come(*["198.51.100.1"] * 20, busy=True)) == 8
    assert len(trusting.come(*["198.51.100.1"] * 20, busy=True)) == 16
    (other,) = small.come("192.0.2.1")
    assert small.connections.is_short(other) is False


def test_nothing_is_left_of_who_has_gone() -> None:
    small = Small()
    for connection in small.come(*(f"192.0.2.{number}" for number in range(5))):
        small.connections.forget(connection)
        small.connections.forget(connection)
        small.connections.idle(connection)

    kept = small.connections
    assert (kept._client_of, kept._clients, kept._idle) == ({}, {}, {})


def test_a_shortage_is_logged_once_a_minute() -> None:
    small = Small()
    with capture_logs() as log:
        small.come(*["192.0.2.1"] * 50)

    (line,) = log
    assert line["log_level"] == "warning"
    assert "ulimit -n" in line["event"]
    assert line["idle"] == 1
    assert len(small.noted) == 44


@pytest.mark.parametrize(
    ("descriptors", "capacity"),
    [
        (256, Capacity(total=96, reserved=12, per_address=48, backlog=32)),
        (1024, Capacity(total=768, reserved=96, per_address=384, backlog=128)),
        (1 << 20, Capacity(total=16_384, reserved=2048, per_address=8192, backlog=2048)),
        (64, Capacity(total=16, reserved=2, per_address=8, backlog=8)),
    ],
)
def test_what_fits_into_a_limit_of_descriptors(descriptors: int, capacity: Capacity) -> None:
    assert Capacity.of(descriptors) == capacity


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_client(host: str, client: str) -> None:
    assert client_of(host) == client


# --- A server with few descriptors -------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def _enough_for_us() -> Iterator[None]:
    """The tests hold more connections than the server may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@dataclass(frozen=True)
class Server:
    """A running server, a key of it, and an integration that takes webhooks."""

    app: RunningApp
    key: str
    integration: Seeded

    def connection(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine."""
        address = urlsplit(self.app.url)
        to = (address.hostname or "", address.port or 0)
        return socket.create_connection(to, timeout=30, source_address=(source, 0))

    def client(self, source: str) -> httpx.Client:
        """A client with an address of this machine, without a connection yet."""
        return httpx.Client(
            transport=httpx.HTTPTransport(LOCAL["verify"], local_address=source), base_url=self.app.url, timeout=30
        )

    def status(self, path: str = "/graphql", source: str = "127.0.0.1") -> int:
        """How a new connection is answered."""
        with self.client(source) as http:
            if path != "/graphql":
                return http.get(path).status_code
            headers = {"Authorization": f"Bearer {self.key}"}
            return http.post(path, json={"query": "{ __typename }"}, headers=headers).status_code

    def webhook(self, source: str = "127.0.0.1") -> int:
        """How a delivery over a new connection is answered."""
        raw = body(payment_intent_succeeded())
        with self.client(source) as http:
            headers = signed_headers(raw, WEBHOOK_SECRET)
            return http.post(self.integration.webhook_path, content=raw, headers=headers).status_code

    def dropped(self, why: str) -> int:
        """How many connections were, by the server's own count."""
        text = httpx.get(f"{self.app.url}/metrics", timeout=30, **LOCAL).text
        found = re.search(rf'^fluxrate_connections_dropped_total{{why="{why}"}} ([0-9.]+)$', text, re.MULTILINE)
        return int(float(found[1])) if found else 0


@contextmanager
def serving(sqlite_template: Path, folder: Path, soft: int, hard: int, **env: str) -> Iterator[Server]:
    """A server with so many descriptors."""
    database_url = migrated.sqlite_url(Path(shutil.copy(sqlite_template, folder)))
    with running_app(database_url, env=env, descriptors=(soft, hard)) as app:
        made = app.workspace()
        yield Server(app, made.api_key, within(database_url, lambda: add_integration(made.id)))


def answered(connection: socket.socket, request: bytes, first_line: bytes) -> None:
    """Ask, and see to it that the answer is as it should be."""
    connection.sendall(request)
    assert connection.recv(65536).startswith(first_line)


@pytest.mark.parametrize(
    ("request_", "first_line"),
    [(b"", b""), (ALIVE, b"HTTP/1.1 200"), (b"GET /heal", b""), (UPGRADE, b"HTTP/1.1 101")],
    ids=["nothing said", "kept alive", "half a head", "no connection_init"],
)
def test_idle_connections_cost_nobody_else_anything(
    sqlite_template: Path, tmp_path: Path, request_: bytes, first_line: bytes
) -> None:
    """Whatever they are idle with."""
    with serving(sqlite_template, tmp_path, 1024, 1024) as server, ExitStack() as stack:
        for _ in range(ALL):
            connection = stack.enter_context(closing(server.connection()))
            if first_line:
                answered(connection, request_, first_line)
            else:
                connection.sendall(request_)
        statuses = [server.webhook(), server.status("/healthz"), server.status("/readyz"), server.status()]
        dropped = server.dropped("idle")
        told = [line for line in server.app.log() if line["event"].startswith("connections are short")]

    assert statuses == [200] * 4
    assert dropped >= ALL - Capacity.of(1024).per_address
    assert len(told) == 1


def test_the_soft_limit_is_raised_to_the_hard_one(sqlite_template: Path, tmp_path: Path) -> None:
    with serving(sqlite_template, tmp_path, 256, 2048) as server:
        assert resource.prlimit(server.app.process.pid, resource.RLIMIT_NOFILE) == (2048, 2048)


async def test_where_all_are_in_use_webhooks_and_health_have_room(sqlite_template: Path, tmp_path: Path) -> None:
    """Others are told to come back, and the sockets stay."""
    capacity = Capacity.of(256)
    with serving(sqlite_template, tmp_path, 256, 256) as server:
        client = GraphQLClient(server.app.url, server.key)
        async with client, AsyncSockets(client) as sockets:
            await sockets.open(capacity.per_address)
            here = await asyncio.to_thread(lambda: [server.status(), server.webhook(), server.status("/readyz")])
            with closing(server.connection()) as connection:
                await asyncio.to_thread(answered, connection, UPGRADE, b"HTTP/1.1 503")
            elsewhere = await asyncio.to_thread(server.status, source="127.0.0.2")
            refused = await asyncio.to_thread(server.dropped, "refused")
            alive = await sockets.alive()

    assert here == [503, 200, 200]
    assert elsewhere == 200
    assert refused == 2
    assert alive == capacity.per_address


class AsyncSockets:
    """Acknowledged sockets."""

    def __init__(self, client: GraphQLClient) -> None:
        self._client = client
        self._stack = AsyncExitStack()
        self._open: list[Socket] = []

    async def __aenter__(self) -> "AsyncSockets":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(self, count: int) -> None:
        """Open so many."""
        for _ in range(count):
            self._open.append(await self._stack.enter_async_context(self._client.socket()))

    async def alive(self) -> int:
        """How many answer."""
        for socket_ in self._open:
            await socket_.send({"type": "ping"})
        return sum([(await socket_.receive())["type"] == "pong" for socket_ in self._open])


async def test_the_connections_of_a_trusted_proxy_are_not_one_clients(sqlite_template: Path, tmp_path: Path) -> None:
    capacity = Capacity.of(256)
    with serving(sqlite_template, tmp_path, 256, 256, FLUXRATE_TRUSTED_PROXIES="127.0.0.1") as server:
        client = GraphQLClient(server.app.url, server.key)
        async with client, AsyncSockets(client) as sockets:
            await sockets.open(capacity.per_address + 10)
            status = await asyncio.to_thread(server.status)
            await sockets.open(capacity.total - capacity.reserved - capacity.per_address - 10)
            full = await asyncio.to_thread(lambda: [server.status(), server.webhook(), server.status("/readyz")])

    assert status == 200
    assert full == [503, 200, 200]


def test_workers_are_bounded_too(migrated_postgres_url: str, valkey_url: str) -> None:
    """Each by its own descriptors."""
    with (
        running_app(migrated_postgres_url, valkey_url, workers=2, descriptors=(1024, 1024)) as app,
        ExitStack() as stack,
    ):
        address = urlsplit(app.url)
        for _ in range(2 * ALL):
            connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
            stack.enter_context(closing(connection))
            connection.sendall(ALIVE)
        statuses = {httpx.get(f"{app.url}/readyz", **LOCAL, timeout=30).status_code for _ in range(10)}
        dropped = httpx.get(f"{app.url}/metrics", **LOCAL, timeout=30).text

    assert statuses == {200}
    assert 'fluxrate_connections_dropped_total{why="idle"}' in dropped
