"""Applies unapplied payments by hand."""

from typing import Annotated

import strawberry

from resolvers import payment
from schema.context import Info
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, InvalidTransition, NotFound, result_of
from schema.types.invoice import Invoice
from schema.types.payment import Payment


@strawberry.type(description="The payment counts toward the invoice.")
class ApplyPaymentSuccess:
    payment: Payment = strawberry.field(description="The payment as it is now.")
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


ApplyPaymentResult = Annotated[
    ApplyPaymentSuccess | NotFound | InvalidInput | InvalidTransition | Conflict, result_of("applyPayment")
]


@strawberry.type
class PaymentMutations:
    @mutation(
        description=(
            "Apply an UNAPPLIED payment to an OPEN or UNCOLLECTIBLE invoice in the payment's"
            " currency. The payment's webhook events become PROCESSED. Repeating the mutation changes"
            " nothing. Needs the scope WRITE."
        )
    )
    async def apply_payment(
        self,
        info: Info,
        payment_id: Annotated[strawberry.ID, strawberry.argument(description="The id of the payment.")],
        invoice_id: Annotated[
            strawberry.ID, strawberry.argument(description="The id of the invoice that the payment pays.")
        ],
    ) -> ApplyPaymentResult:
        applied, paid = await payment.apply_payment(info.context, payment_id, invoice_id)
        return ApplyPaymentSuccess(payment=Payment.of(applied), invoice=Invoice.of(paid))
