"""Money that came in, or tried to."""

from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.kinds import Allocation, PaymentStatus
from models.money_back import Dispute, disputes_in

TO_APPLY: Final = "allocation = 'UNAPPLIED' AND status = 'SUCCEEDED' AND amount_refunded < amount"
"""The condition of the index of money that is here and fits no invoice."""

OVERPAID: Final = "overpaid > amount_refunded"
"""The condition of the index of money that is here and exceeds its invoice."""

UNSETTLED: Final = "status IN ('PENDING', 'FAILED')"
"""The condition of the index of attempts and of what is under way."""


class Payment(Model):
    """A payment as Stripe knows it. Amounts are minor units of `currency`.

    `occurred_at` is Stripe's clock; `decided_by` orders what is known of it: `PaymentFact.order` of the event that its
    status was taken from (empty while a charge alone told that the money came), as `refund_decided_by` and
    `dispute_decided_by` do for those. `failed_refunds` and `disputes` are JSON of what is known one by one, `dispute_*`
    the dispute that is shown. `presentment_amount` is minor units of `presentment_currency`, `amount_received` what
    came so far of a payment that comes in parts. `order_id` is the Stripe invoice that it pays, perhaps with others;
    `is_whole`: it stands for those that aren't known of that, with what the known ones leave.
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
    dispute_opened_at = fields.DatetimeField(null=True)
    dispute_closed_at = fields.DatetimeField(null=True)
    disputes = fields.TextField(null=True)
    presentment_amount = fields.BigIntField(null=True)
    presentment_currency = fields.CharField(max_length=3, null=True)
    amount_received = fields.BigIntField(null=True)
    order_id = fields.CharField(max_length=4096, null=True)
    is_whole = fields.BooleanField(default=False)
    occurred_at = fields.DatetimeField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "payments"
        manager = WorkspaceManager()


def disputes_of(payment: Payment) -> tuple[Dispute, ...]:
    """The disputes of a payment; one that was stored before they were listed stands in columns alone."""
    if payment.disputes is not None:
        return disputes_in(payment.disputes)
    if payment.dispute_status is None or payment.dispute_opened_at is None:
        return ()
    return (
        Dispute(
            payment.dispute_decided_by or "",
            payment.dispute_status,
            payment.dispute_reason or "general",
            payment.dispute_amount or 0,
            payment.dispute_opened_at,
            payment.dispute_closed_at,
        ),
    )
