"""The workspace's history."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import strawberry

from models import event as models
from models.kinds import EventType, InvoiceStatus
from resolvers import event
from resolvers.context import Context
from resolvers.reading.pages import Page, PageRequest, encode_cursor
from schema.context import Info
from schema.node import Node, linked
from schema.pages import Connection, asked
from schema.types.lazy import LazyCustomer, LazyIntegration, LazyInvoice, LazyPayment, LazyWebhookEvent


@strawberry.type(
    description=(
        "One line of the workspace's history: what subscriptions push and timelines list, in the order of commit. Its"
        " own fields are as they were then; linked objects are as they are now."
    )
)
class Event(Node):
    type: EventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    actor: str = strawberry.field(description='Who did it: an API key\'s id, "stripe" or "system".')
    note: str | None = strawberry.field(description="The note given with it.")
    previous_status: InvoiceStatus | None = strawberry.field(description="The state that the invoice was in.")
    status: InvoiceStatus | None = strawberry.field(description="The state that the invoice came to.")
    row: strawberry.Private[models.Event]

    @strawberry.field(description="Its place in the history, for `after` of lists and subscriptions alike.")
    def cursor(self, info: Info) -> str:
        return event.cursor_of(info.context, self.row.number)

    @strawberry.field(description="The invoice that it is about. Null once a draft is deleted.")
    async def invoice(self, info: Info) -> LazyInvoice | None:
        from schema.types.invoice import Invoice

        return await linked(info.context.loaders.invoices, self.row.invoice_id, Invoice.of)

    @strawberry.field(description="The payment that it is about.")
    async def payment(self, info: Info) -> LazyPayment | None:
        from schema.types.payment import Payment

        return await linked(info.context.loaders.payments, self.row.payment_id, Payment.of)

    @strawberry.field(description="The customer that it is about.")
    async def customer(self, info: Info) -> LazyCustomer | None:
        from schema.types.customer import Customer

        return await linked(info.context.loaders.customers, self.row.customer_id, Customer.of)

    @strawberry.field(description="The integration that it is about.")
    async def integration(self, info: Info) -> LazyIntegration | None:
        from schema.types.integration import StripeIntegration

        return await linked(info.context.loaders.integrations, self.row.integration_id, StripeIntegration.of)

    @strawberry.field(description="The webhook event that it is about, or that caused it.")
    async def webhook_event(self, info: Info) -> LazyWebhookEvent | None:
        from schema.types.webhook_event import WebhookEvent

        return await linked(info.context.loaders.webhook_events, self.row.webhook_event_id, WebhookEvent.of)

    @classmethod
    def of(cls, row: models.Event) -> "Event":
        return cls(
            id=strawberry.ID(row.id),
            type=row.type,
            occurred_at=row.occurred_at,
            actor=row.actor,
            note=row.note,
            previous_status=row.previous_status,
            status=row.status,
            row=row,
        )


@strawberry.type(description="A page of events.")
class EventConnection(Connection[Event]):
    @classmethod
    def of_events(cls, ctx: Context, found: Page[Any]) -> "EventConnection":
        """A page whose cursors are those of the subscriptions."""
        return cls.of(replace(found, cursor_of=lambda place: event.cursor_of(ctx, found.rows[place].number)), Event.of)


def asked_events(
    ctx: Context, first: int | None, after: str | None, last: int | None, before: str | None
) -> PageRequest:
    """Which page the arguments ask for, given cursors of the subscriptions.

    Raises:
        InvalidCursor: A cursor is not one that this workspace has given out.
    """

    def place(cursor: str | None) -> str | None:
        return None if cursor is None else encode_cursor(event.number_of(ctx, cursor))

    request = asked(first, after, last, before)
    return replace(request, after=place(request.after), before=place(request.before))
