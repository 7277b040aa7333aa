"""Webhook events: lists them, and replays them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.access import fetch
from database.conditions import Literally
from errors import ConflictError, InvalidInputError
from inbox.delivery import Delivery, Receipt, kept
from models.event import Happening
from models.ids import Prefix, is_id
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import AttemptSource, EventType, Scope, WebhookEventStatus
from models.reason import Reason
from models.text import MAX_TEXT_LENGTH, optional_text
from models.webhook_event import (
    COMMON_TYPES,
    IGNORED,
    OTHER_ID,
    RARE,
    UNFINISHED,
    UNFINISHED_STATUSES,
    WITHOUT_PAYLOAD,
    WebhookEvent,
)
from resolvers.context import Context
from resolvers.reading.counts import Counting, only, summed, values_of
from resolvers.reading.filters import conditions_of, distinct, restriction
from resolvers.reading.narrowing import Found, Narrowing, Sublist, sublist
from resolvers.reading.pages import made_between

MAX_REPLAYED: Final = 100
"""How many webhook events one call replays."""

_MAX_TYPES: Final = 500
"""Twice as many as Stripe has."""

_REPLAYED_BY_DEFAULT: Final = (
    WebhookEventStatus.HELD,
    WebhookEventStatus.FAILED,
    WebhookEventStatus.UNAPPLIED,
    WebhookEventStatus.QUARANTINED,
)
_REPLAYABLE: Final = frozenset({*_REPLAYED_BY_DEFAULT, WebhookEventStatus.IGNORED})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEventQuery:
    """Which webhook events to list; None means no restriction."""

    search: str | None = restriction(
        "Only webhook events whose Stripe id, invoice id or invoice number is this text, or whose"
        " type begins with this text."
    )
    integration_id: str | None = restriction("Only webhook events that were sent to this integration.", is_id=True)
    status: Sequence[WebhookEventStatus] | None = restriction("Only webhook events with one of these statuses.")
    type: Sequence[str] | None = restriction(
        'Only webhook events of one of these Stripe types, such as "payment_intent.succeeded".'
    )
    invoice_id: str | None = restriction("Only webhook events about this invoice.", is_id=True)
    reason_code: str | None = restriction("Only webhook events whose `reason` has this `code`.")
    received_after: datetime | None = restriction("Only webhook events that were first received after this instant.")
    received_before: datetime | None = restriction("Only webhook events that were first received before this instant.")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did, or would do: a sentence for each change."""

    webhook_event: WebhookEvent
    before: WebhookEventStatus
    after: WebhookEventStatus
    changes: list[str]


# --- Reading ---------------------------------------------------------------------------------------------------


async def webhook_events(ctx: Context, query: WebhookEventQuery) -> tuple[QuerySet[WebhookEvent], list[Narrowing]]:
    """List the webhook events that match a query, without payloads; also return conditions that other indexes serve.

    Raises:
        InvalidInputError: A filter can't be taken as it is.
    """
    ctx.require(Scope.READ)
    return _asked(ctx, query).only(*WITHOUT_PAYLOAD), await _searched(ctx, query.search)


def counting_of(ctx: Context, query: WebhookEventQuery) -> Counting | None:
    """Count the webhook events that match a query, if the sums have that number."""
    if not only(query, "status", "type"):
        return None
    types = None if query.type is None else _possible(query.type)
    return summed("webhook_event_sums", ctx.workspace_id, status=values_of(query.status), type=types)


async def webhook_event_by_provider_id(ctx: Context, provider_event_id: str) -> WebhookEvent | None:
    """Find the webhook event with an id of Stripe's; if two integrations have it, the newest."""
    ctx.require(Scope.READ)
    if len(provider_event_id) > MAX_TEXT_LENGTH:
        return None
    rows = ctx.rows(WebhookEvent).order_by("-id").only(*WITHOUT_PAYLOAD)
    found = [await rows.filter(known).first() for known in await _known_as(ctx, provider_event_id)]
    return max((row for row in found if row is not None), key=lambda row: row.id, default=None)


async def _known_as(ctx: Context, provider_event_id: str) -> list[Q]:
    """Return the conditions, each with an index, one of which an event with this id of Stripe's meets."""
    integrations = await ctx.rows(Integration).values_list("id", flat=True)
    return [
        Q(integration_id__in=list(integrations), delivery_key=provider_event_id, provider_event_id=provider_event_id),
        Q(Literally(OTHER_ID), provider_event_id=provider_event_id),
    ]


def _asked(ctx: Context, query: WebhookEventQuery) -> QuerySet[WebhookEvent]:
    restrictions = {
        "integration_id": query.integration_id,
        "status__in": distinct(query.status),
        "type__in": None if query.type is None else _possible(query.type),
        "invoice_id": query.invoice_id,
        "reason_code": query.reason_code and query.reason_code[:MAX_TEXT_LENGTH],
    }
    rows = ctx.listed(WebhookEvent, restrictions).filter(*conditions_of(restrictions))
    if query.status is not None and set(query.status) <= UNFINISHED_STATUSES:
        rows = rows.filter(Literally(UNFINISHED))
    if query.status is not None and set(query.status) == {WebhookEventStatus.IGNORED}:
        rows = rows.filter(Literally(IGNORED))
    if query.type is not None and COMMON_TYPES.isdisjoint(query.type):
        rows = rows.filter(Literally(RARE))
    return rows.filter(*made_between(Prefix.WEBHOOK_EVENT, "received_at", query.received_after, query.received_before))


async def _searched(ctx: Context, search: str | None) -> list[Narrowing]:
    """Search by an event's id, an invoice's id or number, or the beginning of a type: each has an index."""
    text = optional_text(search, "The search", ["filter", "search"])
    if text is None:
        return []
    numbered = await ctx.rows(Invoice).filter(number=text).values_list("id", flat=True)
    invoices = [text] if is_id(text, Prefix.INVOICE) else [str(id_) for id_ in numbered]
    types = [type_ for type_ in await _types(ctx) if type_.startswith(text)]
    lists = [*map(Sublist, await _known_as(ctx, text)), *(sublist("invoice_id", id_) for id_ in invoices)]
    lists += [Sublist(Q(type=type_) if type_ in COMMON_TYPES else Q(Literally(RARE), type=type_)) for type_ in types]

    async def find() -> Found | None:
        return Found(lists=lists)

    holds = Q(Q(provider_event_id=text), Q(invoice_id__in=invoices), Q(type__in=types), join_type=Q.OR)
    return [Narrowing(holds, find)]


async def _types(ctx: Context) -> list[str]:
    """Read the types that the workspace has received, from the sums."""
    found = await fetch("SELECT DISTINCT type FROM webhook_event_sums WHERE workspace_id = $1", ctx.workspace_id)
    return sorted(row["type"] for row in found)


def _possible(types: Sequence[str]) -> list[str]:
    """Drop duplicates, and types that are too long to be Stripe's.

    Raises:
        InvalidInputError: There are more than a statement takes.
    """
    possible = {type_ for type_ in types if 0 < len(type_) <= MAX_TEXT_LENGTH}
    if len(possible) > _MAX_TYPES:
        raise InvalidInputError(f"The filter has {len(possible)} types: give at most {_MAX_TYPES}.", path=["filter"])
    return list(possible)


# --- Replaying -------------------------------------------------------------------------------------------------


async def replay_webhook_event(ctx: Context, id_: str, *, dry_run: bool) -> Replayed:
    """Process a webhook event again, as if it had just been posted; `dry_run` only says what would change.

    A PROCESSED event changes nothing.

    Raises:
        NotFoundError: This workspace has none with this id.
        ConflictError: Something else has to be fixed first; the message says what.
    """
    ctx.require(Scope.WRITE)
    webhook_event = await ctx.one(WebhookEvent, id_, "webhook event", ["id"])
    delivery = await _delivery(ctx, webhook_event)
    (replayed,) = await _replay(ctx, [(webhook_event, delivery)], dry_run=dry_run)
    return replayed


async def replay_webhook_events(ctx: Context, query: WebhookEventQuery, *, dry_run: bool) -> tuple[list[Replayed], int]:
    """Replay the oldest 100 webhook events that match a query; also return how many more there are.

    Without a status these are HELD, FAILED, UNAPPLIED and QUARANTINED ones. An event that can't be replayed yet stays
    as it is, and its `changes` say why.

    Raises:
        InvalidInputError: Nothing with these statuses can be replayed, or the filter has too many types.
    """
    ctx.require(Scope.WRITE)
    statuses = _REPLAYED_BY_DEFAULT if query.status is None else sorted(_REPLAYABLE & set(query.status))
    if not statuses:
        raise InvalidInputError(
            "PROCESSED webhook events can't be replayed: select HELD, FAILED, UNAPPLIED, QUARANTINED or IGNORED.",
            path=["filter", "status"],
        )
    narrowings = await _searched(ctx, query.search)
    rows = _asked(ctx, replace(query, status=statuses)).filter(*(narrowing.holds for narrowing in narrowings))
    found = await rows.order_by("workspace_id", "id").limit(MAX_REPLAYED)
    remaining = await rows.count() - len(found)
    ready: list[tuple[WebhookEvent, Delivery | None]] = []
    refused: dict[str, Replayed] = {}
    for webhook_event in found:
        try:
            ready.append((webhook_event, await _delivery(ctx, webhook_event)))
        except ConflictError as refusal:
            status = webhook_event.status
            refused[webhook_event.id] = Replayed(webhook_event, status, status, [f"Not replayed: {refusal.message}"])
    replayed = {(entry.webhook_event.id): entry for entry in await _replay(ctx, ready, dry_run=dry_run)}
    outcomes = {**refused, **replayed}
    return [outcomes[webhook_event.id] for webhook_event in found], remaining


async def _delivery(ctx: Context, webhook_event: WebhookEvent) -> Delivery | None:
    """Make a delivery of a stored event; None if it is PROCESSED.

    Raises:
        ConflictError: It can't be tried yet.
    """
    if webhook_event.status is WebhookEventStatus.PROCESSED:
        return None
    integration = await ctx.rows(Integration).get(id=webhook_event.integration_id)
    if webhook_event.status is WebhookEventStatus.QUARANTINED:
        delivery = ctx.services.quarantine.verified(integration, webhook_event)
        if delivery is None:
            raise ConflictError(_unverified(integration), code="SIGNATURE_NOT_VERIFIED", path=["id"])
        return delivery
    if not integration.is_active and integration.disconnected_at is None:
        raise ConflictError(
            f"The integration {integration.name!r} is switched off: switch it on (isActive: true); its HELD events are"
            " then applied.",
            code=Reason.INTEGRATION_INACTIVE,
            path=["id"],
        )
    return kept(integration, webhook_event, again=True, source=AttemptSource.REPLAY)


def _unverified(integration: Integration) -> str:
    if integration.disconnected_at is not None:
        return "It was never verified, and its integration is disconnected: nothing is left to verify it with."
    if integration.webhook_secret_sealed is None:
        return "No webhook secret is saved yet: save the Signing secret (whsec_…), which then verifies it."
    return (
        "Its Stripe-Signature does not match the webhook secret that is saved: copy the Signing secret (whsec_…) of"
        " exactly this endpoint from Stripe and save it. The deliveries that it signed are then applied."
    )


async def _replay(
    ctx: Context, entries: Sequence[tuple[WebhookEvent, Delivery | None]], *, dry_run: bool
) -> list[Replayed]:
    deliveries = [delivery for _, delivery in entries if delivery is not None]
    if dry_run:
        receipts = await ctx.services.inbox.rehearse(deliveries) if deliveries else []
    else:
        receipts = await asyncio.gather(*(ctx.services.inbox.accept(delivery) for delivery in deliveries))
        ctx.refresh()
    rest = iter(receipts)
    return [
        await _replayed(ctx, webhook_event, next(rest) if delivery else None) for webhook_event, delivery in entries
    ]


async def _replayed(ctx: Context, webhook_event: WebhookEvent, receipt: Receipt | None) -> Replayed:
    before = webhook_event.status
    if receipt is None or receipt.status is None:
        return Replayed(webhook_event, before, before, [])
    stored = await ctx.rows(WebhookEvent).filter(id=receipt.webhook_event_id).first()
    numbers = await _numbers(ctx, receipt.happenings)
    changes = [sentence for entry in receipt.happenings if (sentence := _change(entry, numbers))]
    return Replayed(stored or webhook_event, before, receipt.status, changes)


async def _numbers(ctx: Context, happenings: Sequence[Happening]) -> dict[str, str]:
    """Read the numbers of the invoices that a replay changed."""
    ids = {entry.invoice_id for entry in happenings if entry.invoice_id}
    rows = await ctx.rows(Invoice).filter(id__in=list(ids)) if ids else []
    return {row.id: row.number or row.id for row in rows}


def _change(entry: Happening, numbers: dict[str, str]) -> str | None:
    template = _CHANGES.get(entry.type)
    invoice = numbers.get(entry.invoice_id or "", "no invoice")
    return template and template.format(invoice=invoice, before=entry.previous_status, after=entry.status)


_CHANGES: Final = {
    EventType.PAYMENT_PENDING: "A pending payment is recorded for {invoice}.",
    EventType.PAYMENT_SUCCEEDED: "The payment succeeded and counts for {invoice}.",
    EventType.PAYMENT_APPLIED: "The payment that was unapplied counts for {invoice}.",
    EventType.PAYMENT_UNAPPLIED: "The payment is recorded, unapplied.",
    EventType.PAYMENT_FAILED: "A failed attempt is recorded for {invoice}.",
    EventType.PAYMENT_REFUNDED: "The payment's refunded amount changes.",
    EventType.PAYMENT_REFUND_FAILED: "A refund of the payment failed.",
    EventType.PAYMENT_DISPUTED: "The payment is disputed.",
    EventType.PAYMENT_DISPUTE_CLOSED: "The payment's dispute is closed.",
    EventType.INVOICE_PARTIALLY_PAID: "{invoice} is partially paid.",
    EventType.INVOICE_PAID: "{invoice}: {before} → {after}.",
    EventType.PAYMENT_LINK_DEACTIVATED: "The payment link of {invoice} is deactivated.",
}
