"""What lists and look-ups cost by plans beside graphql-core: `python -m benchmarks.lists [--rows 10000]`.

One workspace on each database. Told is the processor time of this process (SQLite is in it) for a request with its
authentication and its encoding, without HTTP: the median of several rounds, both ways in turn.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.filling import Filled, fill
from benchmarks.scale import integration_of
from benchmarks.servers import postgres
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
    """Milliseconds of each question, by the way it is answered."""
    await migrate(url)
    environ = {"FLUXRATE_DATABASE_URL": url, "FLUXRATE_ENCRYPTION_KEYS": generate_key()}
    parts = compose(Settings.from_env(environ | {"FLUXRATE_STRIPE_API_BASE": "http://127.0.0.1:1"}))
    async with parts.running(background=False) as services:
        workspace, key = await operator.create_workspace("Acme", Mode.TEST)
        filled = await fill(workspace.id, (await integration_of(services, workspace)).id, rows)
        return {
            name: await _beside_each_other(services, key, document, variables)
            for name, (document, variables) in _questions(filled).items()
        }


def _questions(filled: Filled) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "100 invoices with customer and payments": (LIST, {"first": 100}),
        "10 invoices with customer and payments": (LIST, {"first": 10}),
        "an invoice with its customer": (LOOK_UP, {"id": filled.paid_id}),
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


def main() -> None:
    """Fill, ask and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="invoices of the workspace")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="one of the two alone")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    table = Table("", *WAYS, title="Milliseconds of processor time per request")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluxrate-lists-")))
        for database in arguments.database or ["sqlite", "postgres"]:
            path = folder / "lists.sqlite3"
            path.touch()
            url = f"sqlite://{path}" if database == "sqlite" else stack.enter_context(postgres())
            for name, ways in asyncio.run(measure(url, arguments.rows)).items():
                table.add_row(f"{database}: {name}", *(f"{ways[way]:.2f}" for way in WAYS))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
