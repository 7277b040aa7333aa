"""Stripe accounts connected to the workspace."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateways.registry import GATEWAY
from models import integration as models
from models.ids import Prefix
from models.kinds import IntegrationStatus, Mode
from resolvers import webhook_event
from resolvers.integration import health, lists
from resolvers.reading.pages import PageRequest, page
from resolvers.webhook_event import WebhookEventQuery
from schema.context import Info, all_given
from schema.filters import WebhookEventFilter
from schema.node import Node
from schema.pages import Connection, paged
from schema.types.diagnosis import Diagnosis
from schema.types.lazy import LazyWebhookEventConnection


@strawberry.type(description="The health of an integration.")
class IntegrationHealth:
    problems: list[Diagnosis] = strawberry.field(
        description=("The integration's problems, most serious first. The list is empty if there are no problems.")
    )
    deliveries: int = strawberry.field(
        description="How many verified deliveries came to the integration's webhook URL."
    )
    rejected: int = strawberry.field(description="How many deliveries could not be verified.")
    quarantined: int = strawberry.field(
        description=(
            "How many webhook events wait for a webhook secret that verifies them. At most 200 events can wait."
        )
    )
    unreadable: int = strawberry.field(
        description=(
            "How many verified webhook events may report money but can't be read. These events wait"
            " for a person to look at them."
        )
    )
    quarantine_refused: int = strawberry.field(
        description=(
            "How many deliveries were refused because there was no room to store more unverified"
            " deliveries. Stripe repeats a refused delivery for three days."
        )
    )
    last_rejected_at: datetime | None = strawberry.field(
        description="The time of the latest delivery that could not be verified."
    )

    @classmethod
    def of(cls, found: health.Health) -> "IntegrationHealth":
        return cls(
            problems=[Diagnosis.of(problem) for problem in found.problems],
            deliveries=found.deliveries,
            rejected=found.rejected,
            quarantined=found.quarantined,
            unreadable=found.unreadable,
            quarantine_refused=found.quarantine_refused,
            last_rejected_at=found.last_rejected_at,
        )


@strawberry.type(description="A type of event that Stripe can send.")
class StripeEventType:
    type: str = strawberry.field(description="Stripe's name for the type.")
    is_needed: bool = strawberry.field(
        description="Whether Fluxrate needs events of this type to mark invoices as paid."
    )
    sent_when: str = strawberry.field(
        description="When Stripe sends an event of this type, such as “a payment succeeded”."
    )


@strawberry.type(description="A Stripe account connected to this workspace.")
class StripeIntegration(Node, prefix=Prefix.INTEGRATION):
    name: str = strawberry.field(description="The integration's name.")
    mode: Mode = strawberry.field(description="Whether the integration uses Stripe's live mode or test mode.")
    is_active: bool = strawberry.field(description="Whether the integration is switched on.")
    status: IntegrationStatus = strawberry.field(description="What the integration can do right now.")
    secret_key_preview: str = strawberry.field(
        description="The part of the secret key that is safe to display, such as sk_test_…4242."
    )
    webhook_secret_preview: str | None = strawberry.field(
        description=(
            "The part of the webhook secret that is safe to display, such as whsec_…4242. Null until a secret is saved."
        )
    )
    previous_webhook_secret_expires_at: datetime | None = strawberry.field(
        description="When the previous webhook secret stops verifying deliveries."
    )
    previous_webhook_secret_preview: str | None = strawberry.field(
        description=(
            "The part of the previous webhook secret that is safe to display. Null once the"
            " previous secret no longer verifies deliveries."
        )
    )
    stripe_account_id: str | None = strawberry.field(
        description="Stripe's id of the account. Null if the secret key has no permission to read this id."
    )
    created_at: datetime = strawberry.field(description="When the account was connected.")
    updated_at: datetime = strawberry.field(description="When the integration was last changed.")
    disconnected_at: datetime | None = strawberry.field(description="When the integration was removed.")
    row: strawberry.Private[models.Integration]

    @strawberry.field(
        description=(
            "The URL to which Stripe must post events. Null if the caller does not have the scope"
            " ADMIN, or if the integration is disconnected."
        )
    )
    def webhook_url(self, info: Info) -> str | None:
        info.context.tells_secret = True
        return lists.webhook_url(info.context, self.row)

    @strawberry.field(description="The types of events to select for the webhook endpoint in Stripe.")
    def events_to_send(self) -> list[str]:
        return list(GATEWAY.event_types)

    @strawberry.field(description="The types in `eventsToSend`, with an explanation of each.")
    def event_types(self) -> "list[StripeEventType]":
        return [
            StripeEventType(type=name, is_needed=handled.is_needed, sent_when=handled.when_sent)
            for name, handled in GATEWAY.event_types.items()
        ]

    @strawberry.field(description="The integration's health.")
    async def health(self, info: Info) -> IntegrationHealth:
        return IntegrationHealth.of(await health.health(info.context, self.row))

    @strawberry.field(description="When the latest verified delivery came.")
    async def last_event_at(self, info: Info) -> datetime | None:
        return await health.last_event_at(info.context, self.row)

    @strawberry.field(description="When the webhook secret last verified a delivery.")
    async def webhook_secret_last_matched_at(self, info: Info) -> datetime | None:
        traffic = await info.context.loaders.traffic.load(self.id)
        return None if traffic is None else traffic.secret_matched_at

    @strawberry.field(description="When the previous webhook secret last verified a delivery.")
    async def previous_webhook_secret_last_matched_at(self, info: Info) -> datetime | None:
        traffic = await info.context.loaders.traffic.load(self.id)
        return None if traffic is None else traffic.previous_secret_matched_at

    @strawberry.field(description="The webhook events that were sent to the integration, newest first.")
    @paged
    async def webhook_events(
        self,
        info: Info,
        request: PageRequest,
        filter: Annotated[
            WebhookEventFilter | None,
            strawberry.argument(description="Which rows to return. The filter's `integrationId` has no effect here."),
        ] = strawberry.UNSET,
    ) -> LazyWebhookEventConnection:
        from schema.types.webhook_event import WebhookEventConnection

        query = WebhookEventQuery(**{**all_given(filter), "integration_id": self.id})
        rows, narrowings = await webhook_event.webhook_events(info.context, query)
        found = await page(rows, request, descending=True, narrowings=narrowings)
        return WebhookEventConnection.of(found)

    @classmethod
    def of(cls, row: models.Integration) -> "StripeIntegration":
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            mode=row.mode,
            is_active=row.is_active,
            status=row.status,
            secret_key_preview=row.secret_key_preview,
            webhook_secret_preview=row.webhook_secret_preview,
            previous_webhook_secret_expires_at=row.previous_webhook_secret_expires_at,
            previous_webhook_secret_preview=row.previous_webhook_secret_preview,
            stripe_account_id=row.provider_account_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
            disconnected_at=row.disconnected_at,
            row=row,
        )


@strawberry.type(description="A page of integrations.")
class StripeIntegrationConnection(Connection[StripeIntegration]):
    pass
