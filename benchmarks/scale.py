"""What everything costs in a large workspace beside a small one: `python -m benchmarks.scale [--rows 1000000]`.

A database of each kind is filled with a small and with a large workspace, skewed as real ones are, and everything that
a dashboard asks for or changes, and a webhook that pays, is done in both: rows or steps that the database visits, the
processor time of this process (with SQLite in it) and of PostgreSQL, and how long it takes.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.filling import Filled, fill
from benchmarks.questions import READS, changes
from benchmarks.servers import postgres
from benchmarks.visits import visits
from database.dialect import STATEMENT_TIMEOUT_S
from database.door import transaction
from database.migrate import migrate
from errors import TimedOut
from execution.schema import schema
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, bound_to, new_webhook_token
from models.kinds import Mode
from models.secret import generate_key
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
REPEATS: Final = 25
PATIENCE_S: Final = 4.0
"""How long one question is asked again and again."""

CHANGES: Final = 4
"""How often each change is made: there are twenty rows for all of them."""

NOBODY: Final = "http://127.0.0.1:1"
Work = Callable[[], Awaitable[object]]


class Cost(NamedTuple):
    """What something costs: `visited` rows (PostgreSQL) or twenty steps (SQLite); the rest in milliseconds."""

    visited: int
    p50: float
    p99: float
    cpu: float
    database_cpu: float


STOPPED: Final = Cost(10**9, *[1e3 * STATEMENT_TIMEOUT_S] * 4)
"""What a question costs that takes too long for the database."""


class Place(NamedTuple):
    """A filled workspace, and how to ask."""

    services: Services
    filled: Filled
    query: Callable[..., Awaitable[object]]


@asynccontextmanager
async def place(url: str, rows: int, told: Callable[[int], None]) -> AsyncIterator[Place]:
    """A migrated database with a workspace of so many invoices, and a small one beside it."""
    await migrate(url)
    environ = {"FLUXRATE_DATABASE_URL": url, "FLUXRATE_ENCRYPTION_KEYS": generate_key()}
    parts = compose(Settings.from_env(environ | {"FLUXRATE_STRIPE_API_BASE": NOBODY}))
    async with parts.running(background=False) as services:
        filled, key = None, ""
        for size in (500, rows):
            workspace, key = await operator.create_workspace("Acme", Mode.TEST)
            integration = await integration_of(services, workspace)
            filled = await fill(workspace.id, integration.id, size, told=told)
        assert filled is not None

        async def query(document: str, **variables: Any) -> object:
            context = Operation(services, await authenticate(f"Bearer {key}"))
            result = await schema.execute(document, variables, context_value=context)
            if result.errors and (result.errors[0].extensions or {}).get("code") == TimedOut.code:
                raise TimeoutError
            if result.errors:
                raise RuntimeError(str(result.errors))
            return result.data

        yield Place(services, filled, query)


async def integration_of(services: Services, workspace: Workspace) -> Integration:
    """A connected Stripe account of a workspace."""
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


async def costs(at: Place, told: Callable[[str], None]) -> dict[str, Cost]:
    """What everything costs there."""
    found = {}
    for name, (document, variables) in READS.items():
        told(name)
        asked = variables(at.filled)

        async def ask(document: str = document, asked: dict[str, Any] = asked) -> object:
            return await at.query(document, **asked)

        try:
            found[name] = await _cost(ask, WARM, REPEATS)
        except TimeoutError:
            found[name] = STOPPED
    for name, work in changes(at.services, at.filled, at.query).items():
        told(name)
        found[name] = await _cost(work, 1, CHANGES)
    return found


async def _cost(work: Work, warm: int, repeats: int) -> Cost:
    for _ in range(warm):
        await work()
    visited = await visits(work)
    took: list[float] = []
    begun = time.perf_counter()
    cpu, database_cpu = time.process_time(), _postgres_cpu_s()
    while len(took) < repeats and (len(took) < 2 or time.perf_counter() - begun < PATIENCE_S):
        before = time.perf_counter()
        await work()
        took.append(time.perf_counter() - before)
    spent = (time.process_time() - cpu) / len(took)
    database_spent = (_postgres_cpu_s() - database_cpu) / len(took)
    p99 = sorted(took)[max(0, round(len(took) * 0.99) - 1)]
    return Cost(visited, 1e3 * statistics.median(took), 1e3 * p99, 1e3 * spent, 1e3 * database_spent)


def _postgres_cpu_s() -> float:
    """The processor time of PostgreSQL's sessions on this machine, in seconds."""
    return sum(_cpu_s(folder) for folder in Path("/proc").iterdir() if folder.name.isdecimal() and _is_ours(folder))


def _is_ours(folder: Path) -> bool:
    try:
        return b"postgres: " in (folder / "cmdline").read_bytes()
    except OSError:
        return False


def _cpu_s(folder: Path) -> float:
    try:
        return int((folder / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


Measured = dict[str, dict[int, dict[str, Cost]]]


async def measure(urls: Callable[[str], Iterator[str]], databases: list[str], sizes: list[int]) -> Measured:
    """Each database at each size."""
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


def table_of(measured: Measured) -> Table:
    """Everything that was measured, small beside large."""
    table = Table(title="What it costs, in a small workspace and in a large one")
    for heading in ("", "visited", "", "growth", "p50 ms", "", "p99 ms", "CPU ms", "", "PostgreSQL CPU ms", ""):
        table.add_column(heading, justify="left" if not table.columns else "right")
    for database, sizes in measured.items():
        small, large = min(sizes), max(sizes)
        table.add_row(f"[bold]{database}", f"{small:,}", f"{large:,}", "", f"{small:,}", f"{large:,}", f"{large:,}")
        for name, few in sizes[small].items():
            many = sizes[large][name]
            table.add_row(
                name,
                f"{few.visited:,}",
                f"{many.visited:,}",
                f"{many.visited / max(1, few.visited):.2f}",
                f"{few.p50:.1f}",
                f"{many.p50:.1f}",
                f"{many.p99:.1f}",
                f"{few.cpu:.1f}",
                f"{many.cpu:.1f}",
                f"{few.database_cpu:.1f}",
                f"{many.database_cpu:.1f}",
            )
        table.add_section()
    return table


def document_of(measured: Measured) -> str:
    """The measurements as docs/performance.md."""
    lines = [_INTRODUCTION]
    for database, sizes in measured.items():
        small, large = min(sizes), max(sizes)
        grown = [name for name, few in sizes[small].items() if sizes[large][name].visited > 1.3 * few.visited + _SLACK]
        lines += [
            f"## {_NAMES[database]}",
            "",
            f"Visits more than 1.3 times as much at {large:,} invoices: {'; '.join(grown) or 'nothing'}.",
            "",
            f"| | visited at {small:,} | at {large:,} | p50 ms | at {large:,} | p99 ms"
            f" | CPU ms | at {large:,} | database's |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for name, few in sizes[small].items():
            many = sizes[large][name]
            lines.append(
                f"| {name} | {few.visited:,} | {many.visited:,} | {few.p50:.1f} | {many.p50:.1f} | {many.p99:.1f}"
                f" | {few.cpu:.1f} | {many.cpu:.1f} | {max(0.0, many.database_cpu):.1f} |"
            )
        lines.append("")
    return "\n".join(lines)


_SLACK: Final = 40
_NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_INTRODUCTION: Final = """# What it costs in a large workspace

Made by `python -m benchmarks.scale --markdown`. Each database is filled with a small workspace, and another one of it
with a large one; each invoice has its line, payment link, payment, webhook event and history, nearly all are paid, and
one customer has half of them. Then everything that a dashboard asks for or changes is done in both, without HTTP.

*Visited* are rows and index entries on PostgreSQL, and steps of twenty instructions on SQLite: the same on every
machine. *p50* and *p99* are how long it took, *CPU* the processor time of the process (SQLite is in it), *database's*
that of PostgreSQL in the larger one. Milliseconds depend on the machine and on what else it does. What took longer than
15 s was stopped. finalizeInvoice waits for a Stripe that isn't there.
"""


def read(text: str) -> Measured:
    """What `--json` printed."""
    return {
        database: {int(size): {name: Cost(**cost) for name, cost in costs.items()} for size, costs in sizes.items()}
        for database, sizes in json.loads(text).items()
    }


def main() -> None:
    """Fill, ask and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=LARGE, help="invoices of the large workspace")
    parser.add_argument("--small", type=int, default=SMALL, help="invoices of the small workspace")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="one of the two alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--markdown", action="store_true", help="print docs/performance.md instead of a table")
    parser.add_argument("--of", type=Path, help="a file that --json wrote, to be told in another form")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    databases = arguments.database or ["sqlite", "postgres"]
    if arguments.of is not None:
        measured = read(arguments.of.read_text())
    else:
        measured = _measured(databases, [arguments.small, arguments.rows])
    if arguments.json:
        print(json.dumps(_plain(measured)))
    elif arguments.markdown:
        print(document_of(measured))
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


def _plain(measured: Measured) -> dict[str, Any]:
    return {
        database: {size: {name: cost._asdict() for name, cost in costs.items()} for size, costs in sizes.items()}
        for database, sizes in measured.items()
    }


if __name__ == "__main__":
    main()
