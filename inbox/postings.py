"""Reads and locks a batch's integrations, and the webhook events that are stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from database.bulk import any_of
from database.transaction import Transaction
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


async def lock_integrations(tx: Transaction, ids: set[str]) -> dict[str, Recipient]:
    among, values = any_of(tx.dialect, "id", 1, sorted(ids))
    query = (
        "SELECT id, is_active, disconnected_at, webhook_secret_sealed, previous_webhook_secret_sealed"  # noqa: S608
        f" FROM integrations WHERE {among}"
    )
    rows = await tx.fetch(tx.for_share(query, by="id"), values)
    return {
        row["id"]: Recipient(
            bool(row["is_active"]),
            row["disconnected_at"] is not None,
            row["webhook_secret_sealed"],
            row["previous_webhook_secret_sealed"],
        )
        for row in rows
    }


async def postings_of(
    tx: Transaction, deliveries: Sequence[Delivery], integrations: Mapping[str, Recipient]
) -> dict[tuple[str, str], Posting]:
    accepted = [
        delivery
        for delivery in deliveries
        if (recipient := integrations.get(delivery.origin.integration_id)) is not None and recipient.admits(delivery)
    ]
    known = await _lock_known(tx, accepted) if accepted else {}
    waited = await _take_from_quarantine(tx, accepted)
    postings: dict[tuple[str, str], Posting] = {}
    for delivery in accepted:
        posting = postings.get(key_of(delivery))
        if posting is None:
            found = known.get(key_of(delivery))
            own_id = delivery.quarantined_id if delivery.quarantined_id in waited else new_id(Prefix.WEBHOOK_EVENT)
            posting = Posting(delivery, found, webhook_event_id=found.id if found else own_id)
            postings[key_of(delivery)] = posting
        elif delivery.again:
            posting.delivery = replace(posting.delivery, again=True)
        if delivery.quarantined_id is None or delivery.quarantined_id in waited:
            posting.posts += delivery.posts
        recipient = integrations[delivery.origin.integration_id]  # its secrets may have been replaced meanwhile
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


async def _lock_known(tx: Transaction, deliveries: Sequence[Delivery]) -> dict[tuple[str, str], Known]:
    of_these, ids = any_of(
        tx.dialect, "integration_id", 1, sorted({delivery.origin.integration_id for delivery in deliveries})
    )
    keyed, keys = any_of(tx.dialect, "delivery_key", 2, sorted({delivery.key for delivery in deliveries}))
    query = (
        "SELECT id, integration_id, delivery_key, status, deliveries, attempts, retry_at FROM webhook_events"  # noqa: S608
        f" WHERE {of_these} AND {keyed}"
    )
    rows = await tx.fetch(tx.for_update(query, by="id"), ids, keys)
    return {
        (row["integration_id"], row["delivery_key"]): Known(
            row["id"],
            WebhookEventStatus(row["status"]),
            row["deliveries"],
            row["attempts"],
            row["status"] == WebhookEventStatus.IGNORED and row["retry_at"] is not None,
        )
        for row in rows
    }


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
