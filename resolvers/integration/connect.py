"""Connects Stripe, with its webhook endpoint if the caller wants that."""

import contextlib
import hashlib
from typing import Final

import orjson
import structlog

from errors import FluxrateError, InvalidInputError, StripeRefusedError, StripeUnavailableError
from gateways.stripe.endpoints import endpoint_url
from gateways.stripe.keys import parse_webhook_secret
from gateways.stripe.registration import not_registered, register, remove, withdraw
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, new_webhook_token
from models.kinds import EventType, Scope
from models.text import required_text
from models.webhook_secret import save_secret_key, save_webhook_secret
from resolvers.context import Context
from resolvers.idempotency import earlier_result, first_result
from resolvers.integration.keys import own_secret_key

log = structlog.get_logger(__name__)

_CONNECT: Final = "connectStripe"
_REGISTER: Final = ["input", "registerWebhook"]


async def connect_stripe(
    ctx: Context,
    *,
    name: str,
    secret_key: str,
    webhook_secret: str | None,
    register_webhook: bool,
    idempotency_key: str | None,
) -> Integration:
    """Connect a Stripe account.

    Without a webhook secret it awaits one; `register_webhook` adds the endpoint and saves its secret.

    Raises:
        InvalidInputError: A field can't be taken as it is.
        ModeMismatchError: The key is of the other mode than the workspace.
        StripeRefusedError: Stripe does not accept the key, or did not add the endpoint: nothing was connected.
        ConflictError: The idempotency key was used with other input.
    """
    ctx.require(Scope.ADMIN)
    key = own_secret_key(ctx, secret_key)
    secret = None
    if (webhook_secret or "").strip():
        secret = parse_webhook_secret(webhook_secret or "", ["input", "webhookSecret"])
    if secret and register_webhook:
        raise InvalidInputError("Give either webhookSecret or registerWebhook: true, not both.", path=_REGISTER)
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
        provider_account_id=account_id,
        created_at=now,
        updated_at=now,
    )
    save_secret_key(ctx.services.keyring, integration, key)
    if not register_webhook:
        return await _save_connected(ctx, integration, secret, idempotency_key, given)
    return await _connect_registered(ctx, integration, key, idempotency_key, given)


def _token(ctx: Context, idempotency_key: str | None, given: object) -> str:
    """Make the secret part of the webhook URL: random, or with an idempotency key the same for the same request."""
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
    """Add the endpoint at Stripe, then save the integration with its secret; if saving fails, remove the endpoint."""
    gateway, token = ctx.services.gateway, integration.webhook_token or ""
    url = endpoint_url(ctx.services.public_url, token)
    try:
        registration = await register(gateway, key, url, f"connect:{hashlib.sha256(url.encode()).hexdigest()}")
    except StripeUnavailableError as error:
        earlier = await earlier_result(ctx, _CONNECT, idempotency_key, given)
        if earlier is not None:  # the same request, sent twice, has succeeded meanwhile
            return await ctx.rows(Integration).get(id=earlier)
        await withdraw(gateway, key, url)
        raise not_registered(error, ctx.services.public_url, token, _REGISTER) from None
    except StripeRefusedError as refusal:
        raise not_registered(refusal, ctx.services.public_url, token, _REGISTER) from None
    endpoint = registration.registered
    integration.webhook_endpoint_id = endpoint.provider_id
    try:
        saved = await _save_connected(ctx, integration, endpoint.secret, idempotency_key, given)
    except FluxrateError:
        with contextlib.suppress(FluxrateError):
            if not await ctx.rows(Integration).filter(id=integration.id).exists():
                await remove(gateway, key, [endpoint.provider_id])
        raise
    superfluous = registration.others if saved.id == integration.id else [endpoint.provider_id]
    await remove(gateway, key, [each for each in superfluous if each != saved.webhook_endpoint_id])
    return saved
