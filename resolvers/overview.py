"""Counts for an overview: rows by status, and rows that need somebody's attention."""

from collections.abc import Mapping
from typing import Final, TypeVar

from database.access import fetch
from database.conditions import Literally
from models.kinds import InvoiceStatus, Scope, WebhookEventStatus
from models.payment import DISPUTED, OVERPAID, TO_APPLY, Payment
from models.payment_link import FAILED, PaymentLink
from resolvers.context import Context
from resolvers.reading.counts import summed

StatusT = TypeVar("StatusT", InvoiceStatus, WebhookEventStatus)

STUCK: Final = (WebhookEventStatus.HELD, WebhookEventStatus.FAILED)


async def invoices_by_status(ctx: Context) -> Mapping[InvoiceStatus, int]:
    """Count the invoices of each status; every status is listed."""
    return await _by_status(ctx, "invoice_totals", InvoiceStatus)


async def webhook_events_by_status(ctx: Context) -> Mapping[WebhookEventStatus, int]:
    """Count the webhook events of each status; every status is listed."""
    return await _by_status(ctx, "webhook_event_sums", WebhookEventStatus)


async def _by_status(ctx: Context, table: str, statuses: type[StatusT]) -> Mapping[StatusT, int]:
    ctx.require(Scope.READ)
    sql = f"SELECT status, SUM(number) AS number FROM {table} WHERE workspace_id = $1 GROUP BY status"  # noqa: S608
    found = {row["status"]: int(row["number"]) for row in await fetch(sql, ctx.workspace_id)}
    return {status: found.get(status.value, 0) for status in statuses}


# --- What needs attention --------------------------------------------------------------------------------------


async def unapplied_payments(ctx: Context) -> int:
    """Count payments that fit no invoice and were not refunded in full."""
    ctx.require(Scope.READ)
    return await ctx.rows(Payment).filter(Literally(TO_APPLY)).count()


async def overpaid_payments(ctx: Context) -> int:
    """Count payments whose excess over the invoice was not refunded in full."""
    ctx.require(Scope.READ)
    return await ctx.rows(Payment).filter(Literally(OVERPAID)).count()


async def open_disputes(ctx: Context) -> int:
    """Count payments with an undecided dispute."""
    ctx.require(Scope.READ)
    return await ctx.rows(Payment).filter(Literally(DISPUTED)).count()


async def failed_links(ctx: Context) -> int:
    """Count Payment Links that Stripe did not make."""
    ctx.require(Scope.READ)
    return await ctx.rows(PaymentLink).filter(Literally(FAILED)).count()


async def stuck_webhook_events(ctx: Context) -> int:
    """Count webhook events that are HELD or FAILED."""
    ctx.require(Scope.READ)
    count = await summed("webhook_event_sums", ctx.workspace_id, status=[status.value for status in STUCK])()
    return count.number
