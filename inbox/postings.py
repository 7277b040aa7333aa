"""Reads and locks a batch's integrations, and the webhook events that are stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from database.bulk import any_of
from database.transaction import Query, Transaction
from inbox.delivery import Delivery
from models.event import Happening
from models.ids import Prefix, new_id
from models.kinds import WebhookEventStatus

FINISHED: Final = frozenset({WebhookEventStatus.PROCESSED, WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})


_LOOKED_AT_AGAIN: Final = frozenset({WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})


@dataclass(frozen=True, slots=True)
class Known:
    """A webhook event that is stored already."""

    id: str
    status: WebhookEventStatus
    deliveries: int
    attempts: int
    awaits_payment: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to decide."""
        return self.status in FINISHED and not self.awaits_payment


@dataclass(slots=True)
class Posting:
    """A webhook event of the batch: its first delivery, the number of its posts, and its outcome."""

    delivery: Delivery
    known: Known | None
    posts: int = 0
    signed_with_current: bool = False
    signed_with_previous: bool = False
    is_outdated: bool = False
    webhook_event_id: str = ""
    status: WebhookEventStatus | None = None
    reason_code: str | None = None
    reason_detail: str | None = None
    is_tried: bool = False
    invoice_id: str | None = None
    customer_id: str | None = None
    payment_id: str | None = None
    retry_at: datetime | None = None
    happenings: list[Happening] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recipient:
    """An integration that the batch has deliveries for, with its sealed webhook secrets as they are stored now."""

    is_active: bool
    is_disconnected: bool
    secret: str | None = field(repr=False)
    previous_secret: str | None = field(repr=False)

    def admits(self, delivery: Delivery) -> bool:
        """Whether it still takes a delivery: a disconnected integration takes only events that it had before."""
        return delivery.again or not self.is_disconnected

    def applies(self, delivery: Delivery) -> bool:
        """Whether a delivery is applied, or only stored."""
        return self.is_active or (delivery.again and self.is_disconnected)


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of a batch that are stored already: its integrations, and its webhook events by integration and key."""

    integrations: Mapping[str, Recipient]
    known: Mapping[tuple[str, str], Known]


_INTEGRATION: Final = ("id", "is_active", "disconnected_at", "webhook_secret_sealed", "previous_webhook_secret_sealed")
_KNOWN: Final = ("id", "integration_id", "delivery_key", "status", "deliveries", "attempts", "retry_at")


async def lock_stored(tx: Transaction, deliveries: Sequence[Delivery]) -> Stored:
    """Keep a batch's integrations from changing, then lock the webhook events that are stored already."""
    ids = sorted({delivery.origin.integration_id for delivery in deliveries})
    among, values = any_of(tx.dialect, "id", 1, ids)
    of_these, integration_ids = any_of(tx.dialect, "integration_id", 1, ids)
    keyed, keys = any_of(tx.dialect, "delivery_key", 2, sorted({delivery.key for delivery in deliveries}))
    integrations, known = await tx.fetch_each(
        Query(_INTEGRATION, tx.for_share(f"FROM integrations WHERE {among}", by="id"), [values]),
        Query(
            _KNOWN,
            tx.for_update(f"FROM webhook_events WHERE {of_these} AND {keyed}", by="id"),
            [integration_ids, keys],
        ),
    )
    return Stored(
        {
            row["id"]: Recipient(
                bool(row["is_active"]),
                row["disconnected_at"] is not None,
                row["webhook_secret_sealed"],
                row["previous_webhook_secret_sealed"],
            )
            for row in integrations
        },
        {
            (row["integration_id"], row["delivery_key"]): Known(
                row["id"],
                WebhookEventStatus(row["status"]),
                row["deliveries"],
                row["attempts"],
                row["status"] == WebhookEventStatus.IGNORED and row["retry_at"] is not None,
            )
            for row in known
        },
    )


async def postings_of(
    tx: Transaction, deliveries: Sequence[Delivery], stored: Stored
) -> dict[tuple[str, str], Posting]:
    accepted = [
        delivery
        for delivery in deliveries
        if (recipient := stored.integrations.get(delivery.origin.integration_id)) is not None
        and recipient.admits(delivery)
    ]
    waited = await _take_from_quarantine(tx, accepted)
    postings: dict[tuple[str, str], Posting] = {}
    for delivery in accepted:
        posting = postings.get(key_of(delivery))
        if posting is None:
            found = stored.known.get(key_of(delivery))
            own_id = delivery.quarantined_id if delivery.quarantined_id in waited else new_id(Prefix.WEBHOOK_EVENT)
            posting = Posting(delivery, found, webhook_event_id=found.id if found else own_id)
            postings[key_of(delivery)] = posting
        elif delivery.again:
            posting.delivery = replace(posting.delivery, again=True)
        if delivery.quarantined_id is None or delivery.quarantined_id in waited:
            posting.posts += delivery.posts
        recipient = stored.integrations[delivery.origin.integration_id]  # its secrets may have been replaced meanwhile
        posting.signed_with_current |= bool(delivery.posts) and recipient.secret in delivery.signed_by
        posting.signed_with_previous |= bool(delivery.posts) and recipient.previous_secret in delivery.signed_by
        posting.is_outdated |= delivery.judged_by not in {(), (recipient.secret, recipient.previous_secret)}
    return postings


async def _take_from_quarantine(tx: Transaction, deliveries: Sequence[Delivery]) -> set[str]:
    """Delete these deliveries' rows in the quarantine; return the ids of those that still existed."""
    ids = {delivery.quarantined_id for delivery in deliveries if delivery.quarantined_id is not None}
    if not ids:
        return set()
    among, values = any_of(tx.dialect, "id", 1, sorted(ids))
    rows = await tx.fetch(
        f"DELETE FROM webhook_events WHERE {among} AND status = 'QUARANTINED' RETURNING id",  # noqa: S608
        values,
    )
    return {row["id"] for row in rows}


def key_of(delivery: Delivery) -> tuple[str, str]:
    return delivery.origin.integration_id, delivery.key


def is_due(posting: Posting, integrations: Mapping[str, Recipient]) -> bool:
    """Whether there is anything to decide: for a finished event only if it is to be decided again."""
    if posting.known is None:
        return True
    if posting.known.is_finished:
        return posting.delivery.again and posting.known.status in _LOOKED_AT_AGAIN
    held = posting.known.status is WebhookEventStatus.HELD
    return not held or integrations[posting.delivery.origin.integration_id].applies(posting.delivery)
