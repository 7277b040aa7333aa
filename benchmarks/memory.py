"""Checks that a worker's memory stays flat: `python -m benchmarks.memory [--minutes 60] [--postgres] [--json]`.

Meanwhile Stripe posts payments, clients send all queries of benchmarks/questions.py, drafts are created, changed and
deleted, and subscriptions begin and end, with and without `complete`. Some requests are refused: forged webhooks,
unknown fields, bad input. Before the measurement, documents that were never sent before fill the caches. Each minute
prints the worker's memory and the number of requests so far. The verdict is the median slope between all samples of the
second half, so neither the warm-up nor a single peak decides it.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from rich.console import Console

from benchmarks.filling import Filled
from benchmarks.ingest import Target, prepare, webhooks
from benchmarks.load import post_all
from benchmarks.questions import READS
from benchmarks.servers import Server, fluxrate, postgres
from benchmarks.sockets import Crowd
from database.access import Database, fetch
from models.ids import Prefix, new_id
from models.kinds import Scope
from models.secret import Keyring, generate_key
from resolvers import operator

POSTS_PER_S: Final = 10
QUESTIONS_PER_S: Final = 20
"""The highest rates of queries and of posts."""

SOCKETS: Final = 20
"""How many subscribers connect and disconnect together, again and again."""

REFUSED_EVERY: Final = 20
FIRST: Final = 1_500
"""How many new documents are sent first: more than the caches hold."""

SAMPLE_S: Final = 5.0
GROWS_PERCENT: Final = 2.0
"""How much the memory may grow within the second half, in percent."""

MIB: Final = 1 << 20

CREATE: Final = """
mutation ($input: CreateInvoiceInput!) { createInvoice(input: $input) {
  __typename ... on CreateInvoiceSuccess { invoice { id } } } }
"""
UPDATE: Final = "mutation ($id: ID!, $memo: String) { updateInvoice(input: {id: $id, memo: $memo}) { __typename } }"
DELETE: Final = "mutation ($id: ID!) { deleteInvoice(id: $id) { __typename } }"
FOLLOW: Final = "subscription ($type: [EventType!]) { events(filter: {type: $type}) { type cursor invoice { id } } }"


class Sample(NamedTuple):
    """The worker's resources, some seconds after the beginning."""

    at_s: float
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass
class Load:
    """The load on the server, and its results so far."""

    server: Server
    target: Target
    filled: Filled
    key: str
    http: httpx.AsyncClient
    done: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)
    """Unexpected answers, as from an overloaded server."""

    async def post(self, n: int) -> None:
        """Post a payment; some with a forged signature."""
        body = webhooks(self.target, [self.target.invoice_ids[n % len(self.target.invoice_ids)]])[0]
        if n % REFUSED_EVERY == 0:
            body = body.replace(b",v1=", b",v1=0", 1)
        outcome = await post_all(self.server.port, [body], 1)
        expected = 400 if n % REFUSED_EVERY == 0 else 200
        self._count("posts", set(outcome.statuses) == {expected}, outcome.statuses)
        await asyncio.sleep(1 / POSTS_PER_S)

    async def ask(self, n: int) -> None:
        """Send one of the queries; some with a new document, some for an unknown field."""
        document, variables = list(READS.values())[n % len(READS)]
        if n % REFUSED_EVERY == 0:
            document = document.replace("{", f"{{ asked{n}: __typename ", 1)
        if n % REFUSED_EVERY == 1:
            document = document.replace("{", f"{{ unknown{n} ", 1)
        answer = await self._send(document, variables(self.filled))
        self._count("questions", ("errors" in answer) == (n % REFUSED_EVERY == 1), answer)
        await asyncio.sleep(1 / QUESTIONS_PER_S)

    async def fill_caches(self) -> None:
        """Send new documents until the caches are full."""
        for n, (document, variables) in zip(range(FIRST), itertools.cycle(READS.values()), strict=False):
            await self._send(document.replace("{", f"{{ first{n}: __typename ", 1), variables(self.filled))

    async def change(self, n: int) -> None:
        """Create a draft, change it and delete it; some with bad input."""
        lines = [{"description": "Paper", "unitAmount": "19.99"}]
        currency = "nothing" if n % REFUSED_EVERY == 0 else "EUR"
        asked = {"customerId": self.target.customer_id, "currency": currency, "lineItems": lines}
        answer = await self._send(CREATE, {"input": asked})
        made = (answer.get("data") or {"createInvoice": {}})["createInvoice"]
        if "invoice" in made:
            await self._send(UPDATE, {"id": made["invoice"]["id"], "memo": f"Number {n}"})
            await self._send(DELETE, {"id": made["invoice"]["id"]})
        self._count("changes", ("invoice" in made) != (n % REFUSED_EVERY == 0), answer)
        await asyncio.sleep(0.1)

    async def follow(self, n: int) -> None:
        """Connect subscribers; half of them send `complete` before they disconnect."""
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {self.key}"}}
        types = ["INVOICE_PAID", "PAYMENT_SUCCEEDED", *(["INVOICE_CREATED"] * (n % 7))]
        asked = {"query": FOLLOW, "variables": {"type": types}}
        subscribe = {"id": "1", "type": "subscribe", "payload": asked}
        complete = {"id": "1", "type": "complete"}
        crowd = Crowd(self.server.port)
        try:
            await crowd.join([[init, subscribe, *([complete] if place % 2 else [])] for place in range(SOCKETS)])
            await asyncio.sleep(1.0)
            self._count("subscribers", any(crowd.received), crowd.received)
        finally:
            crowd.leave()

    async def _send(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post("/graphql", json={"query": document, "variables": variables})
        content: dict[str, Any] = answer.json()
        return content

    def _count(self, what: str, as_expected: bool, answer: object) -> None:
        self.done[what if as_expected else f"{what} answered otherwise"] += SOCKETS if what == "subscribers" else 1
        if not as_expected:
            self.surprises[f"{what}: {str(answer)[:300]}"] += 1


async def _again_and_again(work: Callable[[int], Awaitable[None]]) -> None:
    for number in itertools.count(2):
        await work(number)


def _sample(server: Server, begun: float) -> Sample:
    process = Path(f"/proc/{server.pid}")
    descriptors, threads = (len(list((process / name).iterdir())) for name in ("fd", "task"))
    return Sample(time.monotonic() - begun, server.resident_bytes, descriptors, threads)


async def watch(load: Load, minutes: float, on_minute: Callable[[list[Sample]], None]) -> list[Sample]:
    """Put the load on the server for some minutes; `on_minute` is called with each minute's samples."""
    begun, samples, minute = time.monotonic(), list[Sample](), list[Sample]()
    works = [asyncio.create_task(_again_and_again(work)) for work in (load.post, load.ask, load.change, load.follow)]
    try:
        while time.monotonic() - begun < 60 * minutes:
            finished, _ = await asyncio.wait(works, timeout=SAMPLE_S, return_when=asyncio.FIRST_COMPLETED)
            for work in finished:
                work.result()  # a task only ends by failing
            minute.append(_sample(load.server, begun))
            if minute[-1].at_s // 60 > minute[0].at_s // 60:
                on_minute(minute)
                samples, minute = samples + minute, []
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
    return samples + minute


def slope(samples: Sequence[Sample]) -> float:
    """Compute the median of the slopes between any two samples, in bytes per second (Theil and Sen)."""
    pairs = itertools.combinations(samples, 2)
    return statistics.median(
        (later.resident_bytes - earlier.resident_bytes) / (later.at_s - earlier.at_s) for earlier, later in pairs
    )


async def left_behind(load: Load) -> int:
    """Count the subscriptions that the server still holds after all clients have disconnected."""
    held = 1.0
    for _ in range(20):
        text = (await load.http.get("/metrics")).text
        held = sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("fluxrate_subscriptions"))
        if not held:
            break
        await asyncio.sleep(0.5)
    return int(held)


def verdict(samples: Sequence[Sample], held: int, done: Counter[str]) -> dict[str, Any]:
    """Judge the samples: whether the second half is flat, and no subscription is left."""
    half = [sample for sample in samples if sample.at_s >= samples[-1].at_s / 2]
    typical = statistics.median(sample.resident_bytes for sample in half)
    grown = slope(half) * (half[-1].at_s - half[0].at_s)
    return {
        "minutes": round(samples[-1].at_s / 60, 1),
        "resident_mib": round(typical / MIB, 1),
        "highest_mib": round(max(sample.resident_bytes for sample in samples) / MIB, 1),
        "second_half_grew_percent": round(100 * grown / typical, 2),
        "mib_per_hour": round(slope(half) * 3600 / MIB, 2),
        "subscriptions_left": held,
        "descriptors": [half[0].descriptors, half[-1].descriptors],
        "threads": [half[0].threads, half[-1].threads],
        "done": dict(done),
        "is_flat": 100 * grown / typical <= GROWS_PERCENT and held == 0,
    }


async def measure(server: Server, target: Target, minutes: float, console: Console) -> dict[str, Any]:
    """Put on the load and judge the samples."""
    async with Database(target.url):
        _, key = await operator.create_key(target.workspace_id, "Benchmark", [Scope.READ, Scope.WRITE], None)
        integrations = await fetch("SELECT id FROM integrations WHERE workspace_id = $1", target.workspace_id)
    some = target.invoice_ids[-20:]
    filled = Filled(
        target.workspace_id, integrations[0]["id"], target.customer_id, [target.customer_id] * 20, some, some,
        target.invoice_ids[0], new_id(Prefix.PAYMENT),
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {key}"}
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False) as http:
        load = Load(server, target, filled, key, http)

        def on_minute(minute: list[Sample]) -> None:
            typical = statistics.median(sample.resident_bytes for sample in minute) / MIB
            last = minute[-1]
            console.print(
                f"{last.at_s / 60:5.1f} min  {typical:7.1f} MiB  {last.descriptors} descriptors  {last.threads} threads"
                f"  {', '.join(f'{number:,} {what}' for what, number in sorted(load.done.items()))}"
            )

        await load.fill_caches()
        samples = await watch(load, minutes, on_minute)
        for surprise, number in load.surprises.most_common(5):
            console.print(f"{number} × {surprise}", markup=False)
        return verdict(samples, await left_behind(load), load.done)


def run(given: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    console = Console(stderr=True, soft_wrap=True)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-benchmark-"))
        url = stack.enter_context(postgres()) if given.postgres else f"sqlite://{folder}/benchmark.sqlite3"
        keyring = Keyring.parse([key := generate_key()])
        invoices = int(given.minutes * 60 * POSTS_PER_S) + 100
        target = asyncio.run(prepare("memory", url, keyring, invoices))
        environment = {
            "FLUXRATE_DATABASE_URL": url,
            "FLUXRATE_ENCRYPTION_KEYS": key,
            "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off",  # all requests come from this machine, with one key
            "FLUXRATE_RATE_LIMIT_PER_KEY": "off",
        }
        server = stack.enter_context(fluxrate(environment))
        found = asyncio.run(measure(server, target, given.minutes, console))
    if given.json:
        print(json.dumps(found))
    else:
        console.print(
            f"{'Flat' if found['is_flat'] else '[red]Not flat'}: {found['resident_mib']} MiB in the second half of"
            f" {found['minutes']} minutes, which grew by {found['second_half_grew_percent']} %"
            f" ({found['mib_per_hour']} MiB an hour); {found['subscriptions_left']} subscriptions left behind."
        )
    return 0 if found["is_flat"] else 1


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a sentence")
    raise SystemExit(run(parser.parse_args()))


if __name__ == "__main__":
    main()
