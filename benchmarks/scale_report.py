"""Writes the results of benchmarks.scale as a table for the terminal, as JSON, and into a document."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.table import Column, Table

GROWS: Final = 1.3
SLACK: Final = 40
"""How many more visits one more level of an index, or a split page, may cost."""


class Cost(NamedTuple):
    """The cost of a query or mutation: `visited` rows (PostgreSQL) or steps in twenties (SQLite); the rest in
    milliseconds.

    `cpu` is the worker's. `database_cpu` is that of PostgreSQL's sessions, or of SQLite's threads.
    """

    visited: int
    p50: float
    p99: float
    p99_while_writing: float
    cpu: float
    database_cpu: float


Costs = dict[str, Cost]
"""The cost of each query and mutation."""

Measured = dict[str, dict[int, Costs]]
"""The costs by database and number of invoices."""

NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
HEADINGS: Final = (
    "visited",
    "visited",
    "growth",
    "p50 ms",
    "p50 ms",
    "p99 ms",
    "p99 ms while others write",
    "CPU ms",
    "CPU ms",
    "database's CPU ms",
    "database's CPU ms",
)
DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "develop" / "performance.md"
BEGIN: Final = "<!-- from here on written by benchmarks.scale -->"
END: Final = "<!-- to here -->"


def is_grown(few: Cost, many: Cost) -> bool:
    """Whether the larger workspace visits more than is allowed."""
    return many.visited > GROWS * few.visited + SLACK


def table_of(measured: Measured) -> Table:
    """Show all results, the small workspace beside the large one."""
    table = Table("query", *(Column(heading, justify="right") for heading in HEADINGS))
    for database, sizes in measured.items():
        small, *larger = sorted(sizes)
        for large in larger:
            for place, cells in enumerate(_lines(small, sizes[small], large, sizes[large])):
                table.add_row(*([f"[bold]{NAMES[database]}", *cells[1:]] if place == 0 else cells))
            table.add_section()
    return table


def _lines(small: int, few: Costs, large: int, many: Costs) -> Iterator[list[str]]:
    """Yield a line with the sizes, then a line for each query, with the columns of HEADINGS."""
    sizes = [f"{small:,}", f"{large:,}"]
    yield ["number of invoices", *sizes, "", *sizes, sizes[1], sizes[1], *sizes, *sizes]
    for name, little in few.items():
        much = many[name]
        growth = f"{much.visited / max(1, little.visited):.2f}"
        times = [little.p50, much.p50, much.p99, much.p99_while_writing]
        times += [little.cpu, much.cpu, little.database_cpu, much.database_cpu]
        yield [name, f"{little.visited:,}", f"{much.visited:,}", growth, *(f"{each:.1f}" for each in times)]


# --- The document ----------------------------------------------------------------------------------------------


def write(measured: Measured) -> None:
    """Replace the last results in the document."""
    text = DOCUMENT.read_text()
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    lines = [line for database, sizes in measured.items() for line in _chapters(NAMES[database], sizes)]
    DOCUMENT.write_text("\n".join([f"{before}{BEGIN}", "", *lines, after]))


def _chapters(database: str, sizes: dict[int, Costs]) -> Iterator[str]:
    """Yield the lines about a database: a chapter for each larger size."""
    small, *larger = sorted(sizes)
    for large in larger:
        more = [name for name, few in sizes[small].items() if is_grown(few, sizes[large][name])]
        yield f"## {database}, {large:,} invoices"
        yield ""
        yield from _grown(small, large, more)
        yield ""
        yield _row(["query", *HEADINGS])
        yield f"|---|{'--:|' * len(HEADINGS)}"
        yield from map(_row, _lines(small, sizes[small], large, sizes[large]))
        yield ""


def _grown(small: int, large: int, more: list[str]) -> Iterator[str]:
    """Yield the sentences about the queries that visit more than is allowed in the larger workspace."""
    yield f"Let *n* be a query's value of *visited* in the workspace of {small:,} invoices."
    yield f"In the workspace of {large:,} invoices, we accept a value of at most {GROWS} × *n* + {SLACK}."
    yield f"The following queries have a higher value: {'; '.join(more)}." if more else "No query has a higher value."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- JSON ------------------------------------------------------------------------------------------------------


def as_json(measured: Measured) -> str:
    """Write the results as one JSON object."""
    plain: dict[str, Any] = {
        database: {size: {name: cost._asdict() for name, cost in costs.items()} for size, costs in sizes.items()}
        for database, sizes in measured.items()
    }
    return json.dumps(plain)


def read(texts: Sequence[str]) -> Measured:
    """Combine the results of several `as_json`; of repeated ones the first counts."""
    measured: Measured = {}
    for text in texts:
        for database, sizes in json.loads(text).items():
            for size, costs in sizes.items():
                known = measured.setdefault(database, {})
                known.setdefault(int(size), {name: Cost(**cost) for name, cost in costs.items()})
    return measured
