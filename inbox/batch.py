"""Processes one batch of deliveries in one transaction, from loading the books to writing the log."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from database.transaction import Transaction
from inbox.books import Books
from inbox.delivery import Delivery, Receipt
from inbox.loading import Loader
from inbox.outcomes import write_postings
from inbox.postings import Posting, Recipient, is_due, key_of, lock_stored, postings_of
from inbox.writing import write_books
from models.event import STRIPE, Happening, append
from models.instant import utc_now
from models.kinds import EventType, PaymentLinkStatus, WebhookEventStatus
from models.reason import Reason
from models.settlement import Case, Verdict, why_empty

_PAYMENT_AWAITED: Final = timedelta(days=3)
_MIN_TRIES: Final = 5
_FIRST_RETRY: Final = timedelta(seconds=10)
_LAST_RETRY: Final = timedelta(hours=1)


class Posted(NamedTuple):
    """The result of a batch.

    There is a receipt for each delivery; `newest` is the number of each workspace's newest log line; `are_links_due`
    says whether the link maker has work now.
    """

    receipts: list[Receipt]
    newest: Mapping[str, int]
    are_links_due: bool


async def post(tx: Transaction, deliveries: Sequence[Delivery]) -> Posted:
    """Settle deliveries in the order given, in one transaction: load, settle, write."""
    now = utc_now()
    stored = await lock_stored(tx, deliveries)
    integrations = stored.integrations
    postings = await postings_of(tx, deliveries, stored)
    settling = [posting for posting in postings.values() if is_due(posting, integrations)]
    books = Books()
    await Loader(tx, books).load(
        [(p.delivery.origin, p.delivery.event) for p in settling if p.delivery.event is not None]
    )
    are_links_due = False
    for posting in settling:
        are_links_due |= _settle(posting, books, now, integrations)
    for posting in settling:
        _follow(posting, books)
    await write_books(tx, books, now)
    await write_postings(tx, list(postings.values()), now)
    newest = await append(tx, [entry for posting in postings.values() for entry in posting.happenings])
    return Posted([_receipt(postings.get(key_of(delivery))) for delivery in deliveries], newest, are_links_due)


async def post_failure(tx: Transaction, delivery: Delivery, reference: str) -> tuple[Receipt, Mapping[str, int]]:
    """Store a delivery that could not be applied, for another try; if it was applied meanwhile, change nothing."""
    now = utc_now()
    postings = await postings_of(tx, [delivery], await lock_stored(tx, [delivery]))
    for posting in postings.values():
        if posting.known is None or not posting.known.is_finished:
            _conclude(posting, WebhookEventStatus.FAILED, Reason.INTERNAL_ERROR, reference)
            posting.is_tried = True
            posting.retry_at = now + _pause(posting)
            _log_webhook_event(posting, now)
    await write_postings(tx, list(postings.values()), now)
    newest = await append(tx, [entry for posting in postings.values() for entry in posting.happenings])
    return _receipt(postings.get(key_of(delivery))), newest


# --- Settling --------------------------------------------------------------------------------------------------


def _settle(posting: Posting, books: Books, now: datetime, integrations: Mapping[str, Recipient]) -> bool:
    delivery = posting.delivery
    if delivery.unreadable is not None and delivery.unreadable.is_money:
        _conclude(posting, WebhookEventStatus.UNAPPLIED, Reason.UNREADABLE_PAYLOAD, str(delivery.unreadable))
    elif delivery.event is None:
        _conclude(posting, WebhookEventStatus.IGNORED, Reason.UNREADABLE_PAYLOAD, str(delivery.unreadable))
    elif not integrations[delivery.origin.integration_id].applies(delivery):
        _conclude(posting, WebhookEventStatus.HELD, Reason.INTEGRATION_INACTIVE)
        _log_webhook_event(posting, now)
        return False
    posting.is_tried = True
    if delivery.event is None:
        _log_webhook_event(posting, now)
        return False
    empty = why_empty(delivery.event)
    if empty is not None:  # it concerns no invoice, whatever others of the batch do
        _conclude(posting, WebhookEventStatus.IGNORED, empty)
        _log_webhook_event(posting, now)
        return False
    is_patient = not delivery.again and _tries(posting) == 0
    settled = books.settle(delivery.origin, delivery.event, is_patient=is_patient)
    case, verdict, _ = max(settled, key=lambda part: _WEIGHT[part.verdict.status])
    _conclude(posting, verdict.status, verdict.code)
    is_unclear = verdict.code == Reason.PAYMENT_UNCLEAR
    if is_unclear or (verdict.code == Reason.PAYMENT_UNKNOWN and _is_awaited(posting, now)):
        posting.retry_at = now + _pause(posting)
    posting.payment_id = verdict.payment_id
    posting.invoice_id, posting.customer_id = _whose(case, verdict, books)
    _log_webhook_event(posting, now)
    for part in settled:
        posting.happenings += _happenings(posting, part.verdict, now, *_whose(part.case, part.verdict, books))
        for invoice, counted in part.others:
            posting.happenings += _happenings(posting, counted, now, invoice.id, invoice.customer_id)
    return any(link.status is not PaymentLinkStatus.COMPLETED for part in settled for link in part.links)


_WEIGHT: Final = {
    WebhookEventStatus.IGNORED: 0,
    WebhookEventStatus.PROCESSED: 1,
    WebhookEventStatus.UNAPPLIED: 2,
}
"""An event of several payments gets the status with the greatest weight among them: that needs a person most."""


def _whose(case: Case, verdict: Verdict, books: Books) -> tuple[str | None, str | None]:
    """Return the ids of the invoice and of the customer that a verdict concerns."""
    if case.invoice is not None:
        return case.invoice.id, case.invoice.customer_id
    payment = books.payments.get((case.workspace_id, verdict.payment_id or ""))
    return None, payment.customer_id if payment else case.customer_id


def _is_awaited(posting: Posting, now: datetime) -> bool:
    """Whether the event's payment may still come.

    An event that was held for days gets some tries, too: its payment may be released just after it.
    """
    return now - posting.delivery.received_at < _PAYMENT_AWAITED or _tries(posting) < _MIN_TRIES


def _pause(posting: Posting) -> timedelta:
    """Compute how long to wait before the next try."""
    return min(_LAST_RETRY, _FIRST_RETRY * int(2 ** min(_tries(posting), 10)))


def _tries(posting: Posting) -> int:
    return posting.known.attempts if posting.known else 0


def _follow(posting: Posting, books: Books) -> None:
    """Replace the id of a payment that was merged into another later in the batch: its row no longer exists."""
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
        _happening(
            posting,
            EventType.WEBHOOK_EVENT_RECEIVED if first else EventType.WEBHOOK_EVENT_UPDATED,
            now,
            invoice_id=posting.invoice_id,
            customer_id=posting.customer_id,
            payment_id=posting.payment_id,
        )
    )


def _happenings(
    posting: Posting, verdict: Verdict, now: datetime, invoice_id: str | None, customer_id: str | None
) -> list[Happening]:
    return [
        _happening(
            posting,
            entry.type,
            now,
            invoice_id=invoice_id,
            customer_id=customer_id,
            payment_id=verdict.payment_id,
            previous_status=entry.previous_status,
            status=entry.status,
        )
        for entry in verdict.log
    ]


def _happening(posting: Posting, type_: EventType, now: datetime, **concerned: Any) -> Happening:
    origin = posting.delivery.origin
    return Happening(
        type=type_,
        workspace_id=origin.workspace_id,
        actor=STRIPE,
        occurred_at=now,
        integration_id=origin.integration_id,
        webhook_event_id=posting.webhook_event_id,
        **concerned,
    )


def _receipt(posting: Posting | None) -> Receipt:
    if posting is None:
        return Receipt()
    before = posting.known.status if posting.known else None
    if before is None and posting.delivery.quarantined_id == posting.webhook_event_id:
        before = WebhookEventStatus.QUARANTINED
    happenings = tuple(posting.happenings)
    return Receipt(posting.webhook_event_id, posting.status or before, before, happenings, posting.is_outdated)
