"""Disconnects Stripe: removes our links and endpoint there, and keeps the history."""

import asyncio
from typing import Final

import structlog

from errors import FluxrateError, SealError
from gateways.stripe.registration import remove
from models.instant import utc_now
from models.integration import Integration, opened
from models.invoice import Invoice
from models.kinds import EventType, Scope
from models.payment_link import LIVE, PaymentLink
from payment_links import lifecycle
from resolvers.context import Context

log = structlog.get_logger(__name__)


_DISCONNECT_S: Final = 10.0


async def disconnect_stripe(ctx: Context, id_: str) -> Integration:
    """Remove an integration: its secrets and webhook URL are gone, its history stays. A repetition changes nothing.

    First its links are deactivated and the endpoint that we registered is removed at Stripe, if Stripe answers within
    seconds.

    Raises:
        NotFoundError: This workspace has none with this id.
    """
    ctx.require(Scope.ADMIN)
    integration = await ctx.one(Integration, id_, "integration", ["id"])
    if integration.disconnected_at is not None:
        return integration
    key = _opened_key(ctx, integration)
    deadline = asyncio.get_running_loop().time() + _DISCONNECT_S
    await _withdraw_links(ctx, integration, key, deadline)
    async with ctx.write() as write:
        integration = await ctx.one(Integration, id_, "integration", ["id"], lock=True)
        if integration.disconnected_at is not None:
            return integration
        key = _opened_key(ctx, integration)
        endpoint_id, integration.webhook_endpoint_id = integration.webhook_endpoint_id, None
        _forget_secrets(integration)
        await integration.save()
        write.log(EventType.INTEGRATION_DISCONNECTED, integration_id=integration.id)
    await asyncio.gather(
        _withdraw_links(ctx, integration, key, deadline),  # those that were made meanwhile
        _remove_endpoint(ctx, key, endpoint_id, deadline),
    )
    ctx.refresh()
    return integration


def _opened_key(ctx: Context, integration: Integration) -> str | None:
    """Decrypt the secret key; None if its encryption key is gone: disconnecting has to work without it."""
    try:
        return opened(ctx.services.keyring, integration)
    except SealError as error:
        log.warning(
            "nothing can be removed at stripe: the secret key can't be decrypted",
            integration=integration.id,
            error=error.message,
        )
        return None


def _forget_secrets(integration: Integration) -> None:
    integration.is_active = False
    integration.webhook_token = None
    integration.secret_key_sealed = None
    integration.webhook_secret_sealed = None
    integration.previous_webhook_secret_sealed = None
    integration.previous_webhook_secret_preview = None
    integration.previous_webhook_secret_expires_at = None
    integration.disconnected_at = integration.updated_at = utc_now()


async def _withdraw_links(ctx: Context, integration: Integration, key: str | None, deadline: float) -> None:
    """Retire the integration's live links, and deactivate them at Stripe if it answers in time."""
    await _retire_all_links(ctx, integration)
    async with ctx.write():
        await lifecycle.stop_now(ctx.workspace_id, integration.id)
    due = await ctx.rows(PaymentLink).filter(integration_id=integration.id, due_at__lte=utc_now())
    try:
        async with asyncio.timeout_at(deadline):
            await asyncio.gather(*[ctx.services.link_maker.make(link.id, last_key=key) for link in due])
    except (TimeoutError, FluxrateError) as error:
        # What stays payable there is money that would be kept as an event of this account.
        log.warning("links may stay payable at stripe", integration=integration.id, links=len(due), error=repr(error))


async def _remove_endpoint(ctx: Context, key: str | None, endpoint_id: str | None, deadline: float) -> None:
    if key is None or endpoint_id is None:
        return
    try:
        async with asyncio.timeout_at(deadline):
            await remove(ctx.services.gateway, key, [endpoint_id])
    except TimeoutError:
        log.warning("a webhook endpoint stays at stripe", endpoint=endpoint_id, error="no answer came in time")


async def _retire_all_links(ctx: Context, integration: Integration) -> None:
    """Retire the integration's live links, invoice by invoice."""
    live = ctx.rows(PaymentLink).filter(integration_id=integration.id, status__in=list(LIVE))
    invoice_ids = sorted({str(invoice_id) for invoice_id in await live.values_list("invoice_id", flat=True)})
    for invoice_id in invoice_ids:
        async with ctx.write() as write:
            invoice = await ctx.one(Invoice, invoice_id, "invoice", ["id"], lock=True)
            write.happenings += await lifecycle.retire(invoice, write.actor)
