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
        description="How many events of the types in `eventsToSend` Stripe listed, plus the payments that were found by"
        " asking Stripe about Payment Links."
    )
    already_known: int = strawberry.field(description="How many of the found events had arrived before.")
    applied: int = strawberry.field(description="How many of the found events were applied now.")
    failed: int = strawberry.field(
        description="How many of the found events could not be applied; Fluxrate tries them again automatically."
    )
    since: datetime = strawberry.field(description="The instant from which events were fetched.")
    complete: bool = strawberry.field(
        description=(
            "Whether everything since `since` was read. If not, sync again without `since`: that sync continues where"
            " this one stopped."
        )
    )
    gap: Diagnosis | None = strawberry.field(
        description="Set if the sync would have to fetch events more than 30 days old: Stripe no longer has them."
    )


SyncStripeEventsResult = Annotated[
    SyncStripeEventsSuccess | NotFound | InvalidInput | StripeRefused, result_of("syncStripeEvents")
]


@strawberry.type
class StripeEventMutations:
    @mutation(
        description=(
            "Ask Stripe for the events since the last sync, or since an instant, and apply those that never arrived,"
            " the oldest first. This also happens automatically every few minutes. Needs WRITE."
        )
    )
    async def sync_stripe_events(
        self,
        info: Info,
        integration_id: Annotated[strawberry.ID, strawberry.argument(description="The integration.")],
        since: Annotated[
            datetime | None,
            strawberry.argument(
                description=(
                    "The instant from which to fetch. By default this is five minutes before the end of the last sync;"
                    " at the first sync, five minutes before the integration was connected."
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
