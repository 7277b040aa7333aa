"""Customers."""

from datetime import datetime
from typing import Annotated

import strawberry

from models import customer as models
from resolvers import invoice_list, payment
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.reading.pages import page
from schema.context import Info, all_given
from schema.filters import InvoiceFilter, PaymentFilter
from schema.node import Node
from schema.pages import (
    After,
    Before,
    Connection,
    First,
    Last,
    Order,
    asked,
    newest_first,
    page_of_children,
)
from schema.types.lazy import LazyInvoiceConnection, LazyPaymentConnection
from schema.types.list_totals import CustomerTotals
from schema.types.metadata import MetadataEntry, metadata_of


@strawberry.type(description="Who is invoiced.")
class Customer(Node):
    name: str = strawberry.field(description="As it stands on invoices.")
    email: str = strawberry.field(description="Where invoices go.")
    external_id: str | None = strawberry.field(description="The business's own id for it, unique in the workspace.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @strawberry.field(description="What the business keeps about it for itself, by key.")
    async def metadata(self, info: Info) -> list[MetadataEntry]:
        return await metadata_of(info, self.id)

    @strawberry.field(description="Its invoices, newest first by default.")
    async def invoices(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Annotated[
            InvoiceFilter | None, strawberry.argument(description="Which of them; `customerId` is this customer's.")
        ] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
    ) -> LazyInvoiceConnection:
        from schema.types.invoice import Invoice, InvoiceConnection

        ctx, descending = info.context, newest_first(order)
        query = InvoiceQuery(**{**all_given(filter), "customer_id": self.id})
        request = asked(first, after, last, before)
        rows, narrowings = await invoice_list.invoices(ctx, query)
        if query != InvoiceQuery(customer_id=self.id):
            found = await page(rows, request, descending=descending, narrowings=narrowings)
        else:
            found = await page_of_children(
                ctx.loaders.customer_invoices, self.id, lambda: rows, request, descending=descending
            )
        return InvoiceConnection.of(found, Invoice.of, query=query)

    @strawberry.field(description="Its payments and failed attempts, newest first.")
    async def payments(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Annotated[
            PaymentFilter | None, strawberry.argument(description="Which of them; `customerId` is this customer's.")
        ] = strawberry.UNSET,
    ) -> LazyPaymentConnection:
        from schema.types.payment import Payment, PaymentConnection

        ctx = info.context
        query = PaymentQuery(**{**all_given(filter), "customer_id": self.id})
        request = asked(first, after, last, before)
        rows, narrowings = payment.payments(ctx, query)
        if query != PaymentQuery(customer_id=self.id):
            found = await page(rows, request, descending=True, narrowings=narrowings)
        else:
            found = await page_of_children(
                ctx.loaders.customer_payments, self.id, lambda: rows, request, descending=True
            )
        return PaymentConnection.of(found, Payment.of, query=query)

    @strawberry.field(description="What its invoices come to, per currency.")
    async def totals(self, info: Info) -> list[CustomerTotals]:
        return CustomerTotals.all_of(await info.context.loaders.customer_tallies.load(self.id))

    @classmethod
    def of(cls, row: models.Customer) -> "Customer":
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            email=row.email,
            external_id=row.external_id,
            created_at=row.created_at,
        )


@strawberry.type(description="A page of customers.")
class CustomerConnection(Connection[Customer]):
    pass
