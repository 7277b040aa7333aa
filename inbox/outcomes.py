"""Writing what became of a batch's webhook events, and what came to which integration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from database.bulk import insert_rows, update_rows
from database.door import Transaction
from gateways.registry import GATEWAY
from inbox.postings import Posting
from models.kinds import WebhookEventStatus
from models.payment_fact import PaymentFact

UNREADABLE: Final = "UNREADABLE_PAYLOAD"


_UNREAD: Final = (WebhookEventStatus.UNAPPLIED, UNREADABLE)


_OUTCOME: Final = {
    "id": "text",
    "status": "text",
    "reason_code": "text",
    "reason_detail": "text",
    "attempts": "bigint",
    "invoice_id": "text",
    "customer_id": "text",
    "payment_id": "text",
    "processed_at": "timestamptz",
    "retry_at": "timestamptz",
    "reader_version": "bigint",
    "deliveries": "bigint",
}


_CONTENT: Final = {
    "workspace_id": "text",
    "integration_id": "text",
    "delivery_key": "text",
    "stripe_event_id": "text",
    "type": "text",
    "livemode": "boolean",
    "api_version": "text",
    "payload": "bytea",
    "received_at": "timestamptz",
}


async def write_postings(tx: Transaction, postings: Sequence[Posting], now: datetime) -> None:
    new = [posting for posting in postings if posting.known is None]
    settled = [posting for posting in postings if posting.known is not None and posting.status is not None]
    counted = [p for p in postings if p.known is not None and p.status is None and p.posts]
    await insert_rows(tx, "webhook_events", _OUTCOME | _CONTENT, [(*_outcome(p, now), *_content(p)) for p in new])
    await update_rows(tx, "webhook_events", _OUTCOME, [_outcome(p, now) for p in settled])
    await update_rows(
        tx,
        "webhook_events",
        {"id": "text", "deliveries": "bigint"},
        [(p.webhook_event_id, p.posts + p.known.deliveries) for p in counted if p.known],
    )
    await _count_traffic(tx, postings)


def _outcome(posting: Posting, now: datetime) -> tuple[Any, ...]:
    known = posting.known
    return (
        posting.webhook_event_id,
        posting.status.value if posting.status else None,
        posting.reason_code,
        posting.reason_detail,
        (known.attempts if known else 0) + posting.settled,
        posting.invoice_id,
        posting.customer_id,
        posting.payment_id,
        now if posting.settled and posting.status is not WebhookEventStatus.FAILED else None,
        posting.retry_at,
        GATEWAY.reader_version if (posting.status, posting.reason_code) == _UNREAD else None,
        (known.deliveries if known else 0) + posting.posts,
    )


def _content(posting: Posting) -> tuple[Any, ...]:
    delivery = posting.delivery
    event, unreadable = delivery.event, delivery.unreadable
    return (
        delivery.origin.workspace_id,
        delivery.origin.integration_id,
        delivery.key,
        _stripe_id(event) if event else unreadable and unreadable.event_id,
        event.type if event else unreadable and unreadable.event_type,
        event.livemode if event else None,
        event.api_version if event else None,
        delivery.body,
        delivery.received_at,
    )


def _stripe_id(event: PaymentFact) -> str | None:
    """Stripe's id of an event; what was made from something else that Stripe told has none."""
    return None if ":" in event.id else event.id


@dataclass(slots=True)
class _Traffic:
    """What came to an integration in this batch."""

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
        await tx.execute(
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
