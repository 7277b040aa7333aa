"""Measures one event to many sockets: `python -m benchmarks.fanout [--sockets 1000] [--rounds 5] [--events 20]`.

A signed webhook makes an invoice PAID in Fluxrate; its peers get the same event by a plain POST. The peers are a bare
Starlette broadcast of the same bytes, Strawberry unchanged, and mercurius on Node. Rounds alternate between all
servers, so that a machine that slows down affects all of them. The next event is sent when every socket has the
previous one.

It measures the server's processor time per socket and event, including the webhook's, and the time from the post until
the last socket has the event. The last column is the processor time of an event that nobody follows: this part doesn't
serve the subscribers. `--different` gives every socket variables of its own, which is the worst case.

`--collector` adds Fluxrate with Python's default garbage collection.

`--webhooks-per-second 100 --seconds 10` measures instead how long Fluxrate's last socket waits for each webhook when
they come at a steady rate.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ingest import Target, prepare, webhooks
from benchmarks.load import post_all, request
from benchmarks.servers import Server, fluxrate, mercurius, postgres, uvicorn
from benchmarks.sockets import Crowd
from database.access import Database
from models.kinds import Scope
from models.secret import Keyring, generate_key
from resolvers import operator

FLOOR: Final = "bare Starlette broadcast"
FIELDS: Final = "type cursor previousStatus status occurredAt invoice { id number status }"
STATES: Final = ("DRAFT", "OPEN", "VOID", "UNCOLLECTIBLE")
EVENT: Final = {
    "type": "INVOICE_PAID",
    "cursor": "01m85zhxwqe2fr2tz65j10zje5.12345",
    "previousStatus": "OPEN",
    "status": "PAID",
    "occurredAt": "2030-01-31T12:00:00.123456Z",
    "invoice": {"id": "inv_01m85zhxwqe2fr2tz65j10zje5", "number": "INV-2030-000123", "status": "PAID"},
}
FRAME: Final = json.dumps({"id": "1", "type": "next", "payload": {"data": {"events": EVENT}}}, separators=(",", ":"))
_PATIENCE_S: Final = 120.0
_UNFOLLOWED: Final = 40
"""How many events are published before anybody subscribes."""


@dataclass
class Contender:
    """A server, its subscribers and what each of them sends, how to publish an event, and what was measured."""

    name: str
    server: Server
    crowd: Crowd
    conversation: list[list[dict[str, Any]]]
    publish: Callable[[], Awaitable[None]]
    cpu_us: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    bytes_per_socket: float = 0.0
    unfollowed_ms: float = 0.0
    """The processor time of an event that nobody follows."""

    async def round(self, sockets: int, events: int) -> None:
        """Publish events one after the other, each when all sockets have the previous one."""
        before, slowest = self.server.cpu_s, []
        for _ in range(events):
            published_at = time.perf_counter()
            everybody = self.crowd.expect(sockets)
            await self.publish()
            slowest.append((await asyncio.wait_for(everybody, _PATIENCE_S) - published_at) * 1000)
        self.cpu_us.append((self.server.cpu_s - before) / (sockets * events) * 1e6)
        self.last_ms.append(statistics.median(slowest))


def opening(sockets: int, key: str, *, different: bool) -> list[list[dict[str, Any]]]:
    """Make each socket's messages: its API key, and its subscription."""
    init = {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
    statuses = (["PAID", *rest] for rest in itertools.product(STATES, repeat=7))
    document = f"subscription ($status: [InvoiceStatus!]) {{ invoiceStatusChanged(status: $status) {{ {FIELDS} }} }}"
    return [[init, _subscribe(document, {"status": next(statuses) if different else ["PAID"]})] for _ in range(sockets)]


def _subscribe(document: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": "1", "type": "subscribe", "payload": {"query": document, "variables": variables or {}}}


def publishing_by_webhook(port: int, deliveries: Iterator[bytes]) -> Callable[[], Awaitable[None]]:
    """Make a function that posts the next webhook."""

    async def publish() -> None:
        outcome = await post_all(port, [next(deliveries)], 1)
        assert set(outcome.statuses) == {200}, outcome.statuses

    return publish


def publishing_by_post(port: int, body: bytes) -> Callable[[], Awaitable[None]]:
    """Make a function that posts an event to a peer."""
    content = request("/publish", body, {"Content-Type": "application/json", "Connection": "close"})

    async def publish() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(content)
        status = await reader.readline()
        assert b" 200 " in status, status
        writer.close()

    return publish


async def key_of(target: Target) -> str:
    """Create an API key with the scope READ."""
    async with Database(target.url):
        return (await operator.create_key(target.workspace_id, "Benchmark", [Scope.READ], None))[1]


async def gather(contender: Contender) -> None:
    """Publish events that nobody follows, then open all sockets, and wait until each has received an event."""
    before = contender.server.cpu_s
    for _ in range(_UNFOLLOWED):
        await contender.publish()
    contender.unfollowed_ms = (contender.server.cpu_s - before) / _UNFOLLOWED * 1e3
    before = contender.server.resident_bytes
    await contender.crowd.join(contender.conversation)
    contender.bytes_per_socket = (contender.server.resident_bytes - before) / len(contender.conversation)
    for _ in range(20):
        await contender.publish()
        await asyncio.sleep(1.0)
        if all(contender.crowd.received):
            return
    raise RuntimeError(f"{contender.name}: some sockets received no event")


def product(stack: ExitStack, given: argparse.Namespace, name: str, *, tuned: bool = True) -> Contender:
    """Start Fluxrate with a database of its own."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-benchmark-"))
    url = stack.enter_context(postgres()) if given.postgres else f"sqlite://{folder}/benchmark.sqlite3"
    keyring = Keyring.parse([key := generate_key()])
    steady = given.webhooks_per_second * given.seconds
    target = asyncio.run(prepare("fanout", url, keyring, (steady or given.rounds * given.events) + _UNFOLLOWED + 40))
    environment = {
        "FLUXRATE_DATABASE_URL": url,
        "FLUXRATE_ENCRYPTION_KEYS": key,
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off",  # all requests come from this machine, with one key
        "FLUXRATE_RATE_LIMIT_PER_KEY": "off",
    }
    server = stack.enter_context(fluxrate(environment, tuned=tuned))
    publish = publishing_by_webhook(server.port, iter(webhooks(target, target.invoice_ids)))
    conversation = opening(given.sockets, asyncio.run(key_of(target)), different=given.different)
    return Contender(name, server, Crowd(server.port), conversation, publish)


def peers(stack: ExitStack, sockets: int) -> list[Contender]:
    """Start the peers."""
    servers = {
        FLOOR: (stack.enter_context(uvicorn("benchmarks.broadcast:bare")), FRAME.encode()),
        "stock Strawberry": (stack.enter_context(uvicorn("benchmarks.broadcast:stock")), json.dumps(EVENT).encode()),
        "mercurius": (stack.enter_context(mercurius()), json.dumps(EVENT).encode()),
    }
    followed = [{"type": "connection_init"}, _subscribe(f"subscription {{ events {{ {FIELDS} }} }}")]
    return [
        Contender(
            name,
            server,
            Crowd(server.port),
            [[] if name == FLOOR else followed] * sockets,
            publishing_by_post(server.port, body),
        )
        for name, (server, body) in servers.items()
    ]


async def measure(found: list[Contender], given: argparse.Namespace, console: Console) -> None:
    """Run all rounds."""
    for contender in found:
        await gather(contender)
    for _ in track(range(given.rounds), "Rounds", console=console):
        for contender in found:
            await contender.round(given.sockets, given.events)


async def follow_load(contender: Contender, given: argparse.Namespace) -> list[float]:
    """Measure how long each webhook takes to reach the last socket if they come at a steady rate, in milliseconds."""
    await gather(contender)
    total, interval_s = given.webhooks_per_second * given.seconds, 1 / given.webhooks_per_second
    arrivals = contender.crowd.note_arrivals(given.sockets)
    everybody = contender.crowd.expect(given.sockets * total)
    began_at = time.perf_counter()

    async def publish_at(at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        await contender.publish()

    await asyncio.gather(*(publish_at(began_at + number * interval_s) for number in range(total)))
    await asyncio.wait_for(everybody, _PATIENCE_S)
    return [(at - began_at - number * interval_s) * 1000 for number, at in enumerate(arrivals[:total])]


def figures(found: list[Contender]) -> dict[str, dict[str, float]]:
    """Compute each server's results: medians, and the smallest and largest ratio to the floor."""
    floor = next((contender for contender in found if contender.name == FLOOR), found[0])
    measured = {}
    for contender in found:
        ratios = sorted(own / bare for own, bare in zip(contender.cpu_us, floor.cpu_us, strict=True))
        measured[contender.name] = {
            "CPU µs": statistics.median(contender.cpu_us),
            "least ratio": ratios[0],
            "ratio": statistics.median(ratios),
            "largest ratio": ratios[-1],
            "ms to the last": statistics.median(contender.last_ms),
            "KiB/socket": contender.bytes_per_socket / 1024,
            "CPU ms unfollowed": contender.unfollowed_ms,
        }
    return measured


def table(measured: dict[str, dict[str, float]]) -> Table:
    """Show the results beside the floor."""
    shown = Table(
        "server",
        "CPU µs per delivery",
        f"ratio to {FLOOR} (min, median, max)",
        "ms to the last",
        "KiB/socket",
        "CPU ms of an event nobody follows",
    )
    for name, each in measured.items():
        shown.add_row(
            name,
            f"{each['CPU µs']:.1f}",
            f"{each['least ratio']:.2f}  {each['ratio']:.2f}  {each['largest ratio']:.2f}",
            f"{each['ms to the last']:.1f}",
            f"{each['KiB/socket']:.1f}",
            f"{each['CPU ms unfollowed']:.2f}",
        )
    return shown


def run(given: argparse.Namespace, console: Console) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        found = [product(stack, given, "Fluxrate")]
        if given.webhooks_per_second:
            slowest = sorted(asyncio.run(follow_load(found[0], given)))
            console.print(
                f"{len(slowest)} webhooks at {given.webhooks_per_second}/s, {given.sockets} sockets: to the last one"
                f" p50 {slowest[len(slowest) // 2]:.1f} ms, p99 {slowest[int(len(slowest) * 0.99)]:.1f} ms"
            )
            return
        if given.collector:
            found.append(product(stack, given, "Fluxrate, default garbage collection", tuned=False))
        if not given.alone:
            found += peers(stack, given.sockets)
        asyncio.run(measure(found, given, console))
        measured = figures(found)
        if given.json:
            print(json.dumps(measured))
        else:
            console.print(table(measured))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=20, help="per round and server")
    parser.add_argument("--different", action="store_true", help="give every socket variables of its own")
    parser.add_argument("--alone", action="store_true", help="Fluxrate without its peers")
    parser.add_argument(
        "--collector", action="store_true", help="also with Python's garbage default garbage collection"
    )
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--webhooks-per-second", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    run(given, Console(stderr=given.json))


if __name__ == "__main__":
    main()
