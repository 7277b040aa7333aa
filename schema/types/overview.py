"""Counts for an overview: by status, and of what needs attention."""

import strawberry

from models.kinds import InvoiceStatus, WebhookEventStatus
from resolvers import overview
from resolvers.integration import health
from schema.context import Info


@strawberry.type(description="How many invoices have a status.")
class InvoiceStatusCount:
    status: InvoiceStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many invoices have it.")


@strawberry.type(description="How many webhook events have a status.")
class WebhookEventStatusCount:
    status: WebhookEventStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many webhook events have it.")


@strawberry.type(
    description="How many invoices and webhook events have each status. Every status is listed, and every count is"
    " exact."
)
class Counts:
    @strawberry.field(description="Invoices.")
    async def invoices(self, info: Info) -> list[InvoiceStatusCount]:
        found = await overview.invoices_by_status(info.context)
        return [InvoiceStatusCount(status=status, count=count) for status, count in found.items()]

    @strawberry.field(description="Webhook events.")
    async def webhook_events(self, info: Info) -> list[WebhookEventStatusCount]:
        found = await overview.webhook_events_by_status(info.context)
        return [WebhookEventStatusCount(status=status, count=count) for status, count in found.items()]


@strawberry.type(description="Counts of what needs somebody's attention; all are exact.")
class Attention:
    @strawberry.field(
        description="Payments that fit no invoice and were not refunded in full: apply them (`applyPayment`) or refund"
        " them in Stripe."
    )
    async def unapplied_payments(self, info: Info) -> int:
        return await overview.unapplied_payments(info.context)

    @strawberry.field(
        description="Payments whose excess over the invoice was not refunded in full: refund the rest in Stripe."
    )
    async def overpaid_payments(self, info: Info) -> int:
        return await overview.overpaid_payments(info.context)

    @strawberry.field(
        description="Payments whose dispute is not decided: answer the dispute in Stripe before the evidence is due."
    )
    async def open_disputes(self, info: Info) -> int:
        return await overview.open_disputes(info.context)

    @strawberry.field(
        description="Payment Links that Stripe did not make: each one's `problem` says why and what to do."
    )
    async def failed_payment_links(self, info: Info) -> int:
        return await overview.failed_links(info.context)

    @strawberry.field(
        description="Connected Stripe accounts whose `health` has a problem, such as no webhook secret yet."
    )
    async def unhealthy_integrations(self, info: Info) -> int:
        return await health.unhealthy(info.context)

    @strawberry.field(
        description="Webhook events that are HELD until their integration is switched on, or FAILED inside Fluxrate."
    )
    async def held_or_failed_webhook_events(self, info: Info) -> int:
        return await overview.stuck_webhook_events(info.context)
