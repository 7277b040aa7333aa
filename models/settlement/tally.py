"""Adds up an invoice's payments, in the order of Stripe's clock; everything derived is computed from all of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from models.amounts import amount_overpaid
from models.invoice import InvoiceState, MarkedPaid, may_become
from models.kinds import InvoiceStatus
from models.payment import PaymentState
from models.settlement.case import Ledger
from models.settlement.links import links_after


def recounted(ledger: Ledger, new_link_id: str, *, used_link: str | None = None) -> Ledger:
    """Compute the derived values again: the invoice's, its payments' and its links'. The payments are put in order.

    `used_link` is Stripe's id of the link that was paid.
    """
    payments = sorted(ledger.payments, key=lambda payment: (payment.occurred_at, payment.provider_payment_id))
    if ledger.invoice is None:
        return Ledger(None, payments, ())
    tally = _Tally(ledger.invoice)
    for entry in _by_time(payments, ledger.invoice.marked_paid):
        if isinstance(entry, MarkedPaid):
            tally.mark(entry)
        else:
            tally.add(entry)
    invoice = tally.invoice_after(payments)
    links = links_after(ledger.links, invoice, tally.payments, new_link_id, used=used_link)
    return Ledger(invoice, tally.payments, links)


def _by_time(payments: Sequence[PaymentState], marked: Sequence[MarkedPaid]) -> Sequence[PaymentState | MarkedPaid]:
    """Order payments and marks by Stripe's clock; in the same second, payments first."""
    together: list[PaymentState | MarkedPaid] = [*payments, *marked]
    return sorted(together, key=lambda entry: entry.at if isinstance(entry, MarkedPaid) else entry.occurred_at)


class _Tally:
    """Adds up an invoice's payments and marks, one by one.

    A mark (as paid, in Stripe) fills what is lacking at its time; money that comes later is overpaid.
    """

    def __init__(self, invoice: InvoiceState) -> None:
        self._invoice = invoice
        self._by_hand = invoice.amount_paid_out_of_band - sum(mark.applied for mark in invoice.marked_paid)
        self._due = max(0, invoice.total - self._by_hand)
        self._received = 0
        self._covered_at = invoice.paid_at
        self._marked: list[MarkedPaid] = []
        self.payments: list[PaymentState] = []

    def mark(self, mark: MarkedPaid) -> None:
        """Count what was marked as paid in Stripe."""
        applied = min(mark.amount, max(0, self._due - self._received))
        self._marked.append(mark._replace(applied=applied))
        self._receive(applied, mark.at)

    def add(self, payment: PaymentState) -> None:
        """Add a payment, with its overpaid amount; one of this invoice that doesn't count has none."""
        if payment.invoice_id not in {None, self._invoice.id}:
            self.payments.append(payment)
        elif not self._counts(payment):
            self.payments.append(payment._replace(overpaid=0))
        else:
            before = amount_overpaid(self._due, self._received)
            self._receive(payment.amount, payment.occurred_at)
            self.payments.append(payment._replace(overpaid=amount_overpaid(self._due, self._received) - before))

    def invoice_after(self, payments: Iterable[PaymentState]) -> InvoiceState:
        """Return the invoice with these sums."""
        counted = [payment for payment in self.payments if self._counts(payment)]
        applied = sum(mark.applied for mark in self._marked)
        is_paid = self._received >= self._due and may_become(self._invoice.status, InvoiceStatus.PAID)
        status = InvoiceStatus.PAID if is_paid else self._invoice.status
        return self._invoice._replace(
            status=status,
            amount_paid=sum(payment.amount for payment in counted),
            amount_refunded=sum(payment.amount_refunded for payment in counted),
            amount_paid_out_of_band=self._by_hand + applied,
            marked_paid=tuple(sorted(self._marked)),
            paid_at=self._paid_at(payments) if status is InvoiceStatus.PAID else self._invoice.paid_at,
        )

    def _receive(self, amount: int, at: datetime) -> None:
        is_covered = self._received >= self._due
        self._received += amount
        if not is_covered and self._received >= self._due and self._by_hand == 0:
            self._covered_at = at

    def _counts(self, payment: PaymentState) -> bool:
        return payment.counts and payment.invoice_id == self._invoice.id

    def _paid_at(self, payments: Iterable[PaymentState]) -> datetime:
        return self._covered_at or max(payment.occurred_at for payment in payments)
