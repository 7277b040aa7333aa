"""Measures webhooks per second, beside a bare Starlette route: `python -m benchmarks.ingest [--rounds 5]`.

Each webhook is a signed payment_intent.succeeded that pays its own invoice: it is verified and stored, the invoice
becomes PAID, its link COMPLETED, the events are logged, and the answer is sent after the commit. With `--kind ignored`
it has a type that Fluxrate doesn't handle, and is only stored; with `--kind duplicates` it was posted before, and is
only counted. With `--rate` the webhooks come at a fixed rate, whose latencies are measured. Rounds alternate between
the floor and each database, so that a machine that slows down affects all of them; the result is the median of the
rounds' ratios. The processor time per webhook, of the server and of PostgreSQL's sessions, says more on a busy machine.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.load import Outcome, post_all, request
from benchmarks.processes import database_cpu_s
from benchmarks.servers import Server, fluxrate, postgres, uvicorn
from database.access import Database, transaction
from database.bulk import insert_rows
from database.migrate import migrate
from database.transaction import Transaction
from gateways.stripe.endpoint_calls import API_VERSION
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, bound_to, new_webhook_token
from models.kinds import Mode
from models.secret import Keyring, generate_key
from models.workspace import add_workspace

SECRET: Final = "whsec_benchmark0123456789"  # noqa: S105  (of a throw-away database)
AMOUNT: Final = 4620


@dataclass(frozen=True, slots=True)
class Target:
    """A database with an integration, and invoices to pay."""

    name: str
    url: str
    token: str
    workspace_id: str
    customer_id: str
    invoice_ids: list[str]


async def prepare(name: str, url: str, keyring: Keyring, invoices: int) -> Target:
    """Migrate a database and insert OPEN invoices, each with an active link."""
    await migrate(url)
    async with Database(url), transaction() as tx:
        workspace = await add_workspace(tx, "Benchmark", Mode.TEST)
        now, integration_id = utc_now(), new_id(Prefix.INTEGRATION)
        integration = Integration(
            id=integration_id,
            workspace_id=workspace.id,
            name="Benchmark",
            mode=Mode.TEST,
            is_active=True,
            webhook_token=new_webhook_token(),
            secret_key_preview="sk_test_…0000",  # noqa: S106
            webhook_secret_sealed=keyring.seal(SECRET, bound_to(integration_id, "webhook_secret_sealed")),
            webhook_secret_preview="whsec_…6789",  # noqa: S106
            created_at=now,
            updated_at=now,
        )
        await integration.save()
        await IntegrationTraffic(integration_id=integration.id, workspace_id=workspace.id).save()
        customer_id = new_id(Prefix.CUSTOMER)
        await tx.execute(
            "INSERT INTO customers (id, workspace_id, name, email, created_at, updated_at)"
            " VALUES ($1, $2, 'Ada', 'ada@example.com', $3, $3)",
            customer_id,
            workspace.id,
            now,
        )
        invoice_ids = await add_invoices(tx, workspace.id, customer_id, integration.id, invoices)
        token = integration.webhook_token or ""
    await _recycle_log(url)
    return Target(name, url, token, workspace.id, customer_id, invoice_ids)


async def _recycle_log(url: str) -> None:
    """Give PostgreSQL files for its log, as it has after some minutes: it takes 15 ms to make one, every 16 MB."""
    async with Database(url) as database, transaction() as tx:
        if database.dialect == "postgres":
            await tx.execute("CHECKPOINT")


async def add_invoices(
    tx: Transaction,
    workspace_id: str,
    customer_id: str,
    integration_id: str,
    count: int,
    *,
    first: int = 0,
    amount: int = AMOUNT,
    currency: str = "EUR",
) -> list[str]:
    """Insert OPEN invoices, numbered from `first`, each with an active link; return their ids."""
    now = utc_now()
    ids = [new_id(Prefix.INVOICE) for _ in range(count)]
    text = ["id", "workspace_id", "customer_id", "integration_id", "number", "status", "currency"]
    columns = dict.fromkeys(text, "text") | {"total": "bigint"}
    columns |= dict.fromkeys(["created_at", "updated_at", "finalized_at"], "timestamptz")
    invoices = [
        (id_, workspace_id, customer_id, integration_id, f"INV-2026-{n:06d}", "OPEN", currency, amount, now, now, now)
        for n, id_ in enumerate(ids, first)
    ]
    await insert_rows(tx, "invoices", columns, invoices)
    text = ["id", "workspace_id", "invoice_id", "integration_id", "status", "provider_id", "url", "currency"]
    columns = dict.fromkeys(text, "text") | {"amount": "bigint", "outcome_unknown": "boolean"}
    columns |= dict.fromkeys(["created_at", "updated_at"], "timestamptz")
    links = [
        (new_id(Prefix.PAYMENT_LINK), workspace_id, id_, integration_id, "ACTIVE", f"plink_{id_}", "https://x",
         currency, amount, False, now, now)
        for id_ in ids
    ]  # fmt: skip
    await insert_rows(tx, "payment_links", columns, links)
    return ids


PAYS: Final = "pays"
IGNORED: Final = "ignored"
DUPLICATES: Final = "duplicates"
_TYPES: Final = {PAYS: "payment_intent.succeeded", IGNORED: "customer.updated", DUPLICATES: "payment_intent.succeeded"}
"""The type of the events of each kind of webhook."""


def webhooks(target: Target, invoice_ids: Sequence[str], kind: str = PAYS) -> list[bytes]:
    """Make one signed delivery per invoice, as the bytes of an HTTP request."""
    return [_webhook(target, invoice_id, _TYPES[kind]) for invoice_id in invoice_ids]


def _webhook(target: Target, invoice_id: str, type_: str) -> bytes:
    name = invoice_id.removeprefix("inv_")
    intent = {
        "id": f"pi_{name}",
        "object": "payment_intent",
        "amount": AMOUNT,
        "amount_received": AMOUNT,
        "amount_details": {"tip": {}},
        "automatic_payment_methods": None,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "currency": "eur",
        "description": "Invoice",
        "latest_charge": f"ch_{name}",
        "livemode": False,
        "metadata": {
            "invoice_id": invoice_id,
            "customer_id": target.customer_id,
            "workspace_id": target.workspace_id,
        },
        "payment_method": f"pm_{name}",
        "payment_method_options": {"card": {"installments": None, "network": None}},
        "payment_method_types": ["card"],
        "status": "succeeded",
        "unused": dict.fromkeys([f"field_{n}" for n in range(40)]),
    }
    event = {
        "id": f"evt_{name}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": intent},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }
    body = json.dumps(event, indent=2).encode()
    at = int(time.time())
    signature = hmac.new(SECRET.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={signature}"}
    return request(f"/webhooks/stripe/{target.token}", body, headers)


async def count_paid(target: Target) -> int:
    """Count the target's PAID invoices."""
    async with Database(target.url), transaction() as tx:
        rows = await tx.fetch("SELECT count(*) AS paid FROM invoices WHERE status = 'PAID'")
        return int(rows[0]["paid"])


@dataclass(slots=True)
class Contender:
    """A server and the results of its rounds: the answers, and the processor time of each webhook in microseconds."""

    server: Server
    target: Target
    database_cpu_s: Callable[[], float]
    kind: str = PAYS
    per_second: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)

    def post(self, invoice_ids: Sequence[str], connections: int) -> Outcome:
        """Post a round and measure it."""
        requests = webhooks(self.target, invoice_ids, self.kind)
        server, database = self.server.cpu_s, self.database_cpu_s()
        outcome = asyncio.run(post_all(self.server.port, requests, connections, self.per_second))
        self.server_us.append((self.server.cpu_s - server) / len(requests) * 1e6)
        self.database_us.append((self.database_cpu_s() - database) / len(requests) * 1e6)
        self.outcomes.append(outcome)
        return outcome


async def _sessions_cpu_s(url: str) -> Callable[[], float]:
    """Return a function that reads the processor time of PostgreSQL's sessions; SQLite runs in the server itself."""
    async with Database(url) as database:
        return await database_cpu_s() if database.dialect == "postgres" else lambda: 0.0


def run(given: argparse.Namespace, console: Console) -> int:
    """Measure and print; return the exit status."""
    rounds, per_round = given.rounds, given.webhooks
    keyring = Keyring.parse([key := generate_key()])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-benchmark-")))
        urls = {"postgres": stack.enter_context(postgres()), "sqlite": f"sqlite://{folder}/benchmark.sqlite3"}
        targets = [asyncio.run(prepare(name, url, keyring, (rounds + 1) * per_round)) for name, url in urls.items()]
        bare = stack.enter_context(uvicorn("benchmarks.bare:create_app"))
        contenders = {"bare": Contender(bare, targets[0], lambda: 0.0, given.kind, given.rate)}
        for target in targets:
            environment = {"FLUXRATE_DATABASE_URL": target.url, "FLUXRATE_ENCRYPTION_KEYS": key}
            server = stack.enter_context(fluxrate(environment))
            cpu_s = asyncio.run(_sessions_cpu_s(target.url))
            contenders[target.name] = Contender(server, target, cpu_s, given.kind, given.rate)
        for number in track(range(rounds + 1), "Rounds (the first warms up)", console=console):
            for name, contender in contenders.items():
                place = 0 if given.kind == DUPLICATES else number * per_round
                outcome = contender.post(contender.target.invoice_ids[place : place + per_round], given.connections)
                if set(outcome.statuses) != {200}:
                    console.print(f"[red]{name} answered {outcome.statuses}")
                    return 1
        wanted = {PAYS: (rounds + 1) * per_round, IGNORED: 0, DUPLICATES: per_round}[given.kind]
        for target in targets:
            if (paid := asyncio.run(count_paid(target))) != wanted:
                console.print(f"[red]{target.name}: {paid} invoices are PAID instead of {wanted}")
                return 1
    found = figures(contenders)
    if given.json:
        print(json.dumps(found))
    else:
        console.print(_table(found))
    return 0


def figures(contenders: dict[str, Contender]) -> dict[str, dict[str, float]]:
    """Compute each server's results: medians, and the smallest and largest ratio."""
    floor = contenders["bare"].outcomes[1:]
    found = {}
    for name, contender in contenders.items():
        measured = contender.outcomes[1:]
        ratios = sorted(own.per_second / bare.per_second for own, bare in zip(measured, floor, strict=True))
        found[name] = {
            "webhooks/s": statistics.median(outcome.per_second for outcome in measured),
            "least ratio": ratios[0],
            "ratio": statistics.median(ratios),
            "largest ratio": ratios[-1],
            "p50 ms": statistics.median(outcome.percentile_ms(0.5) for outcome in measured),
            "p99 ms": statistics.median(outcome.percentile_ms(0.99) for outcome in measured),
            "CPU µs": statistics.median(contender.server_us[1:]),
            "database's CPU µs": statistics.median(contender.database_us[1:]),
        }
    return found


def _table(found: dict[str, dict[str, float]]) -> Table:
    table = Table("server", "webhooks/s (median)", "ratio to bare (min, median, max)", "p50 ms", "p99 ms")
    for column in ("server's CPU µs", "PostgreSQL's"):
        table.add_column(column)
    for name, each in found.items():
        table.add_row(
            name,
            f"{each['webhooks/s']:.0f}",
            f"{each['least ratio']:.2f}  {each['ratio']:.2f}  {each['largest ratio']:.2f}",
            f"{each['p50 ms']:.1f}",
            f"{each['p99 ms']:.1f}",
            f"{each['CPU µs']:.0f}",
            format(each["database's CPU µs"], ".0f"),
        )
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--webhooks", type=int, default=4000, help="per round and server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--kind", choices=list(_TYPES), default=PAYS, help="what the webhooks are")
    parser.add_argument("--rate", type=float, default=0.0, help="webhooks per second; by default as many as possible")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    raise SystemExit(run(given, Console(stderr=given.json)))


if __name__ == "__main__":
    main()
