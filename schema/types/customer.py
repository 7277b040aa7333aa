"""Customers."""

from datetime import datetime
from typing import Annotated

import strawberry

from models import customer as models
from models.ids import Prefix
from resolvers import invoice_list, payment
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.reading.pages import PageRequest
from schema.context import Info, all_given
from schema.filters import InvoiceFilter, PaymentFilter
from schema.node import Node
from schema.pages import Connection, Order, newest_first, page_of_children, paged
from schema.types.lazy import LazyInvoiceConnection, LazyPaymentConnection
from schema.types.list_totals import CustomerTotals
from schema.types.metadata import MetadataEntry, metadata_of


@strawberry.type(description="A person or company that is invoiced.")
class Customer(Node, prefix=Prefix.CUSTOMER):
    name: str = strawberry.field(description="The customer's name, as it appears on invoices.")
    email: str = strawberry.field(description="The customer's email address for invoices.")
    external_id: str | None = strawberry.field(
        description="The business's own id for the customer, unique in the workspace."
    )
    created_at: datetime = strawberry.field(description="When the customer was created.")

    @strawberry.field(description="The business's own data about the customer, in the order of keys.")
    async def metadata(self, info: Info) -> list[MetadataEntry]:
        return await metadata_of(info, self.id)

    @strawberry.field(description="The customer's invoices, by default newest first.")
    @paged
    async def invoices(
        self,
        info: Info,
        request: PageRequest,
        filter: Annotated[
            InvoiceFilter | None,
            strawberry.argument(description="Which rows to return. The filter's `customerId` has no effect here."),
        ] = strawberry.UNSET,
        order: Order = strawberry.UNSET,
    ) -> LazyInvoiceConnection:
        from schema.types.invoice import InvoiceConnection

        query = InvoiceQuery(**{**all_given(filter), "customer_id": self.id})
        rows, narrowings = await invoice_list.invoices(info.context, query)
        found = await page_of_children(
            info.context.loaders.customer_invoices,
            self.id,
            lambda: rows,
            request,
            descending=newest_first(order),
            narrowings=None if query == InvoiceQuery(customer_id=self.id) else narrowings,
        )
        return InvoiceConnection.of(found, query=query)

    @strawberry.field(description="The customer's payments and failed attempts to pay, newest first.")
    @paged
    async def payments(
        self,
        info: Info,
        request: PageRequest,
        filter: Annotated[
            PaymentFilter | None,
            strawberry.argument(description="Which rows to return. The filter's `customerId` has no effect here."),
        ] = strawberry.UNSET,
    ) -> LazyPaymentConnection:
        from schema.types.payment import PaymentConnection

        query = PaymentQuery(**{**all_given(filter), "customer_id": self.id})
        rows, narrowings = payment.payments(info.context, query)
        found = await page_of_children(
            info.context.loaders.customer_payments,
            self.id,
            lambda: rows,
            request,
            descending=True,
            narrowings=None if query == PaymentQuery(customer_id=self.id) else narrowings,
        )
        return PaymentConnection.of(found, query=query)

    @strawberry.field(description="The sums of the customer's invoices, per currency.")
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
