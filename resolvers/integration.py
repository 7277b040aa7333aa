"""Stripe integrations: connecting, keeping the secrets fresh, switching off and on, disconnecting."""

import asyncio
from typing import Final

from tortoise.queryset import QuerySet

from models.api_key import Scope
from models.errors import Conflict, FluxrateError, InvalidInput
from models.event import EventType
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import (
    Integration,
    IntegrationTraffic,
    new_webhook_token,
    parse_secret_key,
    parse_webhook_secret,
)
from models.invoice import Invoice
from models.payment_link import LIVE, PaymentLink
from models.text import required_text
from models.webhook_secret import save_secret_key, save_webhook_secret
from resolvers.context import KEEP, Context, Keep, Write
from resolvers.idempotency import first_result
from resolvers.link_maker import retire_links

_DISCONNECT_S: Final = 10.0


# --- Connecting ------------------------------------------------------------------------------------------------


async def connect_stripe(
    ctx: Context,
    *,
    name: str,
    secret_key: str,
    webhook_secret: str | None,
    register_webhook: bool,
    idempotency_key: str | None,
) -> Integration:
    """Connect a Stripe account. Without a webhook secret it waits for one; `register_webhook` adds the endpoint.

    Raises:
        InvalidInput: A field can't be taken as it is.
        ModeMismatch: The key is of the other mode than the workspace.
        StripeRefused: Stripe does not accept the key, or did not add the endpoint.
        Conflict: The idempotency key was used with other input.
    """
    ctx.require(Scope.ADMIN)
    key = _secret_key(ctx, secret_key)
    secret = None
    if (webhook_secret or "").strip():
        secret = parse_webhook_secret(webhook_secret or "", ["input", "webhookSecret"])
    if secret and register_webhook:
        raise InvalidInput(
            "Give a webhook secret or let the endpoint be registered, not both.", path=["input", "registerWebhook"]
        )
    title = required_text(name, "The connection name", ["input", "name"])
    account_id = await ctx.services.gateway.account_of(key)
    now = utc_now()
    integration = Integration(
        id=new_id(Prefix.INTEGRATION),
        workspace_id=ctx.workspace_id,
        name=title,
        mode=ctx.caller.workspace.mode,
        is_active=True,
        webhook_token=new_webhook_token(),
        stripe_account_id=account_id,
        created_at=now,
        updated_at=now,
    )
    save_secret_key(ctx.services.keyring, integration, key)
    given = [title, key, secret, register_webhook]
    async with ctx.write() as write:
        first = await first_result(write, "connectStripe", idempotency_key, given, integration.id)
        if first != integration.id:
            return await ctx.rows(Integration).get(id=first)
        if secret:
            await save_webhook_secret(write.tx, ctx.services.keyring, integration, secret)
        await integration.save()
        await IntegrationTraffic(integration_id=integration.id, workspace_id=ctx.workspace_id).save()
        write.log(EventType.INTEGRATION_CONNECTED, integration_id=integration.id)
    return await _register_webhook(ctx, integration, key) if register_webhook else integration


async def _register_webhook(ctx: Context, integration: Integration, key: str) -> Integration:
    url = webhook_url(ctx, integration)
    registered = await ctx.services.gateway.register_webhook(key, url or "", f"webhook:{integration.id}")
    async with ctx.write() as write:
        connected = await _connected(ctx, integration.id, ["input", "registerWebhook"])
        await save_webhook_secret(write.tx, ctx.services.keyring, connected, registered.secret)
        await connected.save()
        write.log(EventType.INTEGRATION_UPDATED, integration_id=connected.id)
    return connected


def _secret_key(ctx: Context, text: str) -> str:
    return parse_secret_key(
        text,
        ctx.caller.workspace.mode,
        live_keys_allowed=ctx.services.gateway.live_keys_allowed,
        path=["input", "secretKey"],
    )


# --- Changing --------------------------------------------------------------------------------------------------


async def update_stripe_integration(
    ctx: Context,
    id_: str,
    *,
    name: str | Keep = KEEP,
    secret_key: str | Keep = KEEP,
    webhook_secret: str | Keep = KEEP,
    is_active: bool | Keep = KEEP,
    allow_account_change: bool = False,
) -> tuple[Integration, int]:
    """Change an integration in place, and how many waiting deliveries that applied.

    A new secret key is first tried. A new webhook secret leaves the old one valid for a day. Switching it on applies
    what was held, in order.

    Raises:
        NotFound: This workspace has none with this id, or it is disconnected.
        InvalidInput: A field can't be taken as it is.
        ModeMismatch: The key is of the other mode than the workspace.
        StripeRefused: Stripe does not accept the key.
        Conflict: The key opens another Stripe account.
    """
    ctx.require(Scope.ADMIN)
    title = name if name is KEEP else required_text(name, "The connection name", ["input", "name"])
    secret: str | Keep = KEEP
    if webhook_secret is not KEEP:
        secret = parse_webhook_secret(webhook_secret, ["input", "webhookSecret"])
    key: str | Keep = KEEP
    account_id: str | None = None
    if secret_key is not KEEP:
        await ctx.one(Integration, id_, "integration", ["input", "id"])
        key = _secret_key(ctx, secret_key)
        account_id = await ctx.services.gateway.account_of(key)
    async with ctx.write() as write:
        integration = await _connected(ctx, id_, ["input", "id"])
        switched_on = is_active is True and not integration.is_active
        if title is not KEEP:
            integration.name = title
        if key is not KEEP:
            _check_account(integration, account_id, allowed=allow_account_change)
            save_secret_key(ctx.services.keyring, integration, key)
            integration.stripe_account_id = account_id or integration.stripe_account_id
        if secret is not KEEP:
            await save_webhook_secret(write.tx, ctx.services.keyring, integration, secret)
        if is_active is not KEEP:
            integration.is_active = is_active
        integration.updated_at = utc_now()
        await integration.save()
        if key is not KEEP or switched_on:
            await _retry_links(write, integration)
        write.log(EventType.INTEGRATION_UPDATED, integration_id=integration.id)
    ctx.services.link_maker.wake()
    applied = await ctx.services.inbox.release_held(integration) if switched_on else 0
    ctx.refresh()
    return integration, applied


async def _connected(ctx: Context, id_: str, path: list[str]) -> Integration:
    integration = await ctx.one(Integration, id_, "integration", path, lock=True)
    if integration.disconnected_at is not None:
        raise InvalidInput(
            "This integration is disconnected for good: connect Stripe anew (connectStripe).",
            code="INTEGRATION_DISCONNECTED",
            path=path,
        )
    return integration


def _check_account(integration: Integration, account_id: str | None, *, allowed: bool) -> None:
    known = integration.stripe_account_id
    if account_id is None or known is None or account_id == known or allowed:
        return
    raise Conflict(
        f"This key opens another Stripe account ({account_id}) than the integration's ({known}): use a key of the same"
        " account, connect the other one as an integration of its own, or say allowAccountChange: true.",
        code="OTHER_STRIPE_ACCOUNT",
        path=["input", "secretKey"],
    )


async def _retry_links(write: Write, integration: Integration) -> None:
    """Links that could not be made, or made unpayable, for want of a working key are due again."""
    await write.tx.execute(
        "UPDATE payment_links SET due_at = $2 WHERE integration_id = $1"
        " AND problem_code IN ('KEY_REJECTED', 'KEY_NOT_PERMITTED', 'INTEGRATION_UNUSABLE')",
        integration.id,
        utc_now(),
    )


# --- Disconnecting ---------------------------------------------------------------------------------------------


async def disconnect_stripe(ctx: Context, id_: str) -> Integration:
    """Remove an integration: its secrets and its webhook URL are gone, its history stays. Doing so again changes
    nothing.

    Links that can still be paid are first made unpayable at Stripe, as far as it answers within seconds.

    Raises:
        NotFound: This workspace has none with this id.
    """
    ctx.require(Scope.ADMIN)
    integration = await ctx.one(Integration, id_, "integration", ["id"])
    if integration.disconnected_at is not None:
        return integration
    await _retire_all_links(ctx, integration)
    due = ctx.rows(PaymentLink).filter(integration_id=integration.id, due_at__lte=utc_now())
    try:
        async with asyncio.timeout(_DISCONNECT_S):
            await asyncio.gather(*[ctx.services.link_maker.make(link.id) for link in await due])
    except (TimeoutError, FluxrateError):
        pass  # what Stripe did not answer stays payable there; the money would be kept as an event of this account
    async with ctx.write() as write:
        integration = await ctx.one(Integration, id_, "integration", ["id"], lock=True)
        if integration.disconnected_at is None:
            integration.is_active = False
            integration.webhook_token = None
            integration.secret_key_sealed = None
            integration.webhook_secret_sealed = None
            integration.previous_webhook_secret_sealed = None
            integration.previous_webhook_secret_preview = None
            integration.previous_webhook_secret_expires_at = None
            integration.disconnected_at = integration.updated_at = utc_now()
            await integration.save()
            write.log(EventType.INTEGRATION_DISCONNECTED, integration_id=integration.id)
    return integration


async def _retire_all_links(ctx: Context, integration: Integration) -> None:
    """Take back the live links of an integration, invoice by invoice."""
    live = ctx.rows(PaymentLink).filter(integration_id=integration.id, status__in=list(LIVE))
    invoice_ids = sorted({str(invoice_id) for invoice_id in await live.values_list("invoice_id", flat=True)})
    for invoice_id in invoice_ids:
        async with ctx.write() as write:
            invoice = await ctx.one(Invoice, invoice_id, "invoice", ["id"], lock=True)
            for _ in await retire_links(invoice):
                write.log(
                    EventType.PAYMENT_LINK_DEACTIVATED,
                    invoice_id=invoice.id,
                    customer_id=invoice.customer_id,
                    integration_id=integration.id,
                )


# --- Reading ---------------------------------------------------------------------------------------------------


def stripe_integrations(ctx: Context, *, include_disconnected: bool) -> QuerySet[Integration]:
    """The workspace's integrations."""
    ctx.require(Scope.READ)
    rows = ctx.rows(Integration)
    return rows if include_disconnected else rows.filter(disconnected_at=None)


def webhook_url(ctx: Context, integration: Integration) -> str | None:
    """Where Stripe has to post; None for callers without ADMIN, and once disconnected."""
    if Scope.ADMIN not in ctx.caller.scopes or integration.webhook_token is None:
        return None
    return f"{ctx.services.public_url}/webhooks/stripe/{integration.webhook_token}"
