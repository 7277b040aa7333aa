"""Compares receivers of Stripe's webhooks: `python -m benchmarks.receivers [--webhooks 1000] [--rounds 3] [--json]`.

All get the deliveries of benchmarks.ingest: each a new payment_intent.succeeded with a valid signature. Each receiver
is one worker process with a PostgreSQL of its own, and answers after its commit:

- `bare` reads the body and answers.
- `plain Tortoise` (benchmarks/tortoise_handler.py) verifies the signature, stores the event and a payment, and sets the
  invoice PAID, in one transaction.
- `dj-stripe` stores the request, verifies the signature, and stores the event and the PaymentIntent, in three
  transactions. It knows no invoices. It asks Stripe's API for the PaymentIntent; here it gets the answer at once, in
  its own process, and without the payment method, for which it would ask, too. So real deliveries cost it more.
- `Fluxrate` does the work of `plain Tortoise`; it also completes the invoice's payment link, and logs the events that
  subscribers follow.

Rounds alternate, so that a machine that slows down affects all receivers; a ratio is the median of the rounds' ratios.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ingest import AMOUNT, SECRET, Contender, Target, figures, prepare, webhooks
from benchmarks.processes import database_cpu_s
from benchmarks.servers import ROOT, djstripe_python, fluxrate, postgres, uvicorn
from benchmarks.servers import djstripe as djstripe_server
from database.access import Database, transaction
from database.bulk import insert_rows
from models.ids import Prefix, new_id
from models.secret import Keyring, generate_key

FLUXRATE: Final = "Fluxrate"


@dataclass(slots=True, kw_only=True)
class Receiver(Contender):
    """A running receiver, the invoices that its webhooks pay, and the results of its rounds."""

    counts: Sequence[str]
    """Queries that count what it stored: each finds as many rows as there were webhooks."""

    posted: int = 0

    def new_requests(self, count: int) -> list[bytes]:
        """Make signed deliveries, each of a new event for the next invoice, as the bytes of HTTP requests."""
        return webhooks(self.target, self._next_invoices(count))

    def post_new(self, count: int, connections: int) -> None:
        """Post a round of new deliveries and measure it.

        Raises:
            RuntimeError: Not all were answered with 200.
        """
        outcome = self.post(self._next_invoices(count), connections)
        if outcome.statuses != {200: count}:
            raise RuntimeError(f"{self.target.name} answered {count} webhooks with {outcome.statuses}")

    def _next_invoices(self, count: int) -> list[str]:
        chosen = self.target.invoice_ids[self.posted : self.posted + count]
        if len(chosen) != count:
            raise ValueError(f"{self.target.name} has {len(chosen)} invoices left, not {count}")
        self.posted += count
        return chosen

    def check_stored(self) -> None:
        """Check that every webhook was stored.

        Raises:
            RuntimeError: One was not, or was stored more than once.
        """
        for query, count in asyncio.run(_count(self.target.url, self.counts)):
            if count != self.posted:
                raise RuntimeError(f"{self.target.name}: {count} instead of {self.posted} rows: {query}")


async def _count(url: str, queries: Sequence[str]) -> list[tuple[str, int]]:
    if not queries:
        return []
    async with Database(url), transaction() as tx:
        return [(query, int((await tx.fetch(query))[0]["count"])) for query in queries]


async def _sessions_cpu_s(url: str) -> Callable[[], float]:
    async with Database(url):
        return await database_cpu_s()


def _target(name: str, url: str, token: str, invoices: int) -> Target:
    """Make a target with the ids of invoices that are not stored yet."""
    ids = [new_id(Prefix.INVOICE) for _ in range(invoices)]
    return Target(name, url, token, new_id(Prefix.WORKSPACE), new_id(Prefix.CUSTOMER), ids)


# --- The receivers ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def bare(invoices: int) -> Iterator[Receiver]:
    """Run the floor, which stores nothing."""
    with uvicorn("benchmarks.bare:create_app") as server:
        yield Receiver(server, _target("bare", "", "benchmark", invoices), lambda: 0.0, counts=[])


@contextlib.contextmanager
def plain_tortoise(invoices: int) -> Iterator[Receiver]:
    """Run the plain handler, with OPEN invoices that its webhooks pay.

    It has up to 20 connections to PostgreSQL: it answers more webhooks with them than with Tortoise's five.
    """
    with postgres() as url:
        environment = {"DATABASE_URL": f"{url}&maxsize=20", "STRIPE_WEBHOOK_SECRET": SECRET}
        with uvicorn("benchmarks.tortoise_handler:create_app", environment) as server:
            target = _target("plain Tortoise", url, "benchmark", invoices)
            asyncio.run(_add_plain_invoices(target))
            counts = [
                "SELECT count(*) FROM stripe_events",
                "SELECT count(*) FROM payments",
                "SELECT count(*) FROM invoices WHERE status = 'PAID'",
            ]
            yield Receiver(server, target, asyncio.run(_sessions_cpu_s(url)), counts=counts)


async def _add_plain_invoices(target: Target) -> None:
    columns = {"id": "text", "status": "text", "currency": "text", "total": "bigint"}
    async with Database(target.url), transaction() as tx:
        await insert_rows(tx, "invoices", columns, [(id_, "OPEN", "EUR", AMOUNT) for id_ in target.invoice_ids])


@contextlib.contextmanager
def djstripe(invoices: int) -> Iterator[Receiver]:
    """Run dj-stripe's webhook receiver; its invoices are only ids in the metadata of the PaymentIntents."""
    with postgres() as url:
        environment = {"DATABASE_URL": url}
        command = [str(djstripe_python()), "-m", "benchmarks.djstripe.prepare", SECRET]
        answer = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE
        )
        with djstripe_server(environment) as server:
            target = _target("dj-stripe", url, f"webhook/{answer.stdout.decode().strip()}", invoices)
            counts = [
                "SELECT count(*) FROM djstripe_webhookeventtrigger WHERE processed",
                "SELECT count(*) FROM djstripe_event",
                "SELECT count(*) FROM djstripe_paymentintent WHERE stripe_data ->> 'status' = 'succeeded'",
            ]
            yield Receiver(server, target, asyncio.run(_sessions_cpu_s(url)), counts=counts)


@contextlib.contextmanager
def fluxrate_on_postgres(invoices: int) -> Iterator[Receiver]:
    """Run Fluxrate, with OPEN invoices that its webhooks pay."""
    keyring = Keyring.parse([key := generate_key()])
    with postgres() as url:
        target = asyncio.run(prepare(FLUXRATE, url, keyring, invoices))
        with fluxrate({"FLUXRATE_DATABASE_URL": url, "FLUXRATE_ENCRYPTION_KEYS": key}) as server:
            counts = [
                "SELECT count(*) FROM webhook_events",
                "SELECT count(*) FROM payments",
                "SELECT count(*) FROM invoices WHERE status = 'PAID'",
            ]
            yield Receiver(server, target, asyncio.run(_sessions_cpu_s(url)), counts=counts)


# --- The comparison --------------------------------------------------------------------------------------------


def measure(rounds: int, per_round: int, connections: int, console: Console) -> dict[str, dict[str, float]]:
    """Post rounds of new webhooks to each receiver in turn; the first round warms up."""
    with contextlib.ExitStack() as stack:
        starts = [bare, plain_tortoise, djstripe, fluxrate_on_postgres]
        receivers = [stack.enter_context(start((rounds + 1) * per_round)) for start in starts]
        for _ in track(range(rounds + 1), "Rounds (the first warms up)", console=console):
            for receiver in receivers:
                receiver.post_new(per_round, connections)
        for receiver in receivers:
            receiver.check_stored()
    contenders: dict[str, Contender] = {receiver.target.name: receiver for receiver in receivers}
    found = figures(contenders)
    ours = contenders[FLUXRATE].outcomes[1:]
    for name, contender in contenders.items():
        pairs = zip(ours, contender.outcomes[1:], strict=True)
        found[name]["Fluxrate's multiple"] = statistics.median(own.per_second / peer.per_second for own, peer in pairs)
    return found


def _table(found: dict[str, dict[str, float]]) -> Table:
    table = Table("receiver", "webhooks/s", "ratio to bare (min, median, max)", "Fluxrate's multiple")
    for column in ("p50 ms", "p99 ms", "server's CPU µs", "PostgreSQL's"):
        table.add_column(column)
    for name, each in found.items():
        table.add_row(
            name,
            f"{each['webhooks/s']:,.0f}",
            f"{each['least ratio']:.3f}  {each['ratio']:.3f}  {each['largest ratio']:.3f}",
            format(each["Fluxrate's multiple"], ".2f"),
            f"{each['p50 ms']:.1f}",
            f"{each['p99 ms']:.1f}",
            f"{each['CPU µs']:,.0f}",
            format(each["database's CPU µs"], ",.0f"),
        )
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webhooks", type=int, default=1000, help="per round and receiver")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    console = Console(stderr=given.json)
    found = measure(given.rounds, given.webhooks, given.connections, console)
    if given.json:
        print(json.dumps(found))
    else:
        Console(width=140).print(_table(found))


if __name__ == "__main__":
    main()
