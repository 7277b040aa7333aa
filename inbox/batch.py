"""One batch of deliveries, from reading what is known of them to logging what they did, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from database.bulk import any_of, insert_rows, update_rows
from database.door import Transaction
from gateways.registry import GATEWAY
from inbox.books import Books
from inbox.delivery import Delivery, Receipt
from models.event import STRIPE, Happening, append
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import EventType, PaymentLinkStatus, WebhookEventStatus
from models.payment_fact import PaymentFact
from models.settlement import Verdict

_FINISHED: Final = frozenset({WebhookEventStatus.PROCESSED, WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})
_LOOKED_AT_AGAIN: Final = frozenset({WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})
_PAYMENT_UNKNOWN: Final = "PAYMENT_UNKNOWN"
UNREADABLE: Final = "UNREADABLE_PAYLOAD"
_PAYMENT_AWAITED: Final = timedelta(days=3)
_FEWEST_TRIES: Final = 5
_UNREAD: Final = (WebhookEventStatus.UNAPPLIED, UNREADABLE)
_FIRST_RETRY: Final = timedelta(seconds=10)
_LAST_RETRY: Final = timedelta(hours=1)


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
        """Whether there is nothing more to decide."""
        return self.status in _FINISHED and not self.awaits_payment


@dataclass(slots=True)
class Posting:
    """A webhook event of the batch: its first delivery, how often it was posted, and what becomes of it."""

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
    settled: bool = False
    invoice_id: str | None = None
    customer_id: str | None = None
    payment_id: str | None = None
    retry_at: datetime | None = None
    happenings: list[Happening] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Door:
    """An integration that deliveries came to, with its sealed webhook secrets as they are stored now."""

    is_active: bool
    is_disconnected: bool
    secret: str | None = field(repr=False)
    previous_secret: str | None = field(repr=False)

    def admits(self, delivery: Delivery) -> bool:
        """Whether it still takes a delivery: once disconnected only what it had taken before."""
        return delivery.again or not self.is_disconnected

    def applies(self, delivery: Delivery) -> bool:
        """Whether a delivery is applied, not only kept."""
        return self.is_active or (delivery.again and self.is_disconnected)


async def post(tx: Transaction, deliveries: Sequence[Delivery]) -> tuple[list[Receipt], Mapping[str, int], bool]:
    """Settle deliveries in the order given. Answers a receipt for each, the newest number of each workspace's log,
    and whether payment links are due at Stripe now.
    """
    now = utc_now()
    integrations = await _lock_integrations(tx, {delivery.origin.integration_id for delivery in deliveries})
    postings = await _postings(tx, deliveries, integrations)
    settling = [posting for posting in postings.values() if _is_due(posting, integrations)]
    books = Books(tx, now)
    await books.load([(p.delivery.origin, p.delivery.event) for p in settling if p.delivery.event is not None])
    links_changed = False
    for posting in settling:
        links_changed |= _settle(posting, books, now, integrations)
    for posting in settling:
        _follow(posting, books)
    await books.write()
    await _write(tx, list(postings.values()), now)
    newest = await append(tx, [entry for posting in postings.values() for entry in posting.happenings])
    return [_receipt(postings.get(_key(delivery))) for delivery in deliveries], newest, links_changed


async def post_failure(tx: Transaction, delivery: Delivery, reference: str) -> tuple[Receipt, Mapping[str, int]]:
    """Keep a delivery that could not be applied, to be tried again; unless it was applied by another meanwhile."""
    now = utc_now()
    integrations = await _lock_integrations(tx, {delivery.origin.integration_id})
    postings = await _postings(tx, [delivery], integrations)
    for posting in postings.values():
        if posting.known is None or not posting.known.is_finished:
            _conclude(posting, WebhookEventStatus.FAILED, "INTERNAL_ERROR", reference)
            posting.settled = True
            posting.retry_at = now + _pause(posting)
            _log_webhook_event(posting, now)
    await _write(tx, list(postings.values()), now)
    newest = await append(tx, [entry for posting in postings.values() for entry in posting.happenings])
    return _receipt(postings.get(_key(delivery))), newest


# --- Reading ---------------------------------------------------------------------------------------------------


async def _lock_integrations(tx: Transaction, ids: set[str]) -> dict[str, Door]:
    among, values = any_of(tx.dialect, "id", 1, sorted(ids))
    query = (
        "SELECT id, is_active, disconnected_at, webhook_secret_sealed, previous_webhook_secret_sealed"  # noqa: S608
        f" FROM integrations WHERE {among} ORDER BY id"
    )
    rows = await tx.fetch(tx.for_share(query), values)
    return {
        row["id"]: Door(
            bool(row["is_active"]),
            row["disconnected_at"] is not None,
            row["webhook_secret_sealed"],
            row["previous_webhook_secret_sealed"],
        )
        for row in rows
    }


async def _postings(
    tx: Transaction, deliveries: Sequence[Delivery], integrations: Mapping[str, Door]
) -> dict[tuple[str, str], Posting]:
    accepted = [
        delivery
        for delivery in deliveries
        if (door := integrations.get(delivery.origin.integration_id)) is not None and door.admits(delivery)
    ]
    known = await _lock_known(tx, accepted) if accepted else {}
    waited = await _take_from_quarantine(tx, accepted)
    postings: dict[tuple[str, str], Posting] = {}
    for delivery in accepted:
        posting = postings.get(_key(delivery))
        if posting is None:
            found = known.get(_key(delivery))
            own_id = delivery.quarantined_id if delivery.quarantined_id in waited else new_id(Prefix.WEBHOOK_EVENT)
            posting = Posting(delivery, found, webhook_event_id=found.id if found else own_id)
            postings[_key(delivery)] = posting
        elif delivery.again:
            posting.delivery = replace(posting.delivery, again=True)
        if delivery.quarantined_id is None or delivery.quarantined_id in waited:
            posting.posts += delivery.posts
        door = integrations[delivery.origin.integration_id]  # what verified it may have been replaced meanwhile
        posting.signed_with_current |= bool(delivery.posts) and door.secret in delivery.signed_by
        posting.signed_with_previous |= bool(delivery.posts) and door.previous_secret in delivery.signed_by
        posting.is_outdated |= delivery.judged_by not in {(), (door.secret, door.previous_secret)}
    return postings


async def _take_from_quarantine(tx: Transaction, deliveries: Sequence[Delivery]) -> set[str]:
    """Remove the rows in which these deliveries waited; the ids of those that nobody had removed yet."""
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
        f" WHERE {of_these} AND {keyed} ORDER BY id"
    )
    rows = await tx.fetch(tx.for_update(query), ids, keys)
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


def _key(delivery: Delivery) -> tuple[str, str]:
    return delivery.origin.integration_id, delivery.key


def _is_due(posting: Posting, integrations: Mapping[str, Door]) -> bool:
    """Whether there is anything to decide: a finished event only when it is asked for again."""
    if posting.known is None:
        return True
    if posting.known.is_finished:
        return posting.delivery.again and posting.known.status in _LOOKED_AT_AGAIN
    held = posting.known.status is WebhookEventStatus.HELD
    return not held or integrations[posting.delivery.origin.integration_id].applies(posting.delivery)


# --- Settling --------------------------------------------------------------------------------------------------


def _settle(posting: Posting, books: Books, now: datetime, integrations: Mapping[str, Door]) -> bool:
    delivery = posting.delivery
    if delivery.unreadable is not None and delivery.unreadable.is_money:
        _conclude(posting, WebhookEventStatus.UNAPPLIED, UNREADABLE, str(delivery.unreadable))
    elif delivery.event is None:
        _conclude(posting, WebhookEventStatus.IGNORED, UNREADABLE, str(delivery.unreadable))
    elif not integrations[delivery.origin.integration_id].applies(delivery):
        _conclude(posting, WebhookEventStatus.HELD, "INTEGRATION_INACTIVE")
        _log_webhook_event(posting, now)
        return False
    posting.settled = True
    if delivery.event is None:
        _log_webhook_event(posting, now)
        return False
    settled = books.settle(delivery.origin, delivery.event)
    case, verdict = max(settled, key=lambda part: _WEIGHT[part[1].status])
    _conclude(posting, verdict.status, verdict.code)
    if verdict.code == _PAYMENT_UNKNOWN and _is_awaited(posting, now):
        posting.retry_at = now + _pause(posting)
    payment = books.payments.get((delivery.origin.workspace_id, verdict.payment_id or ""))
    posting.payment_id = verdict.payment_id
    posting.invoice_id = case.invoice.id if case.invoice else None
    posting.customer_id = (
        case.invoice.customer_id if case.invoice else (payment.customer_id if payment else case.customer_id)
    )
    _log_webhook_event(posting, now)
    for _, each in settled:
        posting.happenings += _happenings(posting, each, now)
    return any(link.status is not PaymentLinkStatus.COMPLETED for _, each in settled for link in each.links)


_WEIGHT: Final = {
    WebhookEventStatus.IGNORED: 0,
    WebhookEventStatus.PROCESSED: 1,
    WebhookEventStatus.UNAPPLIED: 2,
}
"""Of an event of several payments the one that a person has to look at says what became of it."""


def _is_awaited(posting: Posting, now: datetime) -> bool:
    """Whether the payment may yet come; what was kept for days may be let in a moment before its payment is."""
    return now - posting.delivery.received_at < _PAYMENT_AWAITED or _tries(posting) < _FEWEST_TRIES


def _pause(posting: Posting) -> timedelta:
    """How long after this try the next one is made."""
    return min(_LAST_RETRY, _FIRST_RETRY * int(2 ** min(_tries(posting), 10)))


def _tries(posting: Posting) -> int:
    return posting.known.attempts if posting.known else 0


def _follow(posting: Posting, books: Books) -> None:
    """Point at what the payment turned out to be later in the batch: it itself is not written any more."""
    posting.payment_id = books.surviving(posting.payment_id)
    posting.happenings = [
        entry if surviving == entry.payment_id else entry._replace(payment_id=surviving)
        for entry in posting.happenings
        for surviving in (books.surviving(entry.payment_id),)
    ]


def _conclude(posting: Posting, status: WebhookEventStatus, code: str | None, detail: str | None = None) -> None:
    posting.status, posting.reason_code, posting.reason_detail = status, code, detail


def _log_webhook_event(posting: Posting, now: datetime) -> None:
    first = posting.known is None
    posting.happenings.append(
        _happening(posting, EventType.WEBHOOK_EVENT_RECEIVED if first else EventType.WEBHOOK_EVENT_UPDATED, now)
    )


def _happenings(posting: Posting, verdict: Verdict, now: datetime) -> list[Happening]:
    return [
        _happening(posting, type_, now, previous_status=previous, status=status)._replace(payment_id=verdict.payment_id)
        for type_, previous, status in verdict.log
    ]


def _happening(posting: Posting, type_: EventType, now: datetime, **statuses: Any) -> Happening:
    origin = posting.delivery.origin
    return Happening(
        type=type_,
        workspace_id=origin.workspace_id,
        actor=STRIPE,
        occurred_at=now,
        invoice_id=posting.invoice_id,
        payment_id=posting.payment_id,
        customer_id=posting.customer_id,
        integration_id=origin.integration_id,
        webhook_event_id=posting.webhook_event_id,
        **statuses,
    )


# --- Writing ---------------------------------------------------------------------------------------------------

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


async def _write(tx: Transaction, postings: Sequence[Posting], now: datetime) -> None:
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


def _receipt(posting: Posting | None) -> Receipt:
    if posting is None:
        return Receipt()
    before = posting.known.status if posting.known else None
    if before is None and posting.delivery.quarantined_id == posting.webhook_event_id:
        before = WebhookEventStatus.QUARANTINED
    happenings = tuple(posting.happenings)
    return Receipt(posting.webhook_event_id, posting.status or before, before, happenings, posting.is_outdated)
