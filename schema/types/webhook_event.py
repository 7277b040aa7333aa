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
    at: datetime = strawberry.field(description="When the delivery or attempt happened.")
    source: AttemptSource = strawberry.field(description="What caused the delivery or attempt.")
    status: WebhookEventStatus = strawberry.field(
        description="The webhook event's status after the delivery or attempt."
    )
    reason: Diagnosis | None = strawberry.field(
        description=(
            "The reason for the `status` of this entry. Null if the status is PROCESSED, or if the"
            " entry is a delivery that came after the status had become final."
        )
    )


@strawberry.type(
    description="An event from Stripe. If Stripe delivers an event several times, there is still only one WebhookEvent."
)
class WebhookEvent(Node, prefix=Prefix.WEBHOOK_EVENT):
    stripe_event_id: str | None = strawberry.field(
        description="Stripe's id of the event: evt_… Null if Fluxrate could not read an id."
    )
    type: str | None = strawberry.field(
        description=('Stripe\'s type of the event, such as "payment_intent.succeeded".')
    )
    status: WebhookEventStatus = strawberry.field(description="The event's status.")
    reason: Diagnosis | None = strawberry.field(
        description="The reason for the event's status. Null if the status is PROCESSED."
    )
    deliveries: int = strawberry.field(description="How many times Stripe posted the event.")
    attempts: int = strawberry.field(description="How many times Fluxrate tried to apply the event.")
    livemode: bool | None = strawberry.field(description="Whether the event is from Stripe's live mode.")
    api_version: str | None = strawberry.field(
        description="The version of Stripe's API in which the payload is written."
    )
    received_at: datetime = strawberry.field(description="When Fluxrate first received the event.")
    processed_at: datetime | None = strawberry.field(description="When Fluxrate last decided the event's status.")
    row: strawberry.Private[models.WebhookEvent]

    @strawberry.field(
        description=(
            "The deliveries of the event and the attempts to apply it, oldest first. After about 100"
            " deliveries and attempts in total, Fluxrate stops recording them. Deliveries that come at"
            " the same time share one entry."
        )
    )
    async def history(self, info: Info) -> list[WebhookEventAttempt]:
        rows = await info.context.loaders.attempts.load(self.id)
        return [_attempt_of(row) for row in rows] or [self._only_attempt()]

    def _only_attempt(self) -> WebhookEventAttempt:
        source = AttemptSource.WEBHOOK if self.deliveries else AttemptSource.SYNC
        return WebhookEventAttempt(at=self.received_at, source=source, status=self.status, reason=self.reason)

    integration = link(
        Prefix.INTEGRATION, "row.integration_id", "The integration that the event was sent to.", required=True
    )

    invoice = link(Prefix.INVOICE, "row.invoice_id", "The invoice that the event is about.")

    customer = link(Prefix.CUSTOMER, "row.customer_id", "The customer that the event is about.")

    payment = link(Prefix.PAYMENT, "row.payment_id", "The payment that the event is about.")

    @strawberry.field(
        description=(
            "The body that Stripe posted. Null if the body isn't JSON or is nested too deeply. Also"
            " null while the event is QUARANTINED, because the sender of the event is not verified."
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
