"""Where an invoice, its payments and its links stand, as far as events change them. Amounts are minor units."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from models.amounts import amount_remaining
from models.kinds import Allocation, InvoiceStatus, PaymentLinkStatus, PaymentStatus
from models.money_back import Dispute, Refunds, foremost
from models.payment_fact import Presentment


class MarkedPaid(NamedTuple):
    """What was marked in Stripe as paid outside of it, of one Stripe invoice.

    `applied` is what our invoice still lacked of it at that instant.
    """

    order_id: str
    amount: int
    at: datetime
    applied: int = 0


class InvoiceState(NamedTuple):
    """An invoice. Paid out of band is what was marked so by hand, and what was `marked_paid` in Stripe."""

    id: str
    customer_id: str
    integration_id: str | None
    status: InvoiceStatus
    currency: str
    total: int
    amount_paid: int
    amount_paid_out_of_band: int
    amount_refunded: int
    paid_at: datetime | None
    marked_paid: tuple[MarkedPaid, ...] = ()

    @property
    def received(self) -> int:
        """All that came in for it."""
        return self.amount_paid + self.amount_paid_out_of_band

    @property
    def amount_remaining(self) -> int:
        """What is still to pay; never negative."""
        return amount_remaining(self.total, self.received)


class PaymentState(NamedTuple):
    """A payment; `provider_ids` are all its known names.

    `amount_received` is what came so far of one that comes in parts and isn't complete. `order_id` is the Stripe
    invoice that it pays, perhaps with others. `is_whole`: it stands for those of that which aren't known, with what the
    known ones leave.
    """

    id: str
    provider_payment_id: str
    provider_ids: frozenset[str]
    invoice_id: str | None
    customer_id: str | None
    status: PaymentStatus
    amount: int
    currency: str
    refunds: Refunds
    overpaid: int
    allocation: Allocation
    unapplied_code: str | None
    failure_code: str | None
    failure_message: str | None
    decided_by: str
    occurred_at: datetime
    disputes: tuple[Dispute, ...] = ()
    presentment: Presentment | None = None
    amount_received: int | None = None
    order_id: str | None = None
    is_whole: bool = False

    @property
    def amount_refunded(self) -> int:
        """What went back of it; no more than came, whatever was told."""
        return min(self.refunds.amount, self.amount)

    @property
    def dispute(self) -> Dispute | None:
        """The one that it is shown with."""
        return foremost(self.disputes)

    @property
    def counts(self) -> bool:
        """Whether the payment is part of its invoice's amount paid."""
        return self.status is PaymentStatus.SUCCEEDED and self.allocation is Allocation.APPLIED


class LinkState(NamedTuple):
    """A payment link. `stop`: it is still to be made unpayable at Stripe."""

    id: str
    integration_id: str
    status: PaymentLinkStatus
    provider_id: str | None
    amount: int
    stop: bool = False


class Ledger(NamedTuple):
    """An invoice with its payments and links; without an invoice, payments that fit none."""

    invoice: InvoiceState | None
    payments: Sequence[PaymentState]
    links: Sequence[LinkState]
