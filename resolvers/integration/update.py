"""Changes an integration: its name, its secrets, whether it is active."""

from errors import ConflictError, InvalidInputError
from gateways.stripe.keys import parse_webhook_secret
from models.instant import utc_now
from models.integration import Integration
from models.kinds import EventType, Scope
from models.text import required_text
from models.webhook_secret import save_secret_key, save_webhook_secret
from payment_links import lifecycle
from resolvers.context import KEEP, Context, Keep
from resolvers.integration.keys import own_secret_key


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
    """Change an integration; also return how many webhook events a new secret released from the quarantine.

    A new secret key is tried first. After a new webhook secret the old one stays valid for a day at most. Switching the
    integration on applies HELD events, in order.

    Raises:
        NotFoundError: This workspace has none with this id, or it is disconnected.
        InvalidInputError: A field can't be taken as it is.
        ModeMismatchError: The key is of the other mode than the workspace.
        StripeRefusedError: Stripe does not accept the key.
        ConflictError: The key opens another Stripe account.
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
        key = own_secret_key(ctx, secret_key)
        account_id = await ctx.services.gateway.account_of(key)
    async with ctx.write() as write:
        integration = await _connected(ctx, id_, ["input", "id"])
        switched_on = is_active is True and not integration.is_active
        if title is not KEEP:
            integration.name = title
        if key is not KEEP:
            _check_account(integration, account_id, allowed=allow_account_change)
            save_secret_key(ctx.services.keyring, integration, key)
            integration.provider_account_id = account_id or integration.provider_account_id
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
    applied = await ctx.services.quarantine.release_or_defer(integration) if secret is not KEEP else 0
    ctx.refresh()
    return integration, applied


def _check_account(integration: Integration, account_id: str | None, *, allowed: bool) -> None:
    known = integration.provider_account_id
    if account_id is None or known is None or account_id == known or allowed:
        return
    raise ConflictError(
        f"This key belongs to the Stripe account {account_id}, but the integration belongs to {known}: use a key of the"
        " same account, connect the other account as a separate integration, or set allowAccountChange: true.",
        code="OTHER_STRIPE_ACCOUNT",
        path=["input", "secretKey"],
    )


async def _connected(ctx: Context, id_: str, path: list[str]) -> Integration:
    integration = await ctx.one(Integration, id_, "integration", path, lock=True)
    if integration.disconnected_at is not None:
        raise InvalidInputError(
            "This integration is disconnected for good: connect Stripe again (connectStripe).",
            code="INTEGRATION_DISCONNECTED",
            path=path,
        )
    return integration
