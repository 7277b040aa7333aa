"""Invoices, their lines and their Payment Links."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from models import invoice as models
from models.ids import Prefix
from models.instant import utc_now
from models.kinds import InvoiceStatus, OpenSessions, PaymentLinkStatus
from models.payment_link import PaymentLink as PaymentLinkRow
from resolvers import event, invoice, invoice_list, payment
from resolvers.event import EventQuery
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.reading.pages import PageRequest
from schema.context import Info
from schema.node import Node, link
from schema.pages import Connection, page_of_children, paged
from schema.types.diagnosis import Diagnosis
from schema.types.lazy import LazyEventConnection, LazyPaymentConnection
from schema.types.list_totals import InvoiceTotals
from schema.types.metadata import MetadataEntry, metadata_of
from schema.types.money import Money


@strawberry.type(description="A line of an invoice.")
class LineItem:
    description: str = strawberry.field(description="What this line is for.")
    quantity: Decimal = strawberry.field(description="How many units are invoiced.")
    unit_amount: Decimal = strawberry.field(description="The price of one unit, in the currency's major unit.")
    amount: Money = strawberry.field(description="The quantity times the unit amount, rounded half up.")

    @classmethod
    def of(cls, row: models.LineItem, currency: str) -> "LineItem":
        return cls(
            description=row.description,
            quantity=Decimal(row.quantity),
            unit_amount=Decimal(row.unit_amount),
            amount=Money.of(row.amount, currency),
        )


@strawberry.type(description="A page at Stripe where a customer pays an invoice.")
class PaymentLink:
    status: PaymentLinkStatus = strawberry.field(description="The link's status.")
    url: str | None = strawberry.field(description="The address of the page. Null until Stripe has made the link.")
    stripe_id: str | None = strawberry.field(description="Stripe's id of the link: plink_…")
    amount: Money = strawberry.field(description="The amount to pay.")
    problem: Diagnosis | None = strawberry.field(description="Why Stripe has not made the link, and what to do.")
    open_sessions: OpenSessions = strawberry.field(
        description="Whether a customer who has opened the link's page can still pay on this page."
    )

    @classmethod
    def of(cls, row: PaymentLinkRow) -> "PaymentLink":
        return cls(
            status=row.status,
            url=row.url,
            stripe_id=row.provider_id,
            amount=Money.of(row.amount, row.currency),
            problem=Diagnosis.of_code(row.problem_code, row.problem_message),
            open_sessions=row.open_sessions(utc_now()),
        )


@strawberry.type(description="An invoice.")
class Invoice(Node, prefix=Prefix.INVOICE):
    number: str | None = strawberry.field(
        description=(
            "The invoice's number, such as INV-2026-0001. Null for a draft. Numbers are assigned"
            " without gaps, when invoices are finalized."
        )
    )
    status: InvoiceStatus = strawberry.field(description="The invoice's status.")
    currency: str = strawberry.field(description="The currency's ISO 4217 code, in upper case.")
    total: Money = strawberry.field(description="The sum of the invoice's lines.")
    amount_paid: Money = strawberry.field(
        description=(
            "What was paid for the invoice, gross of refunds. This is the sum of the invoice's"
            " applied payments and of amounts that were marked as paid by hand."
        )
    )
    amount_remaining: Money = strawberry.field(description="What remains to pay. Never negative.")
    amount_overpaid: Money = strawberry.field(description="What was paid beyond the total. Never negative.")
    amount_refunded: Money = strawberry.field(description="The sum of the refunds of the invoice's payments.")
    amount_paid_out_of_band: Money = strawberry.field(
        description="The part of `amountPaid` that was marked as paid by hand, in Fluxrate or in Stripe."
    )
    due_date: date | None = strawberry.field(description="The last day to pay.")
    is_overdue: bool = strawberry.field(
        description="Whether the invoice is OPEN and its due date is past. Days are counted in UTC."
    )
    memo: str | None = strawberry.field(description="The business's own note about the invoice.")
    created_at: datetime = strawberry.field(description="When the draft was created.")
    finalized_at: datetime | None = strawberry.field(description="When the invoice was finalized.")
    paid_at: datetime | None = strawberry.field(
        description=(
            "The time of the payment that covered the invoice, or the time when the invoice was marked as paid."
        )
    )
    voided_at: datetime | None = strawberry.field(description="When the invoice became VOID.")
    uncollectible_at: datetime | None = strawberry.field(description="When the invoice became UNCOLLECTIBLE.")
    customer_id: strawberry.Private[str]

    @strawberry.field(description="The business's own data about the invoice, in the order of keys.")
    async def metadata(self, info: Info) -> list[MetadataEntry]:
        return await metadata_of(info, self.id)

    customer = link(Prefix.CUSTOMER, "customer_id", "The customer who is invoiced.", required=True)

    @strawberry.field(description="The invoice's lines, in order.")
    async def line_items(self, info: Info) -> list[LineItem]:
        rows = await info.context.loaders.line_items.load(self.id)
        return [LineItem.of(row, self.currency) for row in rows]

    @strawberry.field(
        description=(
            "The invoice's latest Payment Link. Null if the invoice has no link, for instance because"
            " no integration could make a link."
        )
    )
    async def payment_link(self, info: Info) -> PaymentLink | None:
        rows = await info.context.loaders.latest_link.load(self.id)
        return PaymentLink.of(rows[0]) if rows else None

    @strawberry.field(description="The invoice's payments and failed attempts to pay, newest first.")
    @paged
    async def payments(self, info: Info, request: PageRequest) -> LazyPaymentConnection:
        from schema.types.payment import PaymentConnection

        ctx = info.context
        found = await page_of_children(
            ctx.loaders.invoice_payments,
            self.id,
            lambda: payment.payments(ctx, PaymentQuery(invoice_id=self.id))[0],
            request,
            descending=True,
        )
        return PaymentConnection.of(found, query=PaymentQuery(invoice_id=self.id))

    @strawberry.field(description="The events about the invoice, oldest first.")
    @paged
    async def timeline(self, info: Info, request: PageRequest) -> LazyEventConnection:
        from schema.types.event import EventConnection, with_places

        ctx = info.context
        found = await page_of_children(
            ctx.loaders.invoice_events,
            self.id,
            lambda: event.events(ctx, EventQuery(invoice_id=self.id)),
            with_places(ctx, request),
            descending=False,
            key="number",
        )
        return EventConnection.of_events(ctx, found)

    @classmethod
    def of(cls, row: models.Invoice) -> "Invoice":
        return cls(
            id=strawberry.ID(row.id),
            number=row.number,
            status=row.status,
            currency=row.currency,
            total=Money.of(row.total, row.currency),
            amount_paid=Money.of(row.received, row.currency),
            amount_remaining=Money.of(row.amount_remaining, row.currency),
            amount_overpaid=Money.of(row.amount_overpaid, row.currency),
            amount_refunded=Money.of(row.amount_refunded, row.currency),
            amount_paid_out_of_band=Money.of(row.amount_paid_out_of_band, row.currency),
            due_date=row.due_date,
            is_overdue=invoice.is_overdue(row),
            memo=row.memo,
            created_at=row.created_at,
            finalized_at=row.finalized_at,
            paid_at=row.paid_at,
            voided_at=row.voided_at,
            uncollectible_at=row.uncollectible_at,
            customer_id=row.customer_id,
        )


@strawberry.type(description="A page of invoices.")
class InvoiceConnection(Connection[Invoice]):
    query: strawberry.Private[InvoiceQuery]

    @strawberry.field(
        description=("The sums of the whole list, per currency. The sums are added up only if you select this field.")
    )
    async def totals(self, info: Info) -> list[InvoiceTotals]:
        return InvoiceTotals.all_of(await invoice_list.tally_of(info.context, self.query))
