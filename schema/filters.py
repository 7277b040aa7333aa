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
from schema import fields
from schema.enums import OrderDirection


@strawberry.input(description="Which invoices to select; all conditions must hold.")
class InvoiceFilter:
    ids: list[strawberry.ID] | None = fields.optional("With one of these ids, at most 100.")
    search: str | None = fields.optional(
        "Whose number or memo contains this text, or whose customer's name, email or external id does (of the"
        " newest 50 such customers). Upper and lower case are the same; on SQLite only for A to Z. A text of"
        " one or two characters is searched for among the newest 10,000 invoices and customers only."
    )
    number: str | None = fields.optional("With exactly this number.")
    status: list[InvoiceStatus] | None = fields.optional("In one of these states.")
    customer_id: strawberry.ID | None = fields.optional("Of this customer.")
    customer_ids: list[strawberry.ID] | None = fields.optional("Of one of these customers, at most 50.")
    integration_id: strawberry.ID | None = fields.optional("Whose Payment Links are made with this integration.")
    currency: str | None = fields.optional("In this currency, ISO 4217.")
    total_min: Decimal | None = fields.optional(
        "With this total or more, in the major unit of `currency`, which must be given."
    )
    total_max: Decimal | None = fields.optional(
        "With this total or less, in the major unit of `currency`, which must be given."
    )
    partially_paid: bool | None = fields.optional(
        "true: only those that are OPEN or UNCOLLECTIBLE and partly paid; false: only the others."
    )
    payment_link_failed: bool | None = fields.optional(
        "true: only those whose Payment Link Stripe did not make (`paymentLink.problem` says why); false:"
        " only the others."
    )
    created_after: datetime | None = fields.optional("Created after this instant.")
    created_before: datetime | None = fields.optional("Created before this instant.")
    finalized_after: datetime | None = fields.optional("Finalized after this instant.")
    finalized_before: datetime | None = fields.optional("Finalized before this instant.")
    paid_after: datetime | None = fields.optional("That became PAID after this instant.")
    paid_before: datetime | None = fields.optional("That became PAID before this instant.")
    due_after: date | None = fields.optional("Due after this day.")
    due_before: date | None = fields.optional("Due before this day.")
    overdue: bool | None = fields.optional(
        "true: only those that are OPEN past their due date; false: only the others."
    )


@strawberry.input(description="Which webhook events to select; all conditions must hold.")
class WebhookEventFilter:
    search: str | None = fields.optional(
        "With this Stripe event id, about the invoice with this id or number, or with a type that begins with"
        " this text."
    )
    integration_id: strawberry.ID | None = fields.optional("Sent to this integration.")
    status: list[WebhookEventStatus] | None = fields.optional("With one of these statuses.")
    type: list[str] | None = fields.optional('Of one of Stripe\'s types, like "payment_intent.succeeded".')
    invoice_id: strawberry.ID | None = fields.optional("About this invoice.")
    reason_code: str | None = fields.optional("Not PROCESSED for this reason: the `code` of its `reason`.")
    received_after: datetime | None = fields.optional("First received after this instant.")
    received_before: datetime | None = fields.optional("First received before this instant.")


@strawberry.input(description="Which payments to select; all conditions must hold.")
class PaymentFilter:
    status: list[PaymentStatus] | None = fields.optional("In one of these states.")
    allocation: Allocation | None = fields.optional("Only those that count for an invoice, or only those that don't.")
    invoice_id: strawberry.ID | None = fields.optional("For this invoice.")
    customer_id: strawberry.ID | None = fields.optional("Of this customer.")
    integration_id: strawberry.ID | None = fields.optional("That came in through this integration.")
    currency: str | None = fields.optional("In this currency, ISO 4217.")
    occurred_after: datetime | None = fields.optional("That happened after this instant, by Stripe's clock.")
    occurred_before: datetime | None = fields.optional("That happened before this instant, by Stripe's clock.")
    to_apply: bool | None = fields.optional(
        "true: only those that fit no invoice and were not refunded in full, for `applyPayment`; false: only the"
        " others."
    )
    overpaid: bool | None = fields.optional(
        "true: only those whose excess over the invoice was not refunded in full; false: only the others."
    )
    disputed: bool | None = fields.optional("true: only those whose dispute is not decided; false: only the others.")


@strawberry.input(description="Which events to select; all conditions must hold.")
class EventFilter:
    type: list[EventType] | None = fields.optional("Of one of these types.")
    invoice_id: strawberry.ID | None = fields.optional("About this invoice.")
    customer_id: strawberry.ID | None = fields.optional("About this customer.")
    integration_id: strawberry.ID | None = fields.optional("About this integration.")
    actor: str | None = fields.optional('Done by this actor: the id of an API key, "stripe" or "system".')
    occurred_after: datetime | None = fields.optional("That happened after this instant.")
    occurred_before: datetime | None = fields.optional("That happened before this instant.")


# --- Orders ----------------------------------------------------------------------------------------------------


@strawberry.input(description="The order of invoices.")
class InvoiceOrder:
    field: InvoiceOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction.")


@strawberry.input(description="The order of payments.")
class PaymentOrder:
    field: PaymentOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction.")


@strawberry.input(description="The order of customers.")
class CustomerOrder:
    field: CustomerOrderField = strawberry.field(description="The field to order by.")
    direction: OrderDirection = strawberry.field(description="The direction.")
