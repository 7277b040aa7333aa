"""Payments and attempts at them: the table, the part that events change, and the conversion between both."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson
from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from database.transaction import Row
from models.columns import Columns
from models.instant import InstantField, from_row
from models.kinds import Allocation, PaymentStatus
from models.money_back import Dispute, Refund, Refunds, disputes_in, disputes_json, foremost
from models.payment_fact import Presentment

TO_APPLY: Final = "allocation = 'UNAPPLIED' AND status = 'SUCCEEDED' AND amount_refunded < amount"
"""The condition of the index of received money that fits no invoice."""

OVERPAID: Final = "overpaid > amount_refunded"
"""The condition of the index of received money that exceeds its invoice."""

DISPUTED: Final = "dispute_opened_at IS NOT NULL AND dispute_closed_at IS NULL"
"""The condition of the index of payments with an undecided dispute."""

UNSETTLED: Final = "status IN ('PENDING', 'FAILED')"
"""The condition of the index of pending payments and failed attempts."""


class Payment(Model):
    """A payment as Stripe knows it. Amounts are minor units of `currency`.

    `occurred_at` is by Stripe's clock. `decided_by` is the `PaymentFact.order` of the event that decided the status,
    and empty while only a charge proves the payment; `refund_decided_by` and `dispute_decided_by` are the same for
    refunds and disputes. `failed_refunds` and `disputes` are JSON of each one; `dispute_*` are the dispute to show.
    `presentment_amount` is minor units of `presentment_currency`. `amount_received` is the part that has come in so far
    of a payment in parts.

    `order_id` is the Stripe invoice that it pays, perhaps together with other payments. `is_whole`: it stands for all
    payments of that Stripe invoice that aren't known yet, and has the amount that the known ones leave.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    integration_id = fields.CharField(max_length=64)
    provider_payment_id = fields.TextField()
    invoice_id = fields.CharField(max_length=64, null=True)
    customer_id = fields.CharField(max_length=64, null=True)
    status = fields.CharEnumField(PaymentStatus, max_length=16)
    amount = fields.BigIntField()
    currency = fields.CharField(max_length=3)
    amount_refunded = fields.BigIntField(default=0)
    overpaid = fields.BigIntField(default=0)
    allocation = fields.CharEnumField(Allocation, max_length=16)
    unapplied_code = fields.CharField(max_length=4096, null=True)
    failure_code = fields.CharField(max_length=4096, null=True)
    failure_message = fields.CharField(max_length=4096, null=True)
    decided_by = fields.TextField()
    refund_decided_by = fields.CharField(max_length=4096, null=True)
    failed_refunds = fields.TextField(null=True)
    dispute_decided_by = fields.CharField(max_length=4096, null=True)
    dispute_status = fields.CharField(max_length=4096, null=True)
    dispute_reason = fields.CharField(max_length=4096, null=True)
    dispute_amount = fields.BigIntField(null=True)
    dispute_opened_at = InstantField(null=True)
    dispute_closed_at = InstantField(null=True)
    disputes = fields.TextField(null=True)
    presentment_amount = fields.BigIntField(null=True)
    presentment_currency = fields.CharField(max_length=3, null=True)
    amount_received = fields.BigIntField(null=True)
    order_id = fields.CharField(max_length=4096, null=True)
    is_whole = fields.BooleanField(default=False)
    occurred_at = InstantField()
    created_at = InstantField()

    class Meta:
        table = "payments"
        manager = WorkspaceManager()


class PaymentState(NamedTuple):
    """A payment, in minor units; `provider_ids` are all its known names.

    `amount_received` is the part that has come in so far, if the payment comes in parts and isn't complete. `order_id`
    is the Stripe invoice that it pays, perhaps together with other payments. `is_whole`: it stands for all payments of
    that Stripe invoice that aren't known yet, and has the amount that the known ones leave.
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
        """Compute the refunded amount, at most the payment's own."""
        return min(self.refunds.amount, self.amount)

    @property
    def dispute(self) -> Dispute | None:
        """Choose the dispute to show."""
        return foremost(self.disputes) if self.disputes else None

    @property
    def counts(self) -> bool:
        """Whether the payment is part of its invoice's amount paid."""
        return self.status is PaymentStatus.SUCCEEDED and self.allocation is Allocation.APPLIED


def _refunds_json(payment: PaymentState) -> str | None:
    """Write refunds as JSON; None if the refunded amount says it all."""
    refunds = payment.refunds
    if not refunds.each and refunds.total == payment.amount_refunded:
        return None
    return orjson.dumps({"told": refunds.total, "each": [list(refund) for refund in refunds.each]}).decode()


ORIGIN: Final = ("workspace_id", "integration_id", "created_at")
"""The columns that are set when a payment is created; no event changes them."""

PAYMENT: Final = Columns[PaymentState](
    Payment,
    [name for name in Payment._meta.fields_map if name not in ORIGIN],
    amount_refunded=attrgetter("amount_refunded"),
    refund_decided_by=lambda payment: payment.refunds.decided_by,
    failed_refunds=_refunds_json,
    disputes=lambda payment: disputes_json(payment.disputes),
    presentment_amount=lambda payment: payment.presentment and payment.presentment.amount,
    presentment_currency=lambda payment: payment.presentment and payment.presentment.currency,
    dispute_decided_by=lambda payment: payment.dispute and payment.dispute.decided_by,
    dispute_status=lambda payment: payment.dispute and payment.dispute.status,
    dispute_reason=lambda payment: payment.dispute and payment.dispute.reason,
    dispute_amount=lambda payment: payment.dispute and payment.dispute.amount,
    dispute_opened_at=lambda payment: payment.dispute and payment.dispute.opened_at,
    dispute_closed_at=lambda payment: payment.dispute and payment.dispute.closed_at,
)


def payment_of(row: Row, provider_ids: frozenset[str]) -> PaymentState:
    """Read a row with PAYMENT's columns, and all names of the payment."""
    return PaymentState(
        **PAYMENT.read(row),
        provider_ids=provider_ids,
        refunds=_refunds(row),
        disputes=_disputes(row.__getitem__),
        presentment=_presentment(row),
    )


def _refunds(row: Row) -> Refunds:
    if row["failed_refunds"] is None:
        return Refunds(row["amount_refunded"], row["refund_decided_by"])
    stored = orjson.loads(row["failed_refunds"])
    failed = [Refund(id_, amount, 0, is_gone=True, order=order) for order, id_, amount in stored.get("failed", ())]
    each = [Refund(*refund) for refund in stored.get("each", ())]
    return Refunds(stored["told"], row["refund_decided_by"], tuple(sorted([*failed, *each])))


def disputes_of(payment: Payment) -> tuple[Dispute, ...]:
    """Read the disputes of a payment."""
    return _disputes(partial(getattr, payment))


def _disputes(column: Callable[[str], Any]) -> tuple[Dispute, ...]:
    """Read the disputes of a row; an old row has a single one, in columns instead of JSON."""
    if column("disputes") is not None:
        return disputes_in(column("disputes"))
    if column("dispute_status") is None or column("dispute_opened_at") is None:
        return ()
    closed_at = column("dispute_closed_at")
    return (
        Dispute(
            decided_by=column("dispute_decided_by") or "",
            status=column("dispute_status"),
            reason=column("dispute_reason") or "general",
            amount=column("dispute_amount") or 0,
            opened_at=from_row(column("dispute_opened_at")),
            closed_at=None if closed_at is None else from_row(closed_at),
        ),
    )


def _presentment(row: Row) -> Presentment | None:
    if row["presentment_amount"] is None:
        return None
    return Presentment(row["presentment_amount"], row["presentment_currency"])
