"""Parses the arguments that commands share, and prints a JSON object, or text and tables."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from errors import InvalidInputError
from settings import Settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
WorkspaceId = Annotated[
    str | None, typer.Option("--workspace", help="The workspace's id, ws_…; not needed if there is only one.")
]


def operated(work: Callable[[], Awaitable[T]], settings: Settings | None = None) -> T:
    """Run an operator's use case on the configured database."""
    return asyncio.run(_operate(settings or Settings.from_env(sealing=False), work))


async def _operate(settings: Settings, work: Callable[[], Awaitable[T]]) -> T:
    from database.access import Database
    from database.migrate import refuse_pending

    await refuse_pending(settings.database_url)
    async with Database(settings.database_url, pool_size=1):
        return await work()


def instant(text: str, direction: int = 1) -> datetime:
    """Parse "90d", "12h" (from now, before now for -1) or an ISO date; UTC unless an offset is given."""
    amount, unit = text[:-1], text[-1:]
    try:
        if amount.isdecimal() and unit in {"d", "h"}:
            away = timedelta(**{"d": {"days": int(amount)}, "h": {"hours": int(amount)}}[unit])
            return datetime.now(UTC) + direction * away
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInputError(f'{text!r} is not a time: write "90d", "12h" or "2030-01-31".') from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def iso(at: datetime | None) -> str | None:
    """Format an instant by RFC 3339, in UTC with milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_json(answer: Mapping[str, Any]) -> None:
    """Print a JSON object on one line."""
    print(json.dumps(answer), flush=True)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("There are none.")
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(", ".join(value) if isinstance(value, list) else str(value or "") for value in row.values()))
    Console(width=10_000).print(table)  # an id that is cut off can't be copied
