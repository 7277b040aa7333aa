"""The event log of each workspace: what changed, in the order of commit.

A counter on the workspace's row numbers the lines. A writer holds its lock until the commit, so a reader who has seen
line n has seen all lines before it. With a database sequence, a smaller number could appear later.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final, NamedTuple

from tortoise import fields
from tortoise.models import Model

from database.bulk import columns_of, given_rows, insert_rows
from database.scope import WorkspaceManager
from database.together import AFTER
from database.transaction import Transaction
from models.columns import Columns
from models.ids import Prefix, new_id
from models.instant import InstantField
from models.kinds import EventType, InvoiceStatus

STRIPE: Final = "stripe"
SYSTEM: Final = "system"


COMMON_TYPES: Final = frozenset(
    {
        EventType.INVOICE_CREATED,
        EventType.INVOICE_FINALIZED,
        EventType.INVOICE_PAID,
        EventType.PAYMENT_SUCCEEDED,
        EventType.PAYMENT_LINK_CREATED,
        EventType.WEBHOOK_EVENT_RECEIVED,
        EventType.WEBHOOK_EVENT_UPDATED,
    }
)
RARE: Final = (
    "type NOT IN ('INVOICE_CREATED', 'INVOICE_FINALIZED', 'INVOICE_PAID', 'PAYMENT_SUCCEEDED', 'PAYMENT_LINK_CREATED',"
    " 'WEBHOOK_EVENT_RECEIVED', 'WEBHOOK_EVENT_UPDATED')"
)
"""The condition of the index by type. It leaves out the types that every invoice has."""


NOT_BY_STRIPE: Final = "actor <> 'stripe'"
"""The condition of the index by actor. It leaves out what Stripe's deliveries cause."""


class Event(Model):
    """A line of the log. The ids that it holds are no foreign keys, so the objects can be deleted."""

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    number = fields.BigIntField()
    type = fields.CharEnumField(EventType, max_length=64)
    occurred_at = InstantField()
    actor = fields.TextField()
    note = fields.CharField(max_length=4096, null=True)
    previous_status = fields.CharEnumField(InvoiceStatus, max_length=16, null=True)
    status = fields.CharEnumField(InvoiceStatus, max_length=16, null=True)
    invoice_id = fields.CharField(max_length=64, null=True)
    payment_id = fields.CharField(max_length=64, null=True)
    customer_id = fields.CharField(max_length=64, null=True)
    integration_id = fields.CharField(max_length=64, null=True)
    webhook_event_id = fields.CharField(max_length=64, null=True)

    class Meta:
        table = "events"
        manager = WorkspaceManager()


class Happening(NamedTuple):
    """A change that is about to be logged. `status` and `previous_status` are the invoice's."""

    type: EventType
    workspace_id: str
    actor: str
    occurred_at: datetime
    note: str | None = None
    previous_status: InvoiceStatus | None = None
    status: InvoiceStatus | None = None
    invoice_id: str | None = None
    payment_id: str | None = None
    customer_id: str | None = None
    integration_id: str | None = None
    webhook_event_id: str | None = None


_LOGGED: Final = Columns[Happening](Event, Happening._fields)
_COLUMNS: Final = columns_of(Event, ["id", "number"]) | _LOGGED.types

_COUNT_LINES: Final = "UPDATE workspaces SET seq = seq + $1 WHERE id = $2"


async def append(tx: Transaction, happenings: Sequence[Happening]) -> Mapping[str, int]:
    """Log changes in the order given; return each workspace's newest number.

    Locks the workspaces' counters, in the order of their ids. Take no other lock after these.
    """
    by_workspace: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        by_workspace[happening.workspace_id].append(happening)
    log = _log_at_once if tx.dialect == "postgres" else _log
    return {workspace_id: await log(tx, workspace_id, own) for workspace_id, own in sorted(by_workspace.items())}


async def _log(tx: Transaction, workspace_id: str, happenings: Sequence[Happening]) -> int:
    """Count a workspace's lines, then write them; return the newest number."""
    (counted,) = await tx.fetch(f"{_COUNT_LINES} RETURNING seq", len(happenings), workspace_id)
    newest: int = counted["seq"]
    await insert_rows(tx, "events", _COLUMNS, _lines(happenings, range(newest - len(happenings) + 1, newest + 1)))
    return newest


async def _log_at_once(tx: Transaction, workspace_id: str, happenings: Sequence[Happening]) -> int:
    """Count and write a workspace's lines with one statement; return the newest number."""
    lines = _lines(happenings, range(1 - len(happenings), 1))
    given = given_rows("events", _COLUMNS, lines, taken=2)
    statement = _counting(given.values, given.source)
    (counted,) = await tx.conclude(statement, len(happenings), workspace_id, *given.parameters)
    newest: int = counted["seq"]
    return newest


@cache
def _counting(values: tuple[str, ...], source: str) -> str:
    """Make the statement that counts lines and writes them; their numbers are relative to the newest."""
    id_, number, *others = values
    given = f", {source}" if source else ""
    return (
        f"WITH counted AS ({_COUNT_LINES} AND {AFTER} RETURNING seq),"  # noqa: S608
        f" logged AS (INSERT INTO events ({', '.join(_COLUMNS)})"
        f" SELECT {id_}, counted.seq + {number}, {', '.join(others)} FROM counted{given})"
        " SELECT seq FROM counted"
    )


def _lines(happenings: Sequence[Happening], numbers: Iterable[int]) -> list[tuple[object, ...]]:
    logged = _LOGGED.of_all(happenings)
    return [(new_id(Prefix.EVENT), number, *row) for number, row in zip(numbers, logged, strict=True)]
