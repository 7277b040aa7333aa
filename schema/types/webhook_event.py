"""Webhook events and their attempts."""

from datetime import datetime

import orjson
import strawberry
from strawberry.scalars import JSON

from models import webhook_event as models
from models.ids import Prefix
from models.kinds import AttemptSource, WebhookEventStatus
from models.webhook_event_attempt import WebhookEventAttempt as AttemptRow
from schema.context import Info
from schema.node import Node, link
from schema.pages import Connection
from schema.types.diagnosis import Diagnosis


@strawberry.type(description="A delivery of a webhook event, or an attempt to apply it.")
class WebhookEventAttempt:
    at: datetime = strawberry.field(description="When it happened.")
    source: AttemptSource = strawberry.field(description="What caused the delivery or attempt.")
    status: WebhookEventStatus = strawberry.field(description="The webhook event's status afterwards.")
    reason: Diagnosis | None = strawberry.field(
        description="The reason for that status. Null when PROCESSED, and for redeliveries after the status was final."
    )


@strawberry.type(description="An event from Stripe: one object, however often it was delivered.")
class WebhookEvent(Node, prefix=Prefix.WEBHOOK_EVENT):
    stripe_event_id: str | None = strawberry.field(description="Stripe's id of it: evt_… Null if no id could be read.")
    type: str | None = strawberry.field(description='Stripe\'s type, like "payment_intent.succeeded".')
    status: WebhookEventStatus = strawberry.field(description="Its status.")
    reason: Diagnosis | None = strawberry.field(description="The reason for its status. Null when PROCESSED.")
    deliveries: int = strawberry.field(description="How often Stripe posted it.")
    attempts: int = strawberry.field(description="How often Fluxrate tried to apply it.")
    livemode: bool | None = strawberry.field(description="Whether it is about real money.")
    api_version: str | None = strawberry.field(
        description="The version of Stripe's API that its payload is written in."
    )
    received_at: datetime = strawberry.field(description="When it first came.")
    processed_at: datetime | None = strawberry.field(description="When Fluxrate last decided its status.")
    row: strawberry.Private[models.WebhookEvent]

    @strawberry.field(
        description="Its deliveries and attempts, oldest first: the first 100. Simultaneous deliveries are one entry."
    )
    async def history(self, info: Info) -> list[WebhookEventAttempt]:
        rows = await info.context.loaders.attempts.load(self.id)
        return [_attempt_of(row) for row in rows] or [self._only_attempt()]

    def _only_attempt(self) -> WebhookEventAttempt:
        source = AttemptSource.WEBHOOK if self.deliveries else AttemptSource.SYNC
        return WebhookEventAttempt(at=self.received_at, source=source, status=self.status, reason=self.reason)

    integration = link(Prefix.INTEGRATION, "row.integration_id", "The integration that it was sent to.", required=True)

    invoice = link(Prefix.INVOICE, "row.invoice_id", "The invoice that it is about.")

    customer = link(Prefix.CUSTOMER, "row.customer_id", "The customer that it is about.")

    payment = link(Prefix.PAYMENT, "row.payment_id", "The payment that it is about.")

    @strawberry.field(
        description=(
            "What Stripe posted. Null if it isn't JSON or is nested too deeply, and while the event is QUARANTINED,"
            " because its sender is not verified."
        )
    )
    async def payload(self, info: Info) -> JSON | None:
        info.context.tells_secret = True  # a payment intent's, beside texts that the customer wrote
        if self.status is WebhookEventStatus.QUARANTINED:
            return None
        row = await info.context.loaders.payloads.load(self.id)
        try:
            payload = None if row is None else orjson.loads(row.payload)
            orjson.dumps(payload)  # orjson writes fewer levels than it reads
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            return None
        return payload

    @classmethod
    def of(cls, row: models.WebhookEvent) -> "WebhookEvent":
        return cls(
            id=strawberry.ID(row.id),
            stripe_event_id=row.provider_event_id,
            type=row.type,
            status=row.status,
            reason=Diagnosis.of_code(row.reason_code, row.reason_detail),
            deliveries=row.deliveries,
            attempts=row.attempts,
            livemode=row.livemode,
            api_version=row.api_version,
            received_at=row.received_at,
            processed_at=row.processed_at,
            row=row,
        )


def _attempt_of(row: AttemptRow) -> WebhookEventAttempt:
    reason = Diagnosis.of_code(row.reason_code, row.reason_detail)
    return WebhookEventAttempt(at=row.at, source=row.source, status=row.status, reason=reason)


@strawberry.type(description="A page of webhook events.")
class WebhookEventConnection(Connection[WebhookEvent]):
    pass
