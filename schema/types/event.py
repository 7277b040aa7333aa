"""Events: lines of the workspace's log."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import strawberry

from models import event as models
from models.ids import Prefix
from models.kinds import EventType, InvoiceStatus
from resolvers import event
from resolvers.context import Context
from resolvers.reading.pages import Page, PageRequest, encode_cursor
from schema.context import Info
from schema.node import Node, link
from schema.pages import Connection


@strawberry.type(
    description=(
        "A line of the workspace's history. Subscriptions and timelines return these lines in the order of commit. An"
        " event's own fields show the state when it happened; linked objects show the state now."
    )
)
class Event(Node, prefix=Prefix.EVENT):
    type: EventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    actor: str = strawberry.field(description='Who did it: an API key\'s id, "stripe" or "system".')
    note: str | None = strawberry.field(description="The note that was given with the mutation.")
    previous_status: InvoiceStatus | None = strawberry.field(description="The invoice's status before the event.")
    status: InvoiceStatus | None = strawberry.field(description="The invoice's status after the event.")
    row: strawberry.Private[models.Event]

    @strawberry.field(description="Its place in the history, for the `after` of event lists and of subscriptions.")
    def cursor(self, info: Info) -> str:
        return event.cursor_of(info.context, self.row.number)

    invoice = link(Prefix.INVOICE, "row.invoice_id", "The invoice that it is about. Null once a draft is deleted.")

    payment = link(Prefix.PAYMENT, "row.payment_id", "The payment that it is about.")

    customer = link(Prefix.CUSTOMER, "row.customer_id", "The customer that it is about.")

    integration = link(Prefix.INTEGRATION, "row.integration_id", "The integration that it is about.")

    webhook_event = link(
        Prefix.WEBHOOK_EVENT, "row.webhook_event_id", "The webhook event that it is about, or that caused it."
    )

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
        """Make a page whose cursors are the same as those of subscriptions."""
        return cls.of(replace(found, cursor_of=lambda place: event.cursor_of(ctx, found.rows[place].number)))


def with_places(ctx: Context, request: PageRequest) -> PageRequest:
    """Replace the subscriptions' cursors in a request by the list's own.

    Raises:
        InvalidCursorError: A cursor is not from this workspace.
    """

    def place(cursor: str | None) -> str | None:
        return None if cursor is None else encode_cursor(event.number_of(ctx, cursor))

    return replace(request, after=place(request.after), before=place(request.before))
