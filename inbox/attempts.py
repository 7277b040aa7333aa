"""Stores further attempts at a webhook event: when it is delivered or tried again.

The first attempt is read from the event's own row, so an event that comes once, as nearly all do, costs no other row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from database.bulk import any_of, insert_rows
from database.transaction import Transaction
from models.columns import Columns
from models.kinds import AttemptSource, WebhookEventStatus
from models.webhook_event_attempt import WebhookEventAttempt


class Attempt(NamedTuple):
    """A row of the table."""

    workspace_id: str
    webhook_event_id: str
    source: AttemptSource
    status: WebhookEventStatus
    reason_code: str | None
    reason_detail: str | None
    at: datetime


_ATTEMPT: Final = Columns[Attempt](WebhookEventAttempt, Attempt._fields)


async def keep_firsts(tx: Transaction, webhook_event_ids: Collection[str]) -> None:
    """Copy the first attempt of each event from its row, which is about to change.

    An event with no delivery so far was found by a sync.
    """
    if not webhook_event_ids:
        return
    among, ids = any_of(tx.dialect, "e.id", 1, sorted(webhook_event_ids))
    await tx.execute(
        "INSERT INTO webhook_event_attempts"  # noqa: S608
        " (workspace_id, webhook_event_id, source, status, reason_code, reason_detail, at)"
        " SELECT e.workspace_id, e.id, CASE WHEN e.deliveries = 0 THEN 'SYNC' ELSE 'WEBHOOK' END, e.status,"
        f" e.reason_code, e.reason_detail, e.received_at FROM webhook_events e WHERE {among}"
        " AND NOT EXISTS (SELECT 1 FROM webhook_event_attempts a WHERE a.webhook_event_id = e.id)",
        ids,
    )


async def keep_attempts(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    """Insert attempts that are not the first."""
    await insert_rows(tx, "webhook_event_attempts", _ATTEMPT.types, _ATTEMPT.of_all(attempts))
