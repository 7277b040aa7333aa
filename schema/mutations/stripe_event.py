"""Fetches events from Stripe that its deliveries did not bring."""

from datetime import datetime
from typing import Annotated

import strawberry

from resolvers.integration import sync
from schema.context import Info, given
from schema.mutations.uninterrupted import mutation
from schema.problems import InvalidInput, NotFound, StripeRefused, result_of
from schema.types.diagnosis import Diagnosis


@strawberry.type(description="Events were fetched from Stripe.")
class SyncStripeEventsSuccess:
    found: int = strawberry.field(
        description=(
            "The sum of two counts. The first is the count of events that Stripe listed; only the"
            " types in `eventsToSend` are counted. The second is the count of payments that Fluxrate"
            " found by asking Stripe about Payment Links."
        )
    )
    already_known: int = strawberry.field(description="How many of the found events had arrived before the sync.")
    applied: int = strawberry.field(description="How many of the found events the sync applied.")
    failed: int = strawberry.field(
        description="How many of the found events could not be applied. Fluxrate tries them again automatically."
    )
    since: datetime = strawberry.field(description="The instant from which events were fetched.")
    complete: bool = strawberry.field(
        description=(
            "Whether the sync read all events from the instant `since` until now. If not, call the"
            " mutation again without the argument `since`. The next sync then continues where this"
            " sync stopped."
        )
    )
    gap: Diagnosis | None = strawberry.field(
        description=(
            "A warning that events may be missing. Stripe does not list events that are more than 30"
            " days old, so the warning is set if the sync needs older events."
        )
    )


SyncStripeEventsResult = Annotated[
    SyncStripeEventsSuccess | NotFound | InvalidInput | StripeRefused, result_of("syncStripeEvents")
]


@strawberry.type
class StripeEventMutations:
    @mutation(
        description=(
            "Ask Stripe for all events since the last sync, or since a given instant. Events that"
            " never arrived at the webhook URL are applied, the oldest first. Fluxrate also syncs"
            " automatically every few minutes. Needs the scope WRITE."
        )
    )
    async def sync_stripe_events(
        self,
        info: Info,
        integration_id: Annotated[strawberry.ID, strawberry.argument(description="The id of the integration.")],
        since: Annotated[
            datetime | None,
            strawberry.argument(
                description=(
                    "The instant from which to fetch events. By default, the first sync begins five minutes"
                    " before the time when the integration was connected. Each later sync begins five minutes"
                    " before the end of the period that the previous sync read."
                )
            ),
        ] = strawberry.UNSET,
    ) -> SyncStripeEventsResult:
        progress = await sync.sync_stripe_events(info.context, integration_id, given(since))
        return SyncStripeEventsSuccess(
            found=progress.found,
            already_known=progress.already_known,
            applied=progress.applied,
            failed=progress.failed,
            since=progress.since,
            complete=progress.complete,
            gap=None if progress.gap is None else Diagnosis.of(progress.gap),
        )
