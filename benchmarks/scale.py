"""Measures the cost of a large workspace beside a small one: `python -m benchmarks.scale [--rows 1000000]`.

For each database it fills a small and a large workspace, skewed like real ones. In both it runs every query and
mutation of a dashboard, and a webhook that pays an invoice. It measures the rows or steps that the database visits, the
processor time of the worker and of the database, and the durations, alone and while a neighbour's payments come in.

`--write` puts the tables into docs/develop/performance.md. `--rows 10000000 --database postgres` takes some hours and
80 GB. `--json > FILE` keeps the results, and `--of FILE --of FILE --write` combines several files.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.bulk import in_bulk
from benchmarks.filling import Filled, fill
from benchmarks.ingest import add_invoices
from benchmarks.processes import database_cpu_s
from benchmarks.questions import PAID, READS, changes, pay
from benchmarks.scale_report import Cost, Measured, as_json, read, table_of, write
from benchmarks.servers import postgres
from benchmarks.visits import visits
from database.access import transaction
from database.dialect import STATEMENT_TIMEOUT_S
from database.migrate import migrate
from errors import TimedOutError
from execution.schema import schema
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, bound_to, new_webhook_token
from models.kinds import Mode
from models.secret import generate_key
from models.sums import merge_all
from models.workspace import Workspace
from parts import compose
from resolvers import operator
from resolvers.auth import authenticate
from resolvers.context import Services
from schema.context import Operation
from settings import Settings

SMALL: Final = 10_000
LARGE: Final = 1_000_000
WARM: Final = 7
"""More than the five runs after which PostgreSQL may change a plan."""

REPEATS: Final = 100
PATIENCE_S: Final = 0.6
"""How long each query is repeated, alone and while others write."""

CHANGES: Final = 5
"""How often each mutation is repeated, alone and while others write: forty rows are enough for all of them."""

WRITES_PER_S: Final = 20
"""How many of the neighbour's payments come in per second meanwhile."""

PAID_AT_ONCE: Final = 500
NEIGHBOURS: Final = 500
"""How many invoices the neighbour has."""

NOBODY: Final = "http://127.0.0.1:1"
Work = Callable[[], Awaitable[object]]


STOPPED: Final = Cost(10**9, *[1e3 * STATEMENT_TIMEOUT_S] * 5)
"""The cost of a query that the database stops."""


class Place(NamedTuple):
    """A filled workspace, how to query it, how to pay an invoice of the neighbour, and the database's processor time so
    far.
    """

    services: Services
    filled: Filled
    query: Callable[..., Awaitable[object]]
    write: Callable[[], Awaitable[None]]
    database_cpu_s: Callable[[], float]


@asynccontextmanager
async def place(url: str, rows: int, on_progress: Callable[[int], None]) -> AsyncIterator[Place]:
    """Migrate a database, and fill a workspace with this many invoices and a small one beside it."""
    await migrate(url)
    environ = {"FLUXRATE_DATABASE_URL": url, "FLUXRATE_ENCRYPTION_KEYS": generate_key()}
    parts = compose(Settings.from_env(environ | {"FLUXRATE_STRIPE_API_BASE": NOBODY}))
    async with parts.running(background=False) as services:
        async with in_bulk(url):
            neighbour, _ = await operator.create_workspace("Neighbour", Mode.TEST)
            beside = await integration_of(services, neighbour)
            other = await fill(neighbour.id, beside.id, NEIGHBOURS, is_analyzed=False)
            workspace, key = await operator.create_workspace("Acme", Mode.TEST)
            integration = await integration_of(services, workspace)
            filled = await fill(workspace.id, integration.id, rows, is_analyzed=False, on_progress=on_progress)

        async def query(document: str, **variables: Any) -> object:
            context = Operation(services, await authenticate(f"Bearer {key}"))
            result = await schema.execute(document, variables, context_value=context)
            if result.errors and (result.errors[0].extensions or {}).get("code") == TimedOutError.code:
                raise TimeoutError
            if result.errors:
                raise RuntimeError(str(result.errors))
            return result.data

        yield Place(services, filled, query, _writer(services, other), await database_cpu_s())


def _writer(services: Services, filled: Filled) -> Callable[[], Awaitable[None]]:
    """Make a function that pays an invoice of a workspace, and adds more invoices when all are paid."""
    open_ids: list[str] = []
    numbers = itertools.count(NEIGHBOURS + 1, PAID_AT_ONCE)

    async def write() -> None:
        if not open_ids:
            owners = filled.workspace_id, filled.customer_id, filled.integration_id
            async with transaction() as tx:
                open_ids.extend(
                    await add_invoices(tx, *owners, PAID_AT_ONCE, first=next(numbers), amount=PAID, currency="USD")
                )
        await pay(services, filled, open_ids.pop())

    return write


async def integration_of(services: Services, workspace: Workspace) -> Integration:
    """Create a connected Stripe account of a workspace."""
    integration_id, now = new_id(Prefix.INTEGRATION), utc_now()
    sealed = services.keyring.seal("sk_test_benchmark", bound_to(integration_id, "secret_key_sealed"))
    async with transaction():
        integration = await Integration.create(
            id=integration_id,
            workspace_id=workspace.id,
            name="Benchmark",
            mode=Mode.TEST,
            is_active=True,
            webhook_token=new_webhook_token(),
            secret_key_sealed=sealed,
            secret_key_preview="sk_test_…mark",  # noqa: S106
            created_at=now,
            updated_at=now,
        )
        await IntegrationTraffic.create(integration_id=integration_id, workspace_id=workspace.id)
    return integration


async def costs(at: Place, on_query: Callable[[str], None]) -> dict[str, Cost]:
    """Measure the cost of every query and mutation."""
    found = {}
    for name, (document, variables) in READS.items():
        on_query(name)
        asked = variables(at.filled)

        async def ask(document: str = document, asked: dict[str, Any] = asked) -> object:
            return await at.query(document, **asked)

        try:
            found[name] = await _cost(at, ask, WARM, REPEATS)
        except TimeoutError:
            found[name] = STOPPED
    for name, work in changes(at.services, at.filled, at.query).items():
        on_query(name)
        found[name] = await _cost(at, work, 1, CHANGES)
    return found


async def _cost(at: Place, work: Work, warm: int, repeats: int) -> Cost:
    for _ in range(warm):
        await work()
    visited = await visits(work)
    cpu, database_cpu = time.thread_time(), at.database_cpu_s()
    took = await _times(work, repeats)
    spent = (time.thread_time() - cpu) / len(took)
    database_spent = (at.database_cpu_s() - database_cpu) / len(took)
    async with _writing(at.write):
        among_others = await _times(work, repeats)
    return Cost(
        visited, statistics.median(took), p99(took), p99(among_others), 1e3 * spent, 1e3 * max(0.0, database_spent)
    )


async def _times(work: Work, repeats: int) -> list[float]:
    """Measure the milliseconds of each run, until there are enough or the time is over."""
    took: list[float] = []
    begun = time.perf_counter()
    while len(took) < repeats and (len(took) < 2 or time.perf_counter() - begun < PATIENCE_S):
        before = time.perf_counter()
        await work()
        took.append(1e3 * (time.perf_counter() - before))
    return took


def p99(took: Sequence[float]) -> float:
    """Return the value that 99 of 100 values do not exceed."""
    return sorted(took)[max(0, round(len(took) * 0.99) - 1)]


@asynccontextmanager
async def _writing(write: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Let payments come in at a steady rate while the context is open; at its end all of them are done and summed.

    Otherwise the next query's visits would include those of a late payment, or of sums that no server has merged.
    """
    ended = asyncio.Event()

    async def write_on() -> None:
        while not ended.is_set():
            await asyncio.gather(write(), asyncio.sleep(1 / WRITES_PER_S))

    await write()  # adds invoices to pay, if none are left
    task = asyncio.create_task(write_on())
    try:
        yield
    finally:
        ended.set()
        await task
        await merge_all()  # as a server does within seconds


async def measure(urls: Callable[[str], Iterator[str]], databases: list[str], sizes: list[int]) -> Measured:
    """Measure each database at each size."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    measured: Measured = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for database in databases:
            measured[database] = {}
            for size, url in zip(sizes, urls(database), strict=False):
                filling = progress.add_task(f"{database}: filling", total=size)
                asking = progress.add_task(f"{database}: asking", total=len(READS) + 5)

                def filled(rows: int, task: TaskID = filling) -> None:
                    progress.update(task, completed=rows)

                def asked(name: str, task: TaskID = asking, of: str = database) -> None:
                    progress.update(task, advance=1, description=f"{of}: {name}")

                async with place(url, size, filled) as at:
                    measured[database][size] = await costs(at, asked)
    return measured


def main() -> None:
    """Fill the databases, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=LARGE, help="invoices of the large workspace")
    parser.add_argument("--small", type=int, default=SMALL, help="invoices of the small workspace")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="one of the two alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/develop/performance.md, too")
    parser.add_argument("--of", type=Path, action="append", help="instead of measuring, read files that --json wrote")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    databases = arguments.database or ["sqlite", "postgres"]
    if arguments.of is not None:
        measured = read([path.read_text() for path in arguments.of])
    else:
        measured = _measured(databases, [arguments.small, arguments.rows])
    if arguments.write:
        write(measured)
    if arguments.json:
        print(as_json(measured))
    else:
        Console(width=200).print(table_of(measured))


def _measured(databases: list[str], sizes: list[int]) -> Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-scale-")))

        def urls(database: str) -> Iterator[str]:
            for size in ("small", "large"):
                if database == "sqlite":
                    path = folder / f"{size}.sqlite3"
                    path.touch()
                    yield f"sqlite://{path}"
                else:
                    yield stack.enter_context(postgres())

        return asyncio.run(measure(urls, databases, sizes))


if __name__ == "__main__":
    main()
