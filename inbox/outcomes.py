"""Writes the outcomes of a batch's webhook events, and counts the deliveries of each integration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, TypeGuard

from database.bulk import columns_of, insert_rows, update_rows
from database.transaction import Transaction
from gateways.registry import GATEWAY
from inbox.attempts import Attempt, keep_attempts, keep_firsts
from inbox.delivery import Delivery
from inbox.postings import Known, Posting
from models.columns import Columns
from models.kinds import WebhookEventStatus
from models.reason import Reason
from models.webhook_event import WebhookEvent
from models.webhook_event_attempt import MAX_KEPT

_UNREAD: Final = (WebhookEventStatus.UNAPPLIED, Reason.UNREADABLE_PAYLOAD)


def _reader_version(posting: Posting) -> int | None:
    """Return this reader's version if the event is UNAPPLIED because it can't be read."""
    return GATEWAY.reader_version if (posting.status, posting.reason_code) == _UNREAD else None


def _type(delivery: Delivery) -> str | None:
    if delivery.event is not None:
        return delivery.event.type
    return delivery.unreadable.event_type if delivery.unreadable else None


def _provider_id(delivery: Delivery) -> str | None:
    """Return Stripe's id of an event; an event that we made of a checkout session has none."""
    if delivery.event is not None:
        return None if ":" in delivery.event.id else delivery.event.id
    return delivery.unreadable.event_id if delivery.unreadable else None


_OUTCOME: Final = Columns[Posting](
    WebhookEvent,
    ("id", "status", "reason_code", "reason_detail", "invoice_id", "customer_id", "payment_id", "retry_at"),
    id=attrgetter("webhook_event_id"),
    attempts=lambda posting: (posting.known.attempts if posting.known else 0) + posting.is_tried,
    reader_version=_reader_version,
    deliveries=lambda posting: (posting.known.deliveries if posting.known else 0) + posting.posts,
)
_CONTENT: Final = Columns[Delivery](
    WebhookEvent,
    ("received_at",),
    workspace_id=attrgetter("origin.workspace_id"),
    integration_id=attrgetter("origin.integration_id"),
    delivery_key=attrgetter("key"),
    provider_event_id=_provider_id,
    type=_type,
    livemode=lambda delivery: delivery.event.livemode if delivery.event else None,
    api_version=lambda delivery: delivery.event.api_version if delivery.event else None,
    payload=attrgetter("body"),
)


async def write_postings(tx: Transaction, postings: Sequence[Posting], now: datetime) -> None:
    outcome = _OUTCOME.types | columns_of(WebhookEvent, ["processed_at"])
    new = [posting for posting in postings if posting.known is None]
    changed = [posting for posting in postings if posting.known is not None and posting.status is not None]
    counted = [p for p in postings if p.known is not None and p.status is None and p.posts]
    await keep_firsts(tx, [p.webhook_event_id for p in (*changed, *counted)])
    contents = _CONTENT.of_all([posting.delivery for posting in new])
    inserted = [(*row, *content) for row, content in zip(_outcomes(new, now), contents, strict=True)]
    await insert_rows(tx, "webhook_events", outcome | _CONTENT.types, inserted)
    await update_rows(tx, "webhook_events", outcome, _outcomes(changed, now))
    await update_rows(
        tx,
        "webhook_events",
        columns_of(WebhookEvent, ["id", "deliveries"]),
        [(p.webhook_event_id, p.posts + p.known.deliveries) for p in counted if p.known],
    )
    await keep_attempts(tx, [_attempt(p, p.known, now) for p in (*changed, *counted) if _is_noted(p.known)])
    await _count_traffic(tx, postings)


def _is_noted(known: Known | None) -> TypeGuard[Known]:
    return known is not None and known.deliveries + known.attempts < MAX_KEPT


def _attempt(posting: Posting, known: Known, now: datetime) -> Attempt:
    """Describe how a known event was delivered or tried; a finished one that is delivered again keeps its status."""
    delivery = posting.delivery
    status, code, detail = posting.status or known.status, posting.reason_code, posting.reason_detail
    at = delivery.received_at if delivery.posts else now
    return Attempt(delivery.origin.workspace_id, posting.webhook_event_id, delivery.source, status, code, detail, at)


def _outcomes(postings: Sequence[Posting], now: datetime) -> list[tuple[Any, ...]]:
    rows = zip(_OUTCOME.of_all(postings), postings, strict=True)
    return [(*row, now if _is_decided(posting) else None) for row, posting in rows]


def _is_decided(posting: Posting) -> bool:
    return posting.is_tried and posting.status is not WebhookEventStatus.FAILED


@dataclass(slots=True)
class _Traffic:
    """The deliveries of an integration in this batch."""

    posts: int
    latest: datetime
    signed_with_current: bool
    signed_with_previous: bool


async def _count_traffic(tx: Transaction, postings: Sequence[Posting]) -> None:
    counted: dict[str, _Traffic] = {}
    for posting in postings:
        if not posting.posts:
            continue
        received = posting.delivery.received_at
        traffic = counted.setdefault(posting.delivery.origin.integration_id, _Traffic(0, received, False, False))
        traffic.posts += posting.posts
        traffic.latest = max(traffic.latest, received)
        traffic.signed_with_current |= posting.signed_with_current
        traffic.signed_with_previous |= posting.signed_with_previous
    for integration_id, traffic in sorted(counted.items()):
        await tx.write(
            "integration_traffic",
            _COUNT_TRAFFIC,
            integration_id,
            traffic.posts,
            traffic.latest,
            traffic.latest if traffic.signed_with_current else None,
            traffic.latest if traffic.signed_with_previous else None,
        )


_COUNT_TRAFFIC: Final = """
    UPDATE integration_traffic SET
        deliveries = deliveries + $2,
        last_event_at = CASE WHEN last_event_at > $3 THEN last_event_at ELSE $3 END,
        secret_matched_at = COALESCE($4, secret_matched_at),
        previous_secret_matched_at = COALESCE($5, previous_secret_matched_at),
        secret_alone_since = CASE WHEN $5 IS NULL THEN COALESCE(secret_alone_since, $4) END
    WHERE integration_id = $1
"""
