"""Fixes at Stripe what a check found: the webhook endpoint and its secret."""

import hashlib
from collections.abc import Sequence
from typing import Final

from errors import InvalidInputError, StripeRefusedError, StripeUnavailableError
from gateways.stripe.checkup import Checkup
from gateways.stripe.endpoint_calls import Registered
from gateways.stripe.endpoints import Endpoint, Endpoints
from gateways.stripe.registration import not_registered, register, remove
from models.diagnosis import Diagnosis
from models.instant import utc_now
from models.integration import Integration
from models.kinds import EventType, Scope
from models.reason import Reason
from models.webhook_secret import save_webhook_secret
from resolvers.context import Context
from resolvers.integration.health import connected_integration, health

REPLACED: Final = frozenset(
    {
        Reason.ENDPOINT_MISSING,
        Reason.ENDPOINT_DUPLICATED,
        Reason.ENDPOINT_API_VERSION_OLD,
        Reason.SIGNATURES_FAILING,
        Reason.WEBHOOK_SECRET_MISSING,
    }
)
"""Problems that a new endpoint fixes, since its secret is known."""

CHANGED: Final = frozenset(
    {
        Reason.ENDPOINT_OTHER_URL,
        Reason.ENDPOINT_DISABLED,
        Reason.ENDPOINT_EVENTS_MISSING,
        Reason.ENDPOINT_EVENTS_RECOMMENDED,
    }
)
"""Problems that a change of the endpoint fixes."""

_PATH: Final = ["id"]


async def repair_stripe_integration(
    ctx: Context, id_: str, codes: Sequence[str] | None
) -> tuple[Integration, list[Diagnosis]]:
    """Fix the problems of an integration's endpoint, or only `codes`; return it, updated, and the fixed problems.

    The integration is checked before and after. Without a problem nothing is changed.

    Raises:
        NotFoundError: This workspace has none with this id, or it is disconnected.
        InvalidInputError: A code is none that can be fixed from here.
        StripeRefusedError: Stripe does not let the key do it, or can't be asked right now.
    """
    ctx.require(Scope.ADMIN)
    wanted = _wanted(codes)
    integration = await connected_integration(ctx, id_)
    checkup = ctx.services.checkup
    try:
        before = await _problems(ctx, integration, checkup)
        fixing = {problem.code for problem in before} & wanted
        if fixing:
            await _fix(ctx, await connected_integration(ctx, id_), checkup, fixing)
        after = {problem.code for problem in await _problems(ctx, integration, checkup)} if fixing else set()
    except StripeUnavailableError as error:
        raise StripeRefusedError(error.message, code=error.code, path=_PATH) from None
    repaired = [problem for problem in before if problem.code in REPLACED | CHANGED and problem.code not in after]
    return await connected_integration(ctx, id_), repaired if fixing else []


def _wanted(codes: Sequence[str] | None) -> frozenset[str]:
    fixable = REPLACED | CHANGED
    for code in codes or ():
        if code not in fixable:
            raise InvalidInputError(
                f"Fluxrate can't fix {code[:80]!r}, only {', '.join(sorted(fixable))}. For other problems, do what"
                " their own fix says.",
                path=["codes"],
            )
    return fixable if codes is None else frozenset(codes)


async def _problems(ctx: Context, integration: Integration, checkup: Checkup) -> list[Diagnosis]:
    """Check again; returns the problems.

    Raises:
        StripeRefusedError: Stripe does not accept the key.
        StripeUnavailableError: Stripe could not be asked.
    """
    await checkup.check(integration)
    ctx.refresh()
    found = (await health(ctx, await connected_integration(ctx, integration.id))).problems
    for problem in found:
        if problem.code == Reason.KEY_REJECTED:
            raise StripeRefusedError(f"{problem.message} {problem.fix}", code=problem.code, path=_PATH)
        if problem.code == Reason.STRIPE_NOT_ASKED:
            raise StripeUnavailableError(problem.message)
    return found


async def _fix(ctx: Context, integration: Integration, checkup: Checkup, fixing: set[Reason]) -> None:
    endpoints = await checkup.endpoints(integration)
    if fixing & REPLACED:
        await _replace(ctx, integration, checkup, endpoints)
    elif endpoints.here:
        await _change(ctx, integration, checkup, endpoints, fixing)
    elif endpoints.astray:
        await _correct_url(ctx, integration, checkup, _ours(endpoints.astray, integration))


# --- Another endpoint ------------------------------------------------------------------------------------------


async def _replace(ctx: Context, integration: Integration, checkup: Checkup, endpoints: Endpoints) -> None:
    """Add an endpoint, save its secret, and remove the previous ones.

    Of two repairs at once, the one that comes second to saving removes its own endpoint.
    """
    gateway, key = ctx.services.gateway, checkup.key_of(integration)
    try:
        registration = await register(gateway, key, checkup.url_of(integration), _request(integration, endpoints))
    except (StripeRefusedError, StripeUnavailableError) as error:
        raise not_registered(error, ctx.services.public_url, integration.webhook_token or "", _PATH) from None
    added = registration.registered
    if await _save_secret(ctx, integration, added):
        superseded = {each.provider_id for each in [*endpoints.here, *endpoints.astray]} | set(registration.others)
    else:
        superseded = {added.provider_id}
    kept = (await ctx.one(Integration, integration.id, "integration", _PATH)).webhook_endpoint_id
    await remove(gateway, key, sorted(superseded - {kept}))


def _request(integration: Integration, endpoints: Endpoints) -> str:
    """Make the idempotency key of the request: two repairs of the same state get the same endpoint."""
    ids = sorted(each.provider_id for each in [*endpoints.here, *endpoints.astray])
    state = [integration.id, integration.webhook_secret_sealed or "", *ids]
    return f"repair:{hashlib.sha256(' '.join(state).encode()).hexdigest()}"


async def _save_secret(ctx: Context, integration: Integration, added: Registered) -> bool:
    """Save the new endpoint's secret, unless another one was saved meanwhile; return whether it was saved."""
    async with ctx.write() as write:
        row = await ctx.one(Integration, integration.id, "integration", _PATH, lock=True)
        if row.disconnected_at is not None or row.webhook_secret_sealed != integration.webhook_secret_sealed:
            return False
        await save_webhook_secret(write.tx, ctx.services.keyring, row, added.secret)
        row.webhook_endpoint_id = added.provider_id
        row.updated_at = utc_now()
        await row.save()
        write.log(EventType.INTEGRATION_UPDATED, integration_id=row.id)
    return True


# --- The same endpoint -----------------------------------------------------------------------------------------


async def _change(
    ctx: Context, integration: Integration, checkup: Checkup, endpoints: Endpoints, fixing: set[Reason]
) -> None:
    gateway, key = ctx.services.gateway, checkup.key_of(integration)
    endpoint = _ours(endpoints.sending or endpoints.here, integration)
    missing = (
        endpoint.missing_events if fixing & CHANGED - {Reason.ENDPOINT_OTHER_URL, Reason.ENDPOINT_DISABLED} else []
    )
    enabling = Reason.ENDPOINT_DISABLED in fixing
    if missing or enabling:
        await gateway.change_webhook_endpoint(
            key,
            endpoint.provider_id,
            events=[*endpoint.events, *missing] if missing else None,
            enabled=True if enabling else None,
        )
    if Reason.ENDPOINT_OTHER_URL in fixing:  # the right one is there already
        await remove(gateway, key, [each.provider_id for each in endpoints.astray])


async def _correct_url(ctx: Context, integration: Integration, checkup: Checkup, endpoint: Endpoint) -> None:
    missing = endpoint.missing_events
    await ctx.services.gateway.change_webhook_endpoint(
        checkup.key_of(integration),
        endpoint.provider_id,
        url=checkup.url_of(integration),
        events=[*endpoint.events, *missing] if missing else None,
        enabled=True,
    )


def _ours(endpoints: Sequence[Endpoint], integration: Integration) -> Endpoint:
    """Choose the endpoint that we registered, or else the newest."""
    registered = [each for each in endpoints if each.provider_id == integration.webhook_endpoint_id]
    return (registered or list(endpoints))[0]
