"""Counts for an overview: by status, and of what needs attention."""

import strawberry

from models.kinds import InvoiceStatus, WebhookEventStatus
from resolvers import overview
from resolvers.integration import health
from schema.context import Info


@strawberry.type(description="How many invoices have a certain status.")
class InvoiceStatusCount:
    status: InvoiceStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many invoices have this status.")


@strawberry.type(description="How many webhook events have a certain status.")
class WebhookEventStatusCount:
    status: WebhookEventStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many webhook events have this status.")


@strawberry.type(
    description="How many invoices and webhook events have each status. Every status is listed, and every count is"
    " exact."
)
class Counts:
    @strawberry.field(description="The count of invoices for each status.")
    async def invoices(self, info: Info) -> list[InvoiceStatusCount]:
        found = await overview.invoices_by_status(info.context)
        return [InvoiceStatusCount(status=status, count=count) for status, count in found.items()]

    @strawberry.field(description="The count of webhook events for each status.")
    async def webhook_events(self, info: Info) -> list[WebhookEventStatusCount]:
        found = await overview.webhook_events_by_status(info.context)
        return [WebhookEventStatusCount(status=status, count=count) for status, count in found.items()]


@strawberry.type(description="Counts of objects that need somebody's attention. All counts are exact.")
class Attention:
    @strawberry.field(
        description=(
            "How many payments fit no invoice and were not refunded in full. Apply each payment"
            " (`applyPayment`) or refund it in Stripe."
        )
    )
    async def unapplied_payments(self, info: Info) -> int:
        return await overview.unapplied_payments(info.context)

    @strawberry.field(
        description=(
            "How many payments have an excess that was not refunded in full. The excess is the part"
            " above what remained to pay on the invoice. Refund the rest of the excess in Stripe."
        )
    )
    async def overpaid_payments(self, info: Info) -> int:
        return await overview.overpaid_payments(info.context)

    @strawberry.field(
        description=(
            "How many payments have a dispute that is not decided. Answer each dispute in Stripe"
            " before its evidence is due."
        )
    )
    async def open_disputes(self, info: Info) -> int:
        return await overview.open_disputes(info.context)

    @strawberry.field(
        description=(
            "The number of Payment Links that Stripe did not make. The `problem` of each link says why and what to do."
        )
    )
    async def failed_payment_links(self, info: Info) -> int:
        return await overview.failed_links(info.context)

    @strawberry.field(
        description=(
            "How many connected Stripe accounts have a problem in their `health`, such as a missing webhook secret."
        )
    )
    async def unhealthy_integrations(self, info: Info) -> int:
        return await health.unhealthy(info.context)

    @strawberry.field(
        description=(
            "How many webhook events are HELD until their integration is switched on, or FAILED"
            " because of an error inside Fluxrate."
        )
    )
    async def held_or_failed_webhook_events(self, info: Info) -> int:
        return await overview.stuck_webhook_events(info.context)
