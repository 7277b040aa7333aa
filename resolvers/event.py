"""The workspace's history: lists it, and follows it live."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.queryset import QuerySet

from database.access import fetch
from database.conditions import Literally
from feed.cursor import decode_cursor, encode_cursor
from models.event import COMMON_TYPES, NOT_BY_STRIPE, RARE, STRIPE, Event
from models.kinds import EventType, InvoiceStatus, Scope, WebhookEventStatus
from resolvers.context import Context
from resolvers.reading.counts import Count, Counting, only
from resolvers.reading.filters import asked_for, conditions_of, distinct, meets, restriction
from resolvers.reading.pages import SLACK, shifted

STATUS_CHANGES: Final = (
    EventType.INVOICE_FINALIZED,
    EventType.INVOICE_PAID,
    EventType.INVOICE_VOIDED,
    EventType.INVOICE_MARKED_UNCOLLECTIBLE,
)
WEBHOOK_EVENTS: Final = (EventType.WEBHOOK_EVENT_RECEIVED, EventType.WEBHOOK_EVENT_UPDATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events to list; None means no restriction. `status` is the invoice's status after the event."""

    type: Sequence[EventType] | None = restriction("Only events of one of these types.")
    status: Sequence[InvoiceStatus] | None = None
    invoice_id: str | None = restriction("Only events about this invoice.", is_id=True)
    customer_id: str | None = restriction("Only events about this customer.", is_id=True)
    integration_id: str | None = restriction("Only events about this integration.", is_id=True)
    actor: str | None = restriction('Only events that this actor caused: the id of an API key, "stripe" or "system".')
    occurred_after: datetime | None = restriction("Only events that happened after this instant.")
    occurred_before: datetime | None = restriction("Only events that happened before this instant.")

    def restrictions(self) -> dict[str, Any]:
        """Return the restrictions by column."""
        return asked_for(
            {
                "type__in": distinct(self.type),
                "status__in": distinct(self.status),
                "invoice_id": self.invoice_id,
                "customer_id": self.customer_id,
                "integration_id": self.integration_id,
                "actor": self.actor,
                "occurred_at__gt": self.occurred_after,
                "occurred_at__lt": self.occurred_before,
            }
        )


def events(ctx: Context, query: EventQuery) -> QuerySet[Event]:
    """List the workspace's events that match a query."""
    ctx.require(Scope.READ)
    asked = query.restrictions()
    rows = ctx.listed(Event, asked).filter(*conditions_of(asked))
    if query.type is not None and COMMON_TYPES.isdisjoint(query.type):
        rows = rows.filter(Literally(RARE))
    if query.actor not in {None, STRIPE}:
        rows = rows.filter(Literally(NOT_BY_STRIPE))
    return rows


async def events_in_time(ctx: Context, query: EventQuery) -> QuerySet[Event]:
    """List the workspace's events that match a query; its times are converted to the numbers of lines."""
    rows = events(ctx, query)
    if query.occurred_after is not None:
        rows = rows.filter(number__gte=await _first_number_at(ctx, shifted(query.occurred_after, -SLACK)))
    if query.occurred_before is not None:
        rows = rows.filter(number__lt=await _first_number_at(ctx, shifted(query.occurred_before, SLACK)))
    return rows


async def _first_number_at(ctx: Context, instant: datetime) -> int:
    """Find about the first number at an instant: the log is in the order of commit, which is nearly that of time."""
    first, beyond = 1, ctx.caller.workspace.seq + 1
    while first < beyond:
        middle = (first + beyond) // 2
        found = await ctx.rows(Event).filter(number__gte=middle).order_by("number").first()
        if found is None or found.occurred_at >= instant:
            beyond = middle
        else:
            first = int(found.number) + 1
    return first


def counting_of(ctx: Context, query: EventQuery) -> Counting | None:
    """Count the events that match a query, where that is known: a workspace's events have numbers without gaps."""
    if not only(query):
        return None

    async def counting() -> Count:
        rows = await fetch("SELECT seq FROM workspaces WHERE id = $1", ctx.workspace_id)
        return Count(int(rows[0]["seq"]))

    return counting


def cursor_of(ctx: Context, number: int) -> str:
    """Make an event's cursor, the same for lists and subscriptions."""
    return encode_cursor(ctx.workspace_id, number)


def number_of(ctx: Context, cursor: str) -> int:
    """Return the number that a cursor stands for.

    Raises:
        InvalidCursorError: It is not from this workspace.
    """
    return decode_cursor(cursor, ctx.workspace_id, ctx.caller.workspace.seq)


# --- Following -------------------------------------------------------------------------------------------------


def follow(ctx: Context, after: str | None, query: EventQuery) -> AsyncGenerator[Event, None]:
    """Yield every matching event after a cursor: committed ones, then live ones. Without a cursor, only live ones.

    While an event is handled, `ctx.loaders` are those that all its followers share.

    Raises:
        ForbiddenError: The API key lacks READ.
        InvalidCursorError: The cursor is not from this workspace.
    """
    ctx.require(Scope.READ)
    if ctx.window.after is not None:
        ctx.position = ctx.window.after
    else:
        ctx.position = ctx.caller.workspace.seq if after is None else number_of(ctx, after)
    return _follow(ctx, query)


def follow_webhook_events(
    ctx: Context, after: str | None, integration_id: str | None, status: Sequence[WebhookEventStatus] | None
) -> AsyncGenerator[Event, None]:
    """Yield events about webhook events; `status` is the webhook event's current status."""
    query = EventQuery(type=WEBHOOK_EVENTS, integration_id=integration_id)
    return _of_status(ctx, follow(ctx, after, query), status)


async def _follow(ctx: Context, query: EventQuery) -> AsyncGenerator[Event, None]:
    if ctx.is_wanted is None:
        ctx.is_wanted = meets(query.restrictions())
    async with aclosing(ctx.services.feed.follow(ctx.workspace_id, ctx.position, ctx.window.until)) as lines:
        async for line in lines:
            ctx.position = line.number
            if ctx.is_wanted(line.event):
                ctx.loaders = line.shared
                yield line.event


async def _of_status(
    ctx: Context, followed: AsyncGenerator[Event, None], status: Sequence[WebhookEventStatus] | None
) -> AsyncGenerator[Event, None]:
    async with aclosing(followed) as events_:
        async for event in events_:
            if status is None or await _status_now(ctx, event) in status:
                yield event


async def _status_now(ctx: Context, event: Event) -> WebhookEventStatus | None:
    if event.webhook_event_id is None:
        return None
    row = await ctx.loaders.webhook_events.load(event.webhook_event_id)
    return row.status if row else None
