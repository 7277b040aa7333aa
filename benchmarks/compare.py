"""Compares Fluxrate with its peers on this machine: `python -m benchmarks.compare [--write]`, under fifteen minutes.

Each row names the work, the peer, how equal their work is, the processor time of both, and whether their ratio is as
low as we want. Both times are from the same run, because machines are noisy. `--write` puts the table into
docs/develop/comparison.md and the plot beside it.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.servers import ROOT

DOCUMENT: Final = ROOT / "docs" / "develop" / "comparison.md"
PLOT: Final = ROOT / "docs" / "pictures" / "comparison.svg"

RUNS: Final[Mapping[str, list[str]]] = {
    "ingest": ["benchmarks.ingest", "--rounds", "5", "--webhooks", "1500"],
    "ingest 128": ["benchmarks.ingest", "--rounds", "5", "--webhooks", "1500", "--connections", "128"],
    "ignored": ["benchmarks.ingest", "--rounds", "3", "--webhooks", "1500", "--kind", "ignored"],
    "duplicates": ["benchmarks.ingest", "--rounds", "3", "--webhooks", "1500", "--kind", "duplicates"],
    "receivers": ["benchmarks.receivers"],
    "at 800 a second": ["benchmarks.ingest", "--rounds", "3", "--webhooks", "2400", "--rate", "800"],
    "lists": ["benchmarks.lists"],
    "fanout": ["benchmarks.fanout"],
    "fanout different": ["benchmarks.fanout", "--different", "--rounds", "3", "--events", "8"],
}
"""The benchmarks to run, one after the other."""

_MULTIPLE: Final = "Fluxrate's multiple"
_DATABASE_CPU: Final = "database's CPU µs"
_FLOOR: Final = "bare Starlette broadcast"
_LIST: Final = "100 invoices with customer and payments"
_ONE: Final = "an invoice with its customer"
_STORED: Final = "the peer answers 200 and does nothing else"
_PLAIN: Final = "Fluxrate also completes the Payment Link and logs the changes"
_SYNCS: Final = "the peer stores the request, the event and the payment intent, but knows no invoices"
_IN_MEMORY: Final = "the peer reads objects in memory, without database and authentication"
_NO_INGEST: Final = "Fluxrate also verifies, stores and applies the webhook that causes the event"

_WEBHOOKS: Final = {
    "ingest": ("a webhook that pays an invoice, 64 connections", {"postgres": 0.3, "sqlite": 0.3}),
    "ingest 128": ("a webhook that pays an invoice, 128 connections", {"postgres": 0.4, "sqlite": 0.3}),
    "ignored": ("a webhook of an ignored type, 64 connections", {"postgres": 0.55, "sqlite": 0.55}),
    "duplicates": ("a webhook that came before, 64 connections", {"postgres": 0.55, "sqlite": 0.55}),
}
"""What each run of webhooks measures, and which ratio of webhooks per second to the peer's we want on each database."""

Measured = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: the processor time of Fluxrate and of the peer, and the highest ratio that we accept."""

    work: str
    peer: str
    equal: str
    unit: str
    ours: float
    theirs: float
    wanted: float

    @property
    def ratio(self) -> float:
        """Compute how many times the peer's time Fluxrate takes."""
        return self.ours / self.theirs

    @property
    def falls_short(self) -> bool:
        """Whether Fluxrate takes more than we accept."""
        return self.ratio > self.wanted


def rows_of(measured: Measured) -> list[Row]:
    """Make the rows of the comparison."""
    found = []
    for run, (work, of_databases) in _WEBHOOKS.items():
        for database, wanted in of_databases.items():
            ours, bare = measured[run][database], measured[run]["bare"]
            cpu = ours["CPU µs"] + ours[_DATABASE_CPU]
            title = f"{work}, {database}"
            found.append(Row(title, "bare Starlette", _STORED, "CPU µs", cpu, bare["CPU µs"], 1 / wanted))
    of_all = measured["receivers"]
    cpu_us = {name: each["CPU µs"] + each[_DATABASE_CPU] for name, each in of_all.items()}
    for peer, equal, limit in (("plain Tortoise", _PLAIN, 0.5), ("dj-stripe", _SYNCS, 0.1)):
        title = f"{_WEBHOOKS['ingest'][0]}, postgres"
        found.append(Row(title, peer, equal, "CPU µs", cpu_us["Fluxrate"], cpu_us[peer], limit))
    for database in ("postgres", "sqlite"):
        each = measured["lists"][f"{database}: {_LIST}"]
        title = f"{_LIST}, {database}"
        found.append(Row(title, "mercurius", _IN_MEMORY, "CPU ms", each["plan"], each["mercurius"], 1.2))
        for name in (_LIST, _ONE):
            each = measured["lists"][f"{database}: {name}"]
            title = f"{name}, {database}"
            found.append(Row(title, "graphql-core", "equal", "CPU ms", each["plan"], each["graphql-core"], 1))
    for run, work in (("fanout", "the same variables"), ("fanout different", "different variables")):
        of_all = measured[run]
        ours_us = of_all["Fluxrate"]["CPU µs"]
        for peer, wanted in ((_FLOOR, 1.0), ("mercurius", 1 / 3), ("stock Strawberry", 0.1)):
            title = f"an event to each of 1,000 sockets, {work}"
            found.append(Row(title, peer, _NO_INGEST, "CPU µs", ours_us, of_all[peer]["CPU µs"], wanted))
    return found


def run(console: Console) -> Measured:
    """Run all benchmarks and show their progress."""
    measured = {}
    for name in track(RUNS, "Benchmarks", console=console):
        command = [sys.executable, "-m", *RUNS[name], "--json"]
        answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        measured[name] = json.loads(answer.stdout.splitlines()[-1])
    return measured


# --- What is shown ---------------------------------------------------------------------------------------------

HEADINGS: Final = ("work", "peer", "how equal", "unit", "Fluxrate", "peer's", "ratio", "wanted", "result")


def cells(row: Row) -> list[str]:
    """Format a row's cells."""
    verdict = "falls short" if row.falls_short else "met"
    figures = [_short(row.ours), _short(row.theirs), f"{row.ratio:.2f}", f"≤ {row.wanted:.2f}"]
    return [row.work, row.peer, row.equal, row.unit, *figures, verdict]


def _short(figure: float) -> str:
    """Round to three digits, without an exponent."""
    rounded = f"{figure:.3g}"
    return f"{float(rounded):,.0f}" if "e" in rounded else rounded


def _djstripe_version() -> str:
    locked = (ROOT / "benchmarks" / "djstripe" / "requirements.lock").read_text().split()
    return next(word for word in locked if word.startswith("dj-stripe==")).removeprefix("dj-stripe==")


def document_of(rows: list[Row], measured: Measured) -> str:
    """Write the page with the table."""
    python, machine = f"Python {platform.python_version()}", platform.machine()
    packages = ", ".join(f"{each} {version(each)}" for each in ("starlette", "uvicorn", "strawberry-graphql"))
    peers = json.loads((ROOT / "benchmarks" / "mercurius" / "package.json").read_text())["dependencies"]
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|---|---|--:|--:|--:|--:|---|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    ingest = [
        f"| {work} | {server} | {each['webhooks/s']:,.0f} |"
        f" {each['least ratio']:.2f} {each['ratio']:.2f} {each['largest ratio']:.2f} |"
        f" {each['p50 ms']:.1f} | {each['p99 ms']:.1f} |"
        for run, (work, _) in _WEBHOOKS.items()
        for server, each in measured[run].items()
    ]
    others = [
        f"| {name} | {each['webhooks/s']:,.0f} | {each[_MULTIPLE]:.1f} | {each['p50 ms']:,.1f} |"
        f" {each['p99 ms']:,.1f} | {each['CPU µs']:,.0f} | {each[_DATABASE_CPU]:,.0f} |"
        for name, each in measured["receivers"].items()
    ]
    steady = [
        f"| {server} | {each['p50 ms']:.1f} | {each['p99 ms']:.1f} | {each['CPU µs'] + each[_DATABASE_CPU]:,.0f} |"
        for server, each in measured["at 800 a second"].items()
    ]
    return "\n".join(
        [
            "# Comparison with peers",
            "",
            "`python -m benchmarks.compare --write` makes this page in less than fifteen minutes.",
            "Each line of the first table compares Fluxrate with a peer, which is a program that does similar work.",
            "The column *how equal* names work that only one of the two programs does.",
            "If both programs do the same work, this column says *equal*.",
            "*ratio* is Fluxrate's figure divided by the peer's figure.",
            "*wanted* is the highest ratio that we accept.",
            "We compare processor times and not durations, because other work on the machine affects durations more.",
            "Each figure is the processor time for one webhook, for one answer to a query, or for sending one event to"
            " one socket.",
            "The figure for a webhook includes PostgreSQL's processor time.",
            "In each line, Fluxrate's figure and the peer's figure are from the same run.",
            f"We measured with {python}, {packages}, dj-stripe {_djstripe_version()} and"
            f" mercurius {peers['mercurius']}, on {machine}.",
            "mercurius used its compiler (JIT) to send events, but not to answer queries.",
            "With *the same variables*, all 1,000 sockets subscribe with equal variables; with *different variables*,"
            " each socket has its own.",
            "",
            "![Processor time as a multiple of the peer's](../pictures/comparison.svg)",
            "",
            *lines,
            "",
            "## Webhooks per second",
            "",
            "`bare` is the bare Starlette server.",
            "A ratio is a server's webhooks per second divided by the webhooks per second of `bare`.",
            "The benchmark runs several rounds, so each ratio has a least, a median and a largest value.",
            "",
            "| work | server | webhooks/s | ratio to bare: least, median, largest | p50 ms | p99 ms |",
            "|---|---|--:|--:|--:|--:|",
            *ingest,
            "",
            "## Other receivers",
            "",
            "Each of these servers gets the same webhooks over 64 connections, and has a PostgreSQL of its own.",
            "`plain Tortoise` is a short handler.",
            "In one transaction, it stores the event and the payment, and sets the invoice PAID.",
            "`dj-stripe` stores the event and the payment intent, and knows no invoices.",
            "*Fluxrate's multiple* is Fluxrate's webhooks per second divided by those of the server in the line.",
            "",
            "| server | webhooks/s | Fluxrate's multiple | p50 ms | p99 ms | server's CPU µs | PostgreSQL's CPU µs |",
            "|---|--:|--:|--:|--:|--:|--:|",
            *others,
            "",
            "## 800 webhooks a second",
            "",
            "Here 64 connections send webhooks that are due at a rate of 800 per second.",
            "Each webhook pays an invoice.",
            "A latency is the time from the moment when a webhook was due until its answer.",
            "We want a p99 of at most 8 ms.",
            "",
            "| server | p50 ms | p99 ms | CPU µs of a webhook |",
            "|---|--:|--:|--:|",
            *steady,
            "",
        ]
    )


_BAR: Final = 26
_LEFT: Final = 560
_WIDTH: Final = 1000
_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #1c2433; }
  .met { fill: #2f6fed; } .short { fill: #c77700; } .peer { stroke: #1c2433; stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6eaf2; } .met { fill: #7aa5ff; } .short { fill: #f0a83c; } .peer { stroke: #e6eaf2; }
  }
"""


def plot_of(rows: list[Row]) -> str:
    """Draw each ratio as a bar on a logarithmic scale, and the peer as a line, in light and dark."""
    logs = [math.log10(row.ratio) for row in rows]
    least, most = min(*logs, 0.0) - 0.1, max(*logs, 0.0) + 0.35
    scale = (_WIDTH - _LEFT) / (most - least)
    at_peer = _LEFT - least * scale
    height = _BAR * len(rows) + 34
    bars = []
    for place, (row, log) in enumerate(zip(rows, logs, strict=True)):
        top = 8 + place * _BAR
        left, right = sorted((at_peer, _LEFT + (log - least) * scale))
        kind = "short" if row.falls_short else "met"
        bars += [
            f'<text x="{_LEFT - 10}" y="{top + 15}" text-anchor="end">{row.work} / {row.peer}</text>',
            f'<rect class="{kind}" x="{left:.1f}" y="{top + 3}" width="{right - left + 1:.1f}" height="16" rx="3"/>',
            f'<text x="{right + 6:.1f}" y="{top + 15}">{row.ratio:.2f}</text>',
        ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            "<title>Processor time as a multiple of the peer's; shorter is better, the line is the peer</title>",
            f"<style>{_STYLE}</style>",
            *bars,
            f'<line class="peer" x1="{at_peer:.1f}" x2="{at_peer:.1f}" y1="4" y2="{height - 22}"/>',
            f'<text x="{at_peer:.1f}" y="{height - 6}" text-anchor="middle">the peer</text>',
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/develop/comparison.md and its plot, too")
    parser.add_argument("--of", type=Path, help="a file that --json wrote, to be shown in another form")
    parser.add_argument("--json", action="store_true", help="print what was measured as one JSON object")
    given = parser.parse_args()
    measured: Any = json.loads(given.of.read_text()) if given.of else run(Console(stderr=True))
    rows = rows_of(measured)
    if given.write:
        DOCUMENT.write_text(document_of(rows, measured))
        PLOT.write_text(plot_of(rows))
    if given.json:
        print(json.dumps(measured))
        return
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*cells(row))
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
