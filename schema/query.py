"""All queries."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from models.ids import Prefix
from models.kinds import RevenueInterval
from resolvers import (
    api_key,
    customer,
    event,
    invoice,
    invoice_list,
    invoice_order,
    node,
    payment,
    revenue,
    totals,
    webhook_event,
)
from resolvers.context import Context
from resolvers.event import EventQuery
from resolvers.integration import lists
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.reading.narrowing import Read, whole
from resolvers.reading.orders import ordered_page
from resolvers.reading.pages import Page, PageRequest, page
from resolvers.webhook_event import WebhookEventQuery
from schema.context import Info, all_given, given
from schema.enums import OrderDirection
from schema.filters import (
    CustomerOrder,
    EventFilter,
    InvoiceFilter,
    InvoiceOrder,
    PaymentFilter,
    PaymentOrder,
    WebhookEventFilter,
)
from schema.node import Node, by_id, shown
from schema.pages import Order, OrderBy, Which, newest_first, ordered_by, paged
from schema.types.api_key import ApiKeyConnection
from schema.types.customer import Customer, CustomerConnection
from schema.types.event import EventConnection, with_places
from schema.types.integration import StripeIntegration, StripeIntegrationConnection
from schema.types.invoice import Invoice, InvoiceConnection
from schema.types.money import Currency
from schema.types.overview import Attention, Counts
from schema.types.payment import Payment, PaymentConnection
from schema.types.totals import CurrencyTotals, RevenueSeries
from schema.types.webhook_event import WebhookEvent, WebhookEventConnection
from schema.types.workspace import Viewer


async def customer_page(
    ctx: Context,
    request: PageRequest,
    search: str | None = strawberry.UNSET,
    order: OrderDirection | None = strawberry.UNSET,
    order_by: CustomerOrder | None = strawberry.UNSET,
    read: Read = whole,
) -> Page[Any]:
    """Read a page of customers. In the order of creation, `read` may read only some columns."""
    text = given(search)
    by, descending = ordered_by(order, order_by)
    if by is None:
        rows, narrowings = await customer.customers(ctx, search=text)
        return await page(rows, request, descending=descending, narrowings=narrowings, read=read)
    return await ordered_page(await customer.ordered_by_name(ctx, search=text, descending=descending), request)


async def invoice_page(
    ctx: Context,
    request: PageRequest,
    filter: InvoiceFilter | None = strawberry.UNSET,
    order: OrderDirection | None = strawberry.UNSET,
    order_by: InvoiceOrder | None = strawberry.UNSET,
    read: Read = whole,
) -> Page[Any]:
    """Read a page of invoices. In the order of creation, `read` may read only some columns."""
    query = InvoiceQuery(**all_given(filter))
    by, descending = ordered_by(order, order_by)
    counting = invoice_list.counting_of(ctx, query)
    if by is None:
        rows, narrowings = await invoice_list.invoices(ctx, query)
        return await page(rows, request, descending=descending, counting=counting, narrowings=narrowings, read=read)
    ordering = await invoice_order.ordered(ctx, query, by, descending=descending)
    return await ordered_page(ordering, request, counting=counting)


async def payment_page(
    ctx: Context,
    request: PageRequest,
    filter: PaymentFilter | None = strawberry.UNSET,
    order: OrderDirection | None = strawberry.UNSET,
    order_by: PaymentOrder | None = strawberry.UNSET,
    read: Read = whole,
) -> Page[Any]:
    """Read a page of payments. In the order of creation, `read` may read only some columns."""
    query = PaymentQuery(**all_given(filter))
    by, descending = ordered_by(order, order_by)
    counting = payment.counting_of(ctx, query)
    if by is None:
        rows, narrowings = payment.payments(ctx, query)
        return await page(rows, request, descending=descending, counting=counting, narrowings=narrowings, read=read)
    ordering = payment.ordered(ctx, query, by, descending=descending)
    return await ordered_page(ordering, request, counting=counting)


@strawberry.type(
    description="All queries. Each field needs the scope READ, unless its description names another scope."
)
class Query:
    @strawberry.field(description="The workspace and the API key of this request.")
    def viewer(self, info: Info) -> Viewer:
        return Viewer.of(node.viewer(info.context))

    @strawberry.field(
        description=(
            "The object with this id. Null if the workspace has no object with this id. An API key is"
            " returned only to callers with the scope ADMIN."
        )
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id of an object of any type.")],
    ) -> Node | None:
        row = await node.node(info.context, id)
        found: Node | None = None if row is None else shown(Prefix(id.partition("_")[0]), row)
        return found

    @strawberry.field(description="The connected Stripe accounts, newest first.")
    @paged
    async def stripe_integrations(
        self,
        info: Info,
        request: PageRequest,
        include_disconnected: Annotated[
            bool | None, strawberry.argument(description="Whether to include integrations that were disconnected.")
        ] = False,
    ) -> StripeIntegrationConnection:
        rows = lists.stripe_integrations(info.context, include_disconnected=bool(include_disconnected))
        found = await page(rows, request, descending=True)
        return StripeIntegrationConnection.of(found)

    stripe_integration = by_id(Prefix.INTEGRATION, "integration", StripeIntegration)

    @strawberry.field(description="Customers, newest first by default.")
    @paged
    async def customers(
        self,
        info: Info,
        request: PageRequest,
        search: Annotated[
            str | None,
            strawberry.argument(
                description=(
                    "Only customers whose name, email or external id contains this text. Case is ignored (on"
                    " SQLite, only for the letters A to Z). A text of one or two characters is searched for"
                    " only among the newest 10,000 customers."
                )
            ),
        ] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
        order_by: OrderBy[CustomerOrder] = strawberry.UNSET,
    ) -> CustomerConnection:
        found = await customer_page(info.context, request, search, order, order_by)
        return CustomerConnection.of(found)

    customer = by_id(Prefix.CUSTOMER, "customer", Customer)

    @strawberry.field(description="The customer with this external id. Null if the workspace has no such customer.")
    async def customer_by_external_id(
        self,
        info: Info,
        external_id: Annotated[str, strawberry.argument(description="Your own id for the customer.")],
    ) -> Customer | None:
        row = await customer.customer_by_external_id(info.context, external_id)
        return None if row is None else Customer.of(row)

    @strawberry.field(description="Invoices, newest first by default.")
    @paged
    async def invoices(
        self,
        info: Info,
        request: PageRequest,
        filter: Which[InvoiceFilter] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
        order_by: OrderBy[InvoiceOrder] = strawberry.UNSET,
    ) -> InvoiceConnection:
        found = await invoice_page(info.context, request, filter, order, order_by)
        return InvoiceConnection.of(found, query=InvoiceQuery(**all_given(filter)))

    invoice = by_id(Prefix.INVOICE, "invoice", Invoice)

    @strawberry.field(description="The invoice with this number. Null if the workspace has no such invoice.")
    async def invoice_by_number(
        self,
        info: Info,
        number: Annotated[str, strawberry.argument(description="The invoice's number, such as INV-2026-0001.")],
    ) -> Invoice | None:
        row = await invoice.invoice_by_number(info.context, number)
        return None if row is None else Invoice.of(row)

    @strawberry.field(description="Payments and failed attempts to pay, newest first by default.")
    @paged
    async def payments(
        self,
        info: Info,
        request: PageRequest,
        filter: Which[PaymentFilter] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
        order_by: OrderBy[PaymentOrder] = strawberry.UNSET,
    ) -> PaymentConnection:
        found = await payment_page(info.context, request, filter, order, order_by)
        return PaymentConnection.of(found, query=PaymentQuery(**all_given(filter)))

    payment = by_id(Prefix.PAYMENT, "payment", Payment)

    @strawberry.field(description="Webhook events from Stripe, newest first by default.")
    @paged
    async def webhook_events(
        self,
        info: Info,
        request: PageRequest,
        filter: Which[WebhookEventFilter] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
    ) -> WebhookEventConnection:
        query = WebhookEventQuery(**all_given(filter))
        rows, narrowings = await webhook_event.webhook_events(info.context, query)
        counting = webhook_event.counting_of(info.context, query)
        found = await page(rows, request, descending=newest_first(order), counting=counting, narrowings=narrowings)
        return WebhookEventConnection.of(found)

    webhook_event = by_id(Prefix.WEBHOOK_EVENT, "webhook event", WebhookEvent)

    @strawberry.field(description="The webhook event with this Stripe id. Null if the event has not arrived.")
    async def webhook_event_by_stripe_id(
        self,
        info: Info,
        stripe_event_id: Annotated[str, strawberry.argument(description="Stripe's id of the event: evt_…")],
    ) -> WebhookEvent | None:
        row = await webhook_event.webhook_event_by_provider_id(info.context, stripe_event_id)
        return None if row is None else WebhookEvent.of(row)

    @strawberry.field(
        description=(
            "The workspace's events, oldest first. To get the newest events, use `last`. The cursors"
            " of this list are also valid in subscriptions, as the argument `after`."
        )
    )
    @paged
    async def events(
        self,
        info: Info,
        request: PageRequest,
        filter: Which[EventFilter] = strawberry.UNSET,
    ) -> EventConnection:
        ctx = info.context
        query = EventQuery(**all_given(filter))
        rows, counting = await event.events_in_time(ctx, query), event.counting_of(ctx, query)
        found = await page(rows, with_places(ctx, request), descending=False, key="number", counting=counting)
        return EventConnection.of_events(ctx, found)

    @strawberry.field(description="Open and received amounts, per currency.")
    async def totals(
        self,
        info: Info,
        since: Annotated[
            datetime | None,
            strawberry.argument(
                description=(
                    "Count only money that was received at or after this instant. The fields `open`,"
                    " `overdue` and `overdueByAge` ignore this argument and show the present amounts."
                )
            ),
        ] = strawberry.UNSET,
        until: Annotated[
            datetime | None,
            strawberry.argument(
                description=(
                    "Count only money that was received before this instant. The fields `open`, `overdue`"
                    " and `overdueByAge` ignore this argument and show the present amounts."
                )
            ),
        ] = strawberry.UNSET,
    ) -> list[CurrencyTotals]:
        found = await totals.totals(info.context, given(since), given(until))
        return [CurrencyTotals.of(each) for each in found]

    @strawberry.field(
        description=(
            "Money received over time, as a series of points for each currency. There is a point for"
            " every interval, even if no money came in during the interval. The `received` amounts of"
            " a series add up to `CurrencyTotals.paid` of the query `totals` with the same `since` and"
            " `until`. A series has at most 400 points."
        )
    )
    async def revenue(
        self,
        info: Info,
        since: Annotated[datetime, strawberry.argument(description="When the first point begins.")],
        interval: Annotated[RevenueInterval, strawberry.argument(description="How much time each point covers.")],
        until: Annotated[
            datetime | None,
            strawberry.argument(description="When the last point ends. By default, the last point ends now."),
        ] = strawberry.UNSET,
        time_zone: Annotated[
            str | None,
            strawberry.argument(
                description='The IANA name of the time zone that decides when a day begins, such as "Europe/Berlin".'
            ),
        ] = "UTC",
        currency: Annotated[
            str | None,
            strawberry.argument(
                description=(
                    "Return only the series of this currency. If no money was received in this currency, the"
                    " amounts of the series are 0. By default, there is a series for every currency in which"
                    " money was received."
                )
            ),
        ] = strawberry.UNSET,
    ) -> list[RevenueSeries]:
        found = await revenue.revenue(
            info.context,
            since=since,
            until=given(until),
            interval=interval,
            time_zone_name="UTC" if time_zone is None else time_zone,
            currency=given(currency),
        )
        return [RevenueSeries.of(each) for each in found]

    @strawberry.field(description="How many invoices and webhook events have each status.")
    def counts(self) -> Counts:
        return Counts()

    @strawberry.field(
        description=("Counts of objects that need somebody's attention. All counts are 0 if no object needs attention.")
    )
    def attention(self) -> Attention:
        return Attention()

    @strawberry.field(
        description="The workspace's API keys, including revoked keys, newest first. Needs the scope ADMIN."
    )
    @paged
    async def api_keys(
        self,
        info: Info,
        request: PageRequest,
    ) -> ApiKeyConnection | None:
        rows = api_key.api_keys(info.context)
        found = await page(rows, request, descending=True)
        return ApiKeyConnection.of(found)

    @strawberry.field(description="The currencies that invoices can have, ordered by code.")
    def currencies(self) -> list[Currency]:
        return Currency.all()
