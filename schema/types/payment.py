"""Payments and disputes."""

from datetime import datetime

import strawberry

from models import money_back
from models import payment as models
from models.ids import Prefix
from models.kinds import Allocation, PaymentStatus
from models.money_back import foremost
from models.payment import disputes_of
from resolvers import payment
from resolvers.payment import PaymentQuery
from schema.context import Info
from schema.node import Node, link
from schema.pages import Connection
from schema.types.diagnosis import Diagnosis
from schema.types.list_totals import PaymentTotals
from schema.types.money import Money


@strawberry.type(description="A customer's objection to a payment, made at the customer's bank.")
class Dispute:
    status: str = strawberry.field(description="The dispute's status at Stripe.")
    reason: str = strawberry.field(description="Stripe's code for why the customer disputes the payment.")
    amount: Money = strawberry.field(description="The disputed amount.")
    opened_at: datetime = strawberry.field(description="When the dispute was opened.")
    closed_at: datetime | None = strawberry.field(
        description="When the dispute was decided. Null while the dispute is open."
    )

    @classmethod
    def of(cls, row: models.Payment) -> "Dispute | None":
        shown = foremost(disputes_of(row))
        return None if shown is None else cls._of(shown, row.currency)

    @classmethod
    def all_of(cls, row: models.Payment) -> "list[Dispute]":
        return [cls._of(each, row.currency) for each in disputes_of(row)]

    @classmethod
    def _of(cls, dispute: money_back.Dispute, currency: str) -> "Dispute":
        return cls(
            status=dispute.status,
            reason=dispute.reason,
            amount=Money.of(dispute.amount, currency),
            opened_at=dispute.opened_at,
            closed_at=dispute.closed_at,
        )


@strawberry.type(description="A payment, or an attempt to pay.")
class Payment(Node, prefix=Prefix.PAYMENT):
    status: PaymentStatus = strawberry.field(description="The payment's status.")
    amount: Money = strawberry.field(description="What was paid, gross of refunds.")
    amount_refunded: Money = strawberry.field(description="The refunded part of `amount`.")
    overpaid: Money = strawberry.field(
        description="The part of `amount` that exceeded what remained to pay on the invoice."
    )
    allocation: Allocation = strawberry.field(description="Whether the payment counts toward its invoice.")
    unapplied_reason: Diagnosis | None = strawberry.field(description="Why the payment counts toward no invoice.")
    provider_payment_id: str = strawberry.field(
        description=(
            "Stripe's id of the payment. This is the payment intent's id (pi_…), or if there is no"
            " payment intent, the id of the charge, the Checkout Session or the Stripe invoice."
        )
    )
    failure_code: str | None = strawberry.field(description="Stripe's code for why the attempt to pay failed.")
    failure_message: str | None = strawberry.field(description="Stripe's sentence for why the attempt to pay failed.")
    presentment: Money | None = strawberry.field(
        description=(
            "The amount that the customer saw in their own currency. Null if Stripe did not convert the price."
        )
    )
    amount_received: Money | None = strawberry.field(
        description="The part of the payment that has come in so far, if the payment is an incomplete bank transfer."
    )
    dispute: Dispute | None = strawberry.field(
        description="The payment's open dispute, or if no dispute is open, the latest dispute."
    )
    disputes: list[Dispute] = strawberry.field(description="All disputes of the payment.")
    occurred_at: datetime = strawberry.field(description="When the payment happened, by Stripe's clock.")
    created_at: datetime = strawberry.field(description="When Fluxrate first recorded the payment.")
    row: strawberry.Private[models.Payment]

    invoice = link(
        Prefix.INVOICE,
        "row.invoice_id",
        (
            "The invoice that the payment was made for or applied to. An UNAPPLIED payment may have"
            " an invoice but does not count toward this invoice."
        ),
    )

    customer = link(Prefix.CUSTOMER, "row.customer_id", "The customer who paid.")

    integration = link(Prefix.INTEGRATION, "row.integration_id", ("The integration through which the payment came in."))

    @classmethod
    def of(cls, row: models.Payment) -> "Payment":
        return cls(
            id=strawberry.ID(row.id),
            status=row.status,
            amount=Money.of(row.amount, row.currency),
            amount_refunded=Money.of(row.amount_refunded, row.currency),
            overpaid=Money.of(row.overpaid, row.currency),
            allocation=row.allocation,
            unapplied_reason=Diagnosis.of_code(row.unapplied_code),
            provider_payment_id=row.provider_payment_id,
            failure_code=row.failure_code,
            failure_message=row.failure_message,
            presentment=_money(row.presentment_amount, row.presentment_currency),
            amount_received=_money(row.amount_received, row.currency),
            dispute=Dispute.of(row),
            disputes=Dispute.all_of(row),
            occurred_at=row.occurred_at,
            created_at=row.created_at,
            row=row,
        )


def _money(amount: int | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money.of(amount, currency)


@strawberry.type(description="A page of payments.")
class PaymentConnection(Connection[Payment]):
    query: strawberry.Private[PaymentQuery]

    @strawberry.field(
        description=("The sums of the whole list, per currency. The sums are added up only if you select this field.")
    )
    async def totals(self, info: Info) -> list[PaymentTotals]:
        return PaymentTotals.all_of(await payment.tally_of(info.context, self.query))
