"""Stripe integrations: connecting, keeping the secrets fresh, switching off and on, disconnecting."""

import asyncio
import contextlib
import hashlib
from typing import Final

import orjson
import structlog
from tortoise.queryset import QuerySet

from errors import Conflict, FluxrateError, InvalidInput, SealError, StripeRefused, StripeUnavailable
from gateways.stripe.endpoints import endpoint_url
from gateways.stripe.keys import parse_secret_key, parse_webhook_secret
from gateways.stripe.registration import not_registered, register, remove, withdraw
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, new_webhook_token, opened
from models.invoice import Invoice
from models.kinds import EventType, Scope
from models.payment_link import LIVE, PaymentLink
from models.text import required_text
from models.webhook_secret import save_secret_key, save_webhook_secret
from payment_links import lifecycle
from resolvers.context import KEEP, Context, Keep
from resolvers.idempotency import earlier_result, first_result

log = structlog.get_logger(__name__)

_CONNECT: Final = "connectStripe"
_REGISTER: Final = ["input", "registerWebhook"]
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
        StripeRefused: Stripe does not accept the key, or did not add the endpoint: nothing was connected.
        Conflict: The idempotency key was used with other input.
    """
    ctx.require(Scope.ADMIN)
    key = _secret_key(ctx, secret_key)
    secret = None
    if (webhook_secret or "").strip():
        secret = parse_webhook_secret(webhook_secret or "", ["input", "webhookSecret"])
    if secret and register_webhook:
        raise InvalidInput("Give a webhook secret or let the endpoint be registered, not both.", path=_REGISTER)
    title = required_text(name, "The connection name", ["input", "name"])
    given = [title, key, secret, register_webhook]
    earlier = await earlier_result(ctx, _CONNECT, idempotency_key, given)
    if earlier is not None:
        return await ctx.rows(Integration).get(id=earlier)
    account_id = await ctx.services.gateway.account_of(key)
    now = utc_now()
    integration = Integration(
        id=new_id(Prefix.INTEGRATION),
        workspace_id=ctx.workspace_id,
        name=title,
        mode=ctx.caller.workspace.mode,
        is_active=True,
        webhook_token=_token(ctx, idempotency_key, given) if register_webhook else new_webhook_token(),
        stripe_account_id=account_id,
        created_at=now,
        updated_at=now,
    )
    save_secret_key(ctx.services.keyring, integration, key)
    if not register_webhook:
        return await _save_connected(ctx, integration, secret, idempotency_key, given)
    return await _connect_registered(ctx, integration, key, idempotency_key, given)


def _token(ctx: Context, idempotency_key: str | None, given: object) -> str:
    """The webhook URL's secret part: at random, or the same for the same request, so that its endpoint is the same."""
    if idempotency_key is None:
        return new_webhook_token()
    asked = hashlib.sha256(orjson.dumps(given)).hexdigest()
    purpose = f"webhook token {ctx.workspace_id} {asked} {idempotency_key}"
    return new_webhook_token(ctx.services.keyring.derive(purpose)[0])


async def _save_connected(
    ctx: Context, integration: Integration, secret: str | None, idempotency_key: str | None, given: object
) -> Integration:
    async with ctx.write() as write:
        first = await first_result(write, _CONNECT, idempotency_key, given, integration.id)
        if first != integration.id:
            return await ctx.rows(Integration).get(id=first)
        if secret:
            await save_webhook_secret(write.tx, ctx.services.keyring, integration, secret)
        await integration.save()
        await IntegrationTraffic(integration_id=integration.id, workspace_id=ctx.workspace_id).save()
        write.log(EventType.INTEGRATION_CONNECTED, integration_id=integration.id)
    return integration


async def _connect_registered(
    ctx: Context, integration: Integration, key: str, idempotency_key: str | None, given: object
) -> Integration:
    """Add the endpoint at Stripe, then save the integration with its secret; if that fails, take the endpoint back."""
    gateway, token = ctx.services.gateway, integration.webhook_token or ""
    url = endpoint_url(ctx.services.public_url, token)
    try:
        registration = await register(gateway, key, url, f"connect:{hashlib.sha256(url.encode()).hexdigest()}")
    except StripeUnavailable as error:
        earlier = await earlier_result(ctx, _CONNECT, idempotency_key, given)
        if earlier is not None:  # the same request, sent twice, has succeeded meanwhile
            return await ctx.rows(Integration).get(id=earlier)
        await withdraw(gateway, key, url)
        raise not_registered(error, ctx.services.public_url, token, _REGISTER) from None
    except StripeRefused as refusal:
        raise not_registered(refusal, ctx.services.public_url, token, _REGISTER) from None
    endpoint = registration.registered
    integration.webhook_endpoint_id = endpoint.stripe_id
    try:
        saved = await _save_connected(ctx, integration, endpoint.secret, idempotency_key, given)
    except FluxrateError:
        with contextlib.suppress(FluxrateError):
            if not await ctx.rows(Integration).filter(id=integration.id).exists():
                await remove(gateway, key, [endpoint.stripe_id])
        raise
    superfluous = registration.others if saved.id == integration.id else [endpoint.stripe_id]
    await remove(gateway, key, [each for each in superfluous if each != saved.webhook_endpoint_id])
    return saved


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
    """Change an integration in place, and how many webhook events a new secret released from quarantine.

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
            await lifecycle.retry(write.tx, integration.id)
        write.log(EventType.INTEGRATION_UPDATED, integration_id=integration.id)
    ctx.services.link_maker.wake()
    if switched_on:
        await ctx.services.inbox.release_held(integration)
    applied = await ctx.services.quarantine.release_or_owe(integration) if secret is not KEEP else 0
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


async def discard_quarantined(ctx: Context, id_: str) -> tuple[Integration, int]:
    """Drop all that waits for a secret that verifies it, and how many webhook events that was.

    Raises:
        NotFound: This workspace has none with this id.
    """
    ctx.require(Scope.ADMIN)
    async with ctx.write() as write:
        integration = await ctx.one(Integration, id_, "integration", ["id"], lock=True)
        discarded = await ctx.services.quarantine.discard(write.tx, integration.id)
        if discarded:
            write.log(EventType.INTEGRATION_UPDATED, integration_id=integration.id)
    return integration, discarded


# --- Disconnecting ---------------------------------------------------------------------------------------------


async def disconnect_stripe(ctx: Context, id_: str) -> Integration:
    """Remove an integration: its secrets and its webhook URL are gone, its history stays. Doing so again changes
    nothing.

    Links that can still be paid are first made unpayable at Stripe, and the endpoint that we registered is removed
    there, as far as it answers within seconds.

    Raises:
        NotFound: This workspace has none with this id.
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
    """The secret key; None when the encryption key that sealed it is gone: disconnecting must work without."""
    try:
        return opened(ctx.services.keyring, integration)
    except SealError as error:
        log.warning("stripe can't be told of the disconnection", integration=integration.id, error=error.message)
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
    """Take back the live links of an integration, and make them unpayable at Stripe as far as it answers in time."""
    await _retire_all_links(ctx, integration)
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
    """Take back the live links of an integration, invoice by invoice."""
    live = ctx.rows(PaymentLink).filter(integration_id=integration.id, status__in=list(LIVE))
    invoice_ids = sorted({str(invoice_id) for invoice_id in await live.values_list("invoice_id", flat=True)})
    for invoice_id in invoice_ids:
        async with ctx.write() as write:
            invoice = await ctx.one(Invoice, invoice_id, "invoice", ["id"], lock=True)
            write.happenings += await lifecycle.retire(invoice, write.actor)


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
    return endpoint_url(ctx.services.public_url, integration.webhook_token)
