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
        "Something that happened in the workspace, as recorded in its history. Subscriptions and"
        " timelines return events in the order in which the events were committed. An event's own"
        " fields show the state at the time of the event. Linked objects, such as `invoice`, show"
        " the present state."
    )
)
class Event(Node, prefix=Prefix.EVENT):
    type: EventType = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When the event happened.")
    actor: str = strawberry.field(description='Who caused the event: the id of an API key, "stripe" or "system".')
    note: str | None = strawberry.field(description="The argument `note` of the mutation that caused the event.")
    previous_status: InvoiceStatus | None = strawberry.field(description="The invoice's status before the event.")
    status: InvoiceStatus | None = strawberry.field(description="The invoice's status after the event.")
    row: strawberry.Private[models.Event]

    @strawberry.field(
        description="The event's place in the history, to be given as `after` to lists of events and to subscriptions."
    )
    def cursor(self, info: Info) -> str:
        return event.cursor_of(info.context, self.row.number)

    invoice = link(
        Prefix.INVOICE,
        "row.invoice_id",
        ("The invoice that the event is about. Null if this invoice was a draft that has been deleted."),
    )

    payment = link(Prefix.PAYMENT, "row.payment_id", "The payment that the event is about.")

    customer = link(Prefix.CUSTOMER, "row.customer_id", "The customer that the event is about.")

    integration = link(Prefix.INTEGRATION, "row.integration_id", "The integration that the event is about.")

    webhook_event = link(
        Prefix.WEBHOOK_EVENT,
        "row.webhook_event_id",
        ("The webhook event that this event is about, or that caused this event."),
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
