"""All subscriptions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from models import event as models
from models.kinds import EventType, InvoiceStatus, WebhookEventStatus
from resolvers import event
from resolvers.event import EventQuery
from schema.context import Info, all_given, given
from schema.filters import EventFilter
from schema.types.event import Event

After = Annotated[
    str | None,
    strawberry.argument(
        description=(
            "The cursor of the last event that you received, or `Workspace.eventCursor`. First you"
            " receive the past events after this cursor, and then new events as they happen. You"
            " receive each event once, and no event is left out. Without `after` you receive only new"
            " events."
        )
    ),
]
OfInvoice = Annotated[strawberry.ID | None, strawberry.argument(description="Only events of this invoice.")]
OfCustomer = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only events of this customer's invoices.")
]


async def _shown(followed: AsyncGenerator[models.Event]) -> AsyncGenerator[Event]:
    async with aclosing(followed) as rows:
        async for row in rows:
            yield Event.of(row)


@strawberry.type(
    description=(
        "Live events, in the order in which they were committed. A cursor that was received with"
        " one filter may be used with another filter. A cursor from another workspace causes an"
        " error. Needs the scope READ."
    )
)
class Subscription:
    @strawberry.subscription(description="Sends an event whenever an invoice becomes PAID.")
    async def invoice_paid(
        self,
        info: Info,
        invoice_id: OfInvoice = strawberry.UNSET,
        customer_id: OfCustomer = strawberry.UNSET,
        after: After = strawberry.UNSET,
    ) -> AsyncGenerator[Event]:
        query = EventQuery(type=[EventType.INVOICE_PAID], invoice_id=given(invoice_id), customer_id=given(customer_id))
        return _shown(event.follow(info.context, given(after), query))

    @strawberry.subscription(
        description="Sends an event whenever an invoice is finalized, paid, voided or written off."
    )
    async def invoice_status_changed(
        self,
        info: Info,
        invoice_id: OfInvoice = strawberry.UNSET,
        customer_id: OfCustomer = strawberry.UNSET,
        status: Annotated[
            list[InvoiceStatus] | None,
            strawberry.argument(description="Only events by which an invoice got one of these statuses."),
        ] = strawberry.UNSET,
        after: After = strawberry.UNSET,
    ) -> AsyncGenerator[Event]:
        query = EventQuery(
            type=event.STATUS_CHANGES,
            status=given(status),
            invoice_id=given(invoice_id),
            customer_id=given(customer_id),
        )
        return _shown(event.follow(info.context, given(after), query))

    @strawberry.subscription(
        description=(
            "Sends an event whenever a new webhook event arrives, and whenever a webhook event's status changes."
        )
    )
    async def webhook_events(
        self,
        info: Info,
        integration_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only events about webhook events of this integration."),
        ] = strawberry.UNSET,
        status: Annotated[
            list[WebhookEventStatus] | None,
            strawberry.argument(description="Only events about webhook events with one of these statuses."),
        ] = strawberry.UNSET,
        after: After = strawberry.UNSET,
    ) -> AsyncGenerator[Event]:
        return _shown(event.follow_webhook_events(info.context, given(after), given(integration_id), given(status)))

    @strawberry.subscription(description="Sends all events of the workspace, or only the events that match a filter.")
    async def events(
        self,
        info: Info,
        filter: Annotated[
            EventFilter | None, strawberry.argument(description="Which events to receive.")
        ] = strawberry.UNSET,
        after: After = strawberry.UNSET,
    ) -> AsyncGenerator[Event]:
        return _shown(event.follow(info.context, given(after), EventQuery(**all_given(filter))))
