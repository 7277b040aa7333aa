"""Fetches events from Stripe that its webhooks did not deliver.

Stripe lists its events newest first, for 30 days. A window of time is split until its events fit on a page; events are
applied oldest first, through the inbox, like deliveries. The position is saved after each window, so an interrupted
sync continues there.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import structlog
from tortoise.expressions import Q

from database.access import fetch, reading_dialect, transaction
from database.bulk import any_of
from database.scope import scoped
from errors import StripeUnavailableError
from gateways.base import EVENTS_LISTED_FOR, EventGateway
from gateways.registry import GATEWAY
from inbox.delivery import Delivery, Origin, delivery_of
from inbox.queue import Inbox
from models.diagnosis import Diagnosis, diagnose
from models.instant import from_epoch, utc_now
from models.integration import Integration, IntegrationTraffic, opened
from models.invoice import COLLECTING, Invoice
from models.kinds import AttemptSource, PaymentLinkStatus, PaymentStatus, WebhookEventStatus
from models.payment import Payment
from models.payment_link import PaymentLink
from models.reason import Reason
from models.secret import Keyring
from payment_links import lifecycle

log = structlog.get_logger(__name__)

OVERLAP: Final = timedelta(minutes=5)
"""How long before the position a sync begins: Stripe may list an event a little after its time."""

_PAGE: Final = 100
_PATIENCE: Final = 5
_MAX_WAIT_S: Final = 30.0
_LINKS_AT_ONCE: Final = 50
_LINK_REST: Final = timedelta(hours=1)
_LINK_AGE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a sync has done so far, from `since` to `until`. `complete`: everything since `since` was read.

    `gap` is set if it should have begun earlier than Stripe keeps events.
    """

    since: datetime
    until: datetime
    found: int = 0
    already_known: int = 0
    applied: int = 0
    failed: int = 0
    complete: bool = False
    gap: Diagnosis | None = None


Window = tuple[int, int]
"""A span in Unix seconds: its first second, and the one after its last."""


class Sync:
    """Reads an integration's events and sessions at Stripe, and gives what is new to the inbox."""

    def __init__(self, inbox: Inbox, gateway: EventGateway, keyring: Keyring) -> None:
        self._inbox = inbox
        self._gateway = gateway
        self._keyring = keyring

    # --- Events ------------------------------------------------------------------------------------------------

    async def fetch_events(
        self,
        integration: Integration,
        since: datetime | None = None,
        *,
        within_s: float | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Progress:
        """Apply the events that Stripe lists since an instant, or since the last sync; known events stay as they are.

        If `within_s` is over, it ends without being complete, and the next sync continues there.

        Raises:
            StripeRefusedError: Stripe does not let the key read its events.
            StripeUnavailableError: Stripe can't be reached.
            UnavailableError: The database is unavailable.
        """
        traffic = await scoped(IntegrationTraffic, integration.workspace_id).get(integration_id=integration.id)
        position = traffic.synced_until or integration.created_at
        now = utc_now()
        asked = since or position - OVERLAP
        oldest = now - EVENTS_LISTED_FOR
        begin = max(asked, oldest)
        progress = Progress(since=begin, until=begin, gap=_gap(asked, begin))
        deadline = None if within_s is None else time.monotonic() + within_s
        windows: list[Window] = [(int(begin.timestamp()), int(now.timestamp()) + 1)]
        while windows:
            if _is_over(deadline):
                return await _left_off(integration, progress, since)
            window = windows.pop()
            try:
                events, further = await self._read(integration, window, deadline)
            except StripeUnavailableError:
                if progress.until == begin:
                    raise
                return await _left_off(integration, progress, since)
            if events is None:
                windows.extend(further)
                continue
            progress = await self._apply(integration, events, progress)
            progress = replace(progress, until=min(from_epoch(window[1]), now))
            if begin <= max(position, oldest):  # otherwise the events in between would never be read
                await _move_position(integration, progress.until)
            on_progress(progress)
        return replace(progress, complete=True)

    async def _read(
        self, integration: Integration, window: Window, deadline: float | None
    ) -> tuple[list[Mapping[str, Any]] | None, list[Window]]:
        """Return a window's events, oldest first; or None and two smaller windows to read instead, the older last."""
        events, has_more = await self._page(integration, window, None, deadline)
        begin, end = window
        if has_more and end - begin > 1:
            oldest = int(events[-1]["created"])
            middle = oldest if begin < oldest < end else begin + 1
            return None, [(middle, end), (begin, middle)]
        while has_more:
            more, has_more = await self._page(integration, window, str(events[-1]["id"]), deadline)
            events += more
        return sorted(events, key=lambda event: (event["created"], event["id"])), []

    async def _page(
        self, integration: Integration, window: Window, after: str | None, deadline: float | None
    ) -> tuple[list[Mapping[str, Any]], bool]:
        begin, end = window
        for patience in range(_PATIENCE, 0, -1):
            try:
                page = await self._gateway.list_events(
                    self._key_of(integration),
                    created_gte=begin,
                    created_lt=end,
                    starting_after=after,
                    limit=_PAGE,
                )
            except StripeUnavailableError as error:
                wait_s = error.retry_after_s
                if wait_s is None or wait_s > _MAX_WAIT_S or patience == 1 or _is_over(deadline, wait_s):
                    raise
                await asyncio.sleep(wait_s)
            else:
                return list(page.rows), page.has_more
        raise AssertionError("the last try returns or raises")

    async def _apply(
        self, integration: Integration, events: Sequence[Mapping[str, Any]], progress: Progress
    ) -> Progress:
        known = await _finished(integration, [str(event["id"]) for event in events])
        unknown = [event for event in events if event["id"] not in known]
        origin = Origin(integration.workspace_id, integration.id, integration.mode)
        receipts = await asyncio.gather(*(self._inbox.accept(_found(origin, orjson.dumps(event))) for event in unknown))
        return replace(
            progress,
            found=progress.found + len(events),
            already_known=progress.already_known + len(known),
            applied=progress.applied + sum(receipt.status is WebhookEventStatus.PROCESSED for receipt in receipts),
            failed=progress.failed + sum(receipt.status is WebhookEventStatus.FAILED for receipt in receipts),
        )

    def _key_of(self, integration: Integration) -> str:
        key = opened(self._keyring, integration)
        if key is None:
            raise ValueError("a disconnected integration has no key")
        return key

    # --- Links -------------------------------------------------------------------------------------------------

    async def check_links(self, integration: Integration, *, rest: timedelta = _LINK_REST) -> int:
        """Ask Stripe about links of unpaid invoices for which no payment was reported; return how many were paid.

        A completed session is given to the inbox like the event that should have reported it. A link that was checked
        is not checked again for `rest`.

        Raises:
            StripeRefusedError: Stripe does not let the key read checkout sessions.
            StripeUnavailableError: Stripe can't be reached.
        """
        origin = Origin(integration.workspace_id, integration.id, integration.mode)
        paid = 0
        for link in await _links_to_check(integration, rest):
            for session in await self._gateway.completed_sessions(self._key_of(integration), link.provider_id or ""):
                body = orjson.dumps(GATEWAY.session_event(session, int(time.time())))
                delivery = _found(origin, body)
                if not await _finished(integration, [delivery.key]):
                    receipt = await self._inbox.accept(delivery)
                    applied = receipt.status is WebhookEventStatus.PROCESSED
                    paid += applied and session["payment_status"] != "unpaid"
            async with transaction() as tx:
                await lifecycle.checked(tx, link.id)
        return paid


def _is_over(deadline: float | None, in_s: float = 0.0) -> bool:
    return deadline is not None and time.monotonic() + in_s >= deadline


def _gap(asked: datetime, begin: datetime) -> Diagnosis | None:
    return (
        None
        if asked >= begin
        else diagnose(Reason.EVENTS_GONE, f"{asked:%Y-%m-%d %H:%M} to {begin:%Y-%m-%d %H:%M} UTC")
    )


async def _move_position(integration: Integration, until: datetime) -> None:
    async with transaction() as tx:
        await tx.execute(
            "UPDATE integration_traffic SET synced_until = $2"
            " WHERE integration_id = $1 AND (synced_until IS NULL OR synced_until < $2)",
            integration.id,
            until,
        )


async def _left_off(integration: Integration, progress: Progress, since: datetime | None) -> Progress:
    """End a sync that is not complete, and move the position back to where it stopped, if that is earlier."""
    if since is not None:
        async with transaction() as tx:
            await tx.execute(
                "UPDATE integration_traffic SET synced_until = $2 WHERE integration_id = $1 AND synced_until > $2",
                integration.id,
                progress.until,
            )
    return progress


async def _finished(integration: Integration, keys: Sequence[str]) -> set[str]:
    """Return the keys of those events that are stored already and have not failed."""
    if not keys:
        return set()
    among, values = any_of(reading_dialect(), "delivery_key", 2, keys)
    rows = await fetch(
        f"SELECT delivery_key FROM webhook_events WHERE integration_id = $1 AND {among} AND status <> 'FAILED'",  # noqa: S608
        integration.id,
        values,
    )
    return {row["delivery_key"] for row in rows}


async def _links_to_check(integration: Integration, rest: timedelta) -> Sequence[PaymentLink]:
    """Find links, not checked lately, that can be paid or have a pending payment; the longest unchecked first."""
    now = utc_now()
    under_way = scoped(Payment, integration.workspace_id).filter(
        status=PaymentStatus.PENDING, invoice_id__not_isnull=True
    )
    spent = Q(status=PaymentLinkStatus.COMPLETED, invoice_id__in=await under_way.values_list("invoice_id", flat=True))
    links = (
        await scoped(PaymentLink, integration.workspace_id)
        .filter(Q(status=PaymentLinkStatus.ACTIVE) | spent, integration_id=integration.id)
        .filter(created_at__lt=now - _LINK_AGE)
        .order_by("id")
    )
    due = [link for link in links if link.checked_at is None or link.checked_at <= now - rest]
    unpaid = await scoped(Invoice, integration.workspace_id).filter(
        id__in=[link.invoice_id for link in due], status__in=list(COLLECTING)
    )
    ids = {invoice.id for invoice in unpaid}
    due = [link for link in due if link.invoice_id in ids]
    return sorted(due, key=lambda link: link.checked_at or link.created_at)[:_LINKS_AT_ONCE]


def _found(origin: Origin, body: bytes) -> Delivery:
    """Make a delivery of what Stripe listed."""
    return delivery_of(origin, body, utc_now(), posts=0, source=AttemptSource.SYNC)
