"""Replays webhook events."""

from typing import Annotated

import strawberry

from models.kinds import WebhookEventStatus
from resolvers import webhook_event
from resolvers.webhook_event import Replayed, WebhookEventQuery
from schema.context import Info, all_given
from schema.filters import WebhookEventFilter
from schema.mutations.uninterrupted import mutation
from schema.problems import Conflict, InvalidInput, NotFound, result_of
from schema.types.webhook_event import WebhookEvent

DryRun = Annotated[
    bool | None,
    strawberry.argument(
        description="If true, the mutation only returns what a replay would change, and changes nothing."
    ),
]


@strawberry.type(description="What the replay of a webhook event did. In a dry run, this is what the replay would do.")
class ReplayOutcome:
    webhook_event: WebhookEvent = strawberry.field(description="The webhook event as it is now.")
    before: WebhookEventStatus = strawberry.field(description="The webhook event's status before the replay.")
    after: WebhookEventStatus = strawberry.field(
        description=(
            "The webhook event's status after the replay. In a dry run, this is the status that the event would have."
        )
    )
    changes: list[str] = strawberry.field(
        description=(
            "One sentence for each change. In a dry run, these are the changes that the replay would"
            " make. If `replayWebhookEvents` can't replay the event yet, there is a single sentence"
            " that says why. If the event can be replayed but nothing changes, the list is empty."
        )
    )

    @classmethod
    def of(cls, replayed: Replayed) -> "ReplayOutcome":
        return cls(
            webhook_event=WebhookEvent.of(replayed.webhook_event),
            before=replayed.before,
            after=replayed.after,
            changes=replayed.changes,
        )


@strawberry.type(description="The webhook event was replayed, or its replay was tried as a dry run.")
class ReplayWebhookEventSuccess:
    outcome: ReplayOutcome = strawberry.field(
        description="What the replay did. In a dry run, this is what the replay would do."
    )


@strawberry.type(description="The webhook events were replayed, or their replay was tried as a dry run.")
class ReplayWebhookEventsSuccess:
    outcomes: list[ReplayOutcome] = strawberry.field(
        description=(
            "The outcome of each event's replay. The oldest event comes first. One call replays at most 100 events."
        )
    )
    remaining: int = strawberry.field(
        description=(
            "How many more webhook events match the filter. To replay these events, call the mutation"
            " again, and give the last outcome's `webhookEvent.receivedAt` as the filter's"
            " `receivedAfter`."
        )
    )


ReplayWebhookEventResult = Annotated[ReplayWebhookEventSuccess | NotFound | Conflict, result_of("replayWebhookEvent")]
ReplayWebhookEventsResult = Annotated[ReplayWebhookEventsSuccess | InvalidInput, result_of("replayWebhookEvents")]


@strawberry.type
class WebhookEventMutations:
    @mutation(
        description=(
            "Process a HELD, FAILED, UNAPPLIED, QUARANTINED or IGNORED webhook event again, as if"
            " Stripe had just posted it. Repeating the mutation changes nothing. Needs the scope"
            " WRITE."
        )
    )
    async def replay_webhook_event(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id of the webhook event.")],
        dry_run: DryRun = False,
    ) -> ReplayWebhookEventResult:
        replayed = await webhook_event.replay_webhook_event(info.context, id, dry_run=bool(dry_run))
        return ReplayWebhookEventSuccess(outcome=ReplayOutcome.of(replayed))

    @mutation(
        description=(
            "Replay the webhook events that match a filter, the oldest first. If the filter has no"
            " `status`, only HELD, FAILED, UNAPPLIED and QUARANTINED events match. Needs the scope"
            " WRITE."
        )
    )
    async def replay_webhook_events(
        self,
        info: Info,
        filter: Annotated[WebhookEventFilter, strawberry.argument(description="Which webhook events to replay.")],
        dry_run: DryRun = False,
    ) -> ReplayWebhookEventsResult:
        query = WebhookEventQuery(**all_given(filter))
        replayed, remaining = await webhook_event.replay_webhook_events(info.context, query, dry_run=bool(dry_run))
        return ReplayWebhookEventsSuccess(outcomes=[ReplayOutcome.of(each) for each in replayed], remaining=remaining)
