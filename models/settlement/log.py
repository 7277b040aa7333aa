"""The log entries: the differences between the books before and after."""

from collections.abc import Iterator, Sequence

from models.invoice import COLLECTING, InvoiceState
from models.kinds import Allocation, EventType, PaymentLinkStatus, PaymentStatus
from models.money_back import Refunds
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.payment_link import LinkState
from models.settlement.case import Ledger, LogEntry
from models.settlement.learn import REFUNDS


def log_of_payment(before: PaymentState | None, after: PaymentState) -> Iterator[LogEntry]:
    """Log how a payment's status or allocation changed."""
    happened = _status_event(after) if before is None or before.status is not after.status else _again(before, after)
    if happened is not None:
        yield LogEntry(happened)


def log_of_money_back(event: PaymentFact, before: PaymentState | None, after: PaymentState) -> Iterator[LogEntry]:
    """Log what an event changed about a payment's refunds or disputes."""
    happened = _went_back(event, before, after)
    if happened is not None:
        yield LogEntry(happened)


def log_of_invoice(before: Ledger, after: Ledger) -> Iterator[LogEntry]:
    """Log how the invoice and its links changed."""
    if before.invoice is not None and after.invoice is not None:
        yield from _invoice_entries(before.invoice, after.invoice)
    yield from _link_entries(before.links, after.links)


def _invoice_entries(before: InvoiceState, after: InvoiceState) -> Iterator[LogEntry]:
    if after.status is not before.status:
        yield LogEntry(EventType.INVOICE_PAID, before.status, after.status)
    elif after.received > before.received and after.status in COLLECTING:
        yield LogEntry(EventType.INVOICE_PARTIALLY_PAID, after.status, after.status)


def _link_entries(before: Sequence[LinkState], after: Sequence[LinkState]) -> Iterator[LogEntry]:
    was = {link.id: link.status for link in before}
    for link in after:
        if link.status is PaymentLinkStatus.DEACTIVATED and was.get(link.id) is not link.status:
            yield LogEntry(EventType.PAYMENT_LINK_DEACTIVATED)


def _status_event(payment: PaymentState) -> EventType:
    if payment.status is PaymentStatus.PENDING:
        return EventType.PAYMENT_PENDING
    if payment.status is PaymentStatus.FAILED:
        return EventType.PAYMENT_FAILED
    return EventType.PAYMENT_SUCCEEDED if payment.counts else EventType.PAYMENT_UNAPPLIED


def _again(before: PaymentState, after: PaymentState) -> EventType | None:
    """Find what happened to a payment whose status did not change: it was applied, or another attempt failed."""
    if before.allocation is Allocation.UNAPPLIED and after.counts:
        return EventType.PAYMENT_APPLIED
    is_another_failure = after.status is PaymentStatus.FAILED and before.decided_by != after.decided_by
    return EventType.PAYMENT_FAILED if is_another_failure else None


def _went_back(event: PaymentFact, before: PaymentState | None, after: PaymentState) -> EventType | None:
    refunds = before.refunds if before else Refunds()
    if event.evidence in REFUNDS and after.refunds.gone != refunds.gone:
        return EventType.PAYMENT_REFUND_FAILED
    if event.evidence in REFUNDS and after.amount_refunded != (before.amount_refunded if before else 0):
        return EventType.PAYMENT_REFUNDED
    if after.disputes == (before.disputes if before else ()):
        return None
    is_closed = event.evidence is Evidence.DISPUTE_CLOSED
    return EventType.PAYMENT_DISPUTE_CLOSED if is_closed else EventType.PAYMENT_DISPUTED
