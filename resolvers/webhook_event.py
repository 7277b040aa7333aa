"""What Stripe posted, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tortoise.queryset import QuerySet

from models.api_key import Scope
from models.webhook_event import WITHOUT_PAYLOAD, WebhookEvent, WebhookEventStatus
from resolvers.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEventQuery:
    """Which webhook events are wanted; None asks for no restriction."""

    integration_id: str | None = None
    status: Sequence[WebhookEventStatus] | None = None
    type: Sequence[str] | None = None
    invoice_id: str | None = None
    received_after: datetime | None = None
    received_before: datetime | None = None


def webhook_events(ctx: Context, query: WebhookEventQuery) -> QuerySet[WebhookEvent]:
    """The workspace's webhook events that a query asks for, without their payloads."""
    ctx.require(Scope.READ)
    restrictions = {
        "integration_id": query.integration_id,
        "status__in": None if query.status is None else list(query.status),
        "type__in": None if query.type is None else list(query.type),
        "invoice_id": query.invoice_id,
        "received_at__gt": query.received_after,
        "received_at__lt": query.received_before,
    }
    given = {name: value for name, value in restrictions.items() if value is not None}
    return ctx.rows(WebhookEvent).filter(**given).only(*WITHOUT_PAYLOAD)


async def webhook_event_by_stripe_id(ctx: Context, stripe_event_id: str) -> WebhookEvent | None:
    """The event that Stripe knows by an id; the newest, where two integrations are one Stripe account."""
    ctx.require(Scope.READ)
    rows = ctx.rows(WebhookEvent).filter(stripe_event_id=stripe_event_id)
    return await rows.order_by("-id").only(*WITHOUT_PAYLOAD).first()
