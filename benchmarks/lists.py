"""Measures lists and look-ups by plans, by graphql-core and in mercurius: `python -m benchmarks.lists [--rows 10000]`.

There is one workspace on each database. The results are the processor time of a request with its authentication and
encoding, in the server's kind of event loop but without HTTP; SQLite runs in the process and is included. They are
medians of several rounds, in which plans and graphql-core alternate. mercurius on Node answers the same queries from
objects in memory, without authentication or database, with and without its compiler (JIT).
"""

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

import orjson
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.filling import fill
from benchmarks.scale import integration_of
from benchmarks.servers import mercurius_script, postgres
from database.migrate import migrate
from execution.documents import Documents
from execution.results import as_json
from execution.schema import Schema, make_schema, schema
from models.kinds import Mode
from models.secret import generate_key
from parts import compose
from resolvers import operator
from resolvers.auth import authenticate
from resolvers.context import Services
from schema.context import Operation
from settings import Settings

WARM: Final = 5
ROUNDS: Final = 7
PER_ROUND: Final = 20

LIST: Final = """
query ($first: Int) {
  invoices(first: $first) {
    nodes {
      id number status total { amount currency } dueDate
      customer { name email }
      payments(first: 10) { nodes { id status amount { amount currency } occurredAt } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
LOOK_UP: Final = "query ($id: ID!) { invoice(id: $id) { number status total { amount } customer { name } } }"
WAYS: Final[dict[str, Schema]] = {"graphql-core": make_schema(Documents), "plan": schema}

Measured = dict[str, dict[str, float]]


async def measure(url: str, rows: int) -> Measured:
    """Measure the milliseconds of each query, by plans and by graphql-core."""
    await migrate(url)
    environ = {"FLUXRATE_DATABASE_URL": url, "FLUXRATE_ENCRYPTION_KEYS": generate_key()}
    parts = compose(Settings.from_env(environ | {"FLUXRATE_STRIPE_API_BASE": "http://127.0.0.1:1"}))
    async with parts.running(background=False) as services:
        workspace, key = await operator.create_workspace("Acme", Mode.TEST)
        filled = await fill(workspace.id, (await integration_of(services, workspace)).id, rows)
        gc.set_threshold(50_000, 20, 50)  # as the server does
        gc.freeze()
        return {
            name: await _beside_each_other(services, key, document, variables)
            for name, (document, variables) in _questions(filled.paid_id).items()
        }


def _questions(invoice_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "100 invoices with customer and payments": (LIST, {"first": 100}),
        "10 invoices with customer and payments": (LIST, {"first": 10}),
        "an invoice with its customer": (LOOK_UP, {"id": invoice_id}),
        "who is calling": ("{ viewer { workspace { id name } } }", {}),
    }


async def _beside_each_other(
    services: Services, key: str, document: str, variables: dict[str, Any]
) -> dict[str, float]:
    async def ask(way: Schema) -> bytes:
        operation = Operation(services, await authenticate(f"Bearer {key}"))
        return orjson.dumps(as_json(await way.execute(document, variables, context_value=operation)))

    answers = {name: [await ask(way) for _ in range(WARM)][-1] for name, way in WAYS.items()}
    assert len(set(answers.values())) == 1, "both ways must answer the same"
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            before = time.process_time()
            for _ in range(PER_ROUND):
                await ask(way)
            took[name].append((time.process_time() - before) / PER_ROUND * 1e3)
    return {name: statistics.median(each) for name, each in took.items()}


def of_mercurius(folder: Path, jit: Literal["jit", "plain"]) -> dict[str, float]:
    """Measure the milliseconds of each query in mercurius."""
    asked = {name: {"document": text, "variables": given} for name, (text, given) in _questions("inv_0").items()}
    file = folder / "questions.json"
    file.write_bytes(orjson.dumps(asked))
    command = [*mercurius_script("lists.mjs"), str(file), str(ROUNDS), str(PER_ROUND), jit]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = orjson.loads(answer.stdout)
    return found


def main() -> None:
    """Fill the databases, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="invoices of the workspace")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="one of the two alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    peers: dict[str, Literal["plain", "jit"]] = {"mercurius": "plain", "mercurius, JIT": "jit"}
    found: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-lists-")))
        of_peers = {peer: of_mercurius(folder, jit) for peer, jit in peers.items()}
        for database in arguments.database or ["sqlite", "postgres"]:
            path = folder / "lists.sqlite3"
            path.touch()
            url = f"sqlite://{path}" if database == "sqlite" else stack.enter_context(postgres())
            for name, ways in uvloop.run(measure(url, arguments.rows)).items():
                found[f"{database}: {name}"] = ways | {peer: each[name] for peer, each in of_peers.items()}
    if arguments.json:
        print(orjson.dumps(found).decode())
    else:
        Console(width=120).print(_table(found))


def _table(found: dict[str, dict[str, float]]) -> Table:
    headings = [*WAYS, "mercurius", "mercurius, JIT"]
    table = Table("", *headings, "plan / mercurius", title="Milliseconds of processor time per request")
    for name, each in found.items():
        ratio = each["plan"] / each["mercurius"]
        table.add_row(name, *(f"{each[heading]:.2f}" for heading in headings), f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    main()
