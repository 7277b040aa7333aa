"""What lists and subscriptions can be narrowed to, where everything given must hold, and what they are ordered by."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from models.kinds import (
    Allocation,
    CustomerOrderField,
    EventType,
    InvoiceOrderField,
    InvoiceStatus,
    PaymentOrderField,
    PaymentStatus,
    WebhookEventStatus,
)
from schema.enums import OrderDirection


@strawberry.input(description="Which invoices; everything given must hold.")
class InvoiceFilter:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="With one of these ids, at most 100."
    )
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whose number or memo holds this text, in upper or lower case (on SQLite of A to Z alone),"
        " or which are of a customer whose"
        " name, email or external id holds it: of the newest 50 such customers. A text of one or two characters is"
        " looked for among the newest 10,000 invoices and customers.",
    )
    number: str | None = strawberry.field(default=strawberry.UNSET, description="With this number, to the letter.")
    status: list[InvoiceStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="In one of these states."
    )
    customer_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of this customer.")
    customer_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Of one of these customers, at most 50."
    )
    integration_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whose Payment Links are made with this integration."
    )
    currency: str | None = strawberry.field(default=strawberry.UNSET, description="In this currency, ISO 4217.")
    total_min: Decimal | None = strawberry.field(
        default=strawberry.UNSET,
        description="With this total or more, in the major unit of `currency`, which must be given.",
    )
    total_max: Decimal | None = strawberry.field(
        default=strawberry.UNSET,
        description="With this total or less, in the major unit of `currency`, which must be given.",
    )
    partially_paid: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those that are OPEN or UNCOLLECTIBLE with a part paid already, or only the others.",
    )
    payment_link_failed: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those whose Payment Link Stripe did not make, for which `paymentLink.problem` says why; or"
        " only the others.",
    )
    created_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Created after this instant."
    )
    created_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Created before this instant."
    )
    finalized_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Finalized after this instant."
    )
    finalized_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Finalized before this instant."
    )
    paid_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="PAID, and that after this instant."
    )
    paid_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="PAID, and that before this instant."
    )
    due_after: date | None = strawberry.field(default=strawberry.UNSET, description="Due after this day.")
    due_before: date | None = strawberry.field(default=strawberry.UNSET, description="Due before this day.")
    overdue: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that are OPEN past their due date, or only the others."
    )


@strawberry.input(description="Which webhook events; everything given must hold.")
class WebhookEventFilter:
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="With this Stripe event id, about the invoice with this id or number, or of a type that begins so.",
    )
    integration_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Sent to this integration."
    )
    status: list[WebhookEventStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="With one of these outcomes."
    )
    type: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description='Of one of Stripe\'s types, like "payment_intent.succeeded".'
    )
    invoice_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this invoice.")
    reason_code: str | None = strawberry.field(
        default=strawberry.UNSET, description="Not PROCESSED for this reason: the `code` of its `reason`."
    )
    received_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="First received after this instant."
    )
    received_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="First received before this instant."
    )


@strawberry.input(description="Which payments; everything given must hold.")
class PaymentFilter:
    status: list[PaymentStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="In one of these states."
    )
    allocation: Allocation | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that count for an invoice, or only those that don't."
    )
    invoice_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="For this invoice.")
    customer_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of this customer.")
    integration_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="That came in through this integration."
    )
    currency: str | None = strawberry.field(default=strawberry.UNSET, description="In this currency, ISO 4217.")
    occurred_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="That happened after this instant, by Stripe's clock."
    )
    occurred_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="That happened before this instant, by Stripe's clock."
    )
    to_apply: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those that fit no invoice and were not refunded in full, which `applyPayment` settles; or"
        " none of them.",
    )
    overpaid: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those that exceeded their invoice by more than was refunded of them; or none of them.",
    )
    disputed: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only those whose dispute is not decided; or none of them."
    )


@strawberry.input(description="Which events; everything given must hold.")
class EventFilter:
    type: list[EventType] | None = strawberry.field(default=strawberry.UNSET, description="Of one of these types.")
    invoice_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this invoice.")
    customer_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this customer.")
    integration_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="About this integration."
    )
    actor: str | None = strawberry.field(
        default=strawberry.UNSET, description='Done by this one: the id of an API key, "stripe" or "system".'
    )
    occurred_after: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="That happened after this instant."
    )
    occurred_before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="That happened before this instant."
    )


# --- Orders ----------------------------------------------------------------------------------------------------


@strawberry.input(description="The order of invoices.")
class InvoiceOrder:
    field: InvoiceOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(description="From which end.")


@strawberry.input(description="The order of payments.")
class PaymentOrder:
    field: PaymentOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(description="From which end.")


@strawberry.input(description="The order of customers.")
class CustomerOrder:
    field: CustomerOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(description="From which end.")
