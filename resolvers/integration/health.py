"""The health of a Stripe integration: counts of deliveries, problems, and their fixes."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from database.conditions import Literally
from errors import NotFoundError
from gateways.stripe.checkup import kept_findings
from gateways.stripe.rejections import signatures_failing
from models.diagnosis import Diagnosis, diagnose
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic
from models.kinds import Scope, WebhookEventStatus
from models.reason import Reason
from models.webhook_event import UNFINISHED, WebhookEvent
from models.webhook_url import is_local
from resolvers.context import Context
from resolvers.integration.lists import stripe_integrations

BY_SEVERITY: Final = (
    Reason.INTEGRATION_OFF,
    Reason.KEY_REJECTED,
    Reason.KEY_NOT_PERMITTED,
    Reason.WEBHOOK_SECRET_MISSING,
    Reason.CLOCK_SKEW,
    Reason.PUBLIC_URL_LOCAL,
    Reason.ENDPOINT_MISSING,
    Reason.ENDPOINT_DISABLED,
    Reason.ENDPOINT_OTHER_URL,
    Reason.ENDPOINT_OTHER_MODE,
    Reason.SIGNATURES_FAILING,
    Reason.ENDPOINT_DUPLICATED,
    Reason.ENDPOINT_EVENTS_MISSING,
    Reason.ENDPOINT_API_VERSION_OLD,
    Reason.EVENTS_NOT_ARRIVING,
    Reason.EVENTS_UNREADABLE,
    Reason.NO_EVENT_YET,
    Reason.STRIPE_NOT_ASKED,
    Reason.KEY_LACKS_OPTIONAL_PERMISSION,
    Reason.ENDPOINT_EVENTS_RECOMMENDED,
)
"""The problems that an integration can have, most serious first."""

_DISPROVED_BY_ARRIVAL: Final = frozenset(
    {Reason.ENDPOINT_MISSING, Reason.ENDPOINT_DISABLED, Reason.EVENTS_NOT_ARRIVING}
)
"""Findings of a check that an event proves wrong if it arrives later."""


_FORWARDED_LATELY: Final = timedelta(days=1)
"""How long ago a delivery may be to prove that something forwards to an address that Stripe can't reach."""


@dataclass(frozen=True, slots=True)
class Health:
    """Counts of the deliveries to an integration's webhook URL, and its problems."""

    problems: list[Diagnosis]
    deliveries: int
    rejected: int
    quarantined: int
    unreadable: int
    quarantine_refused: int
    last_rejected_at: datetime | None


async def last_event_at(ctx: Context, integration: Integration) -> datetime | None:
    """Return when the latest verified delivery came."""
    traffic = await ctx.loaders.traffic.load(integration.id)
    return traffic.last_event_at if traffic else None


async def health(ctx: Context, integration: Integration) -> Health:
    """Return an integration's health."""
    traffic = await ctx.loaders.traffic.load(integration.id)
    quarantined = await _waiting(ctx, integration, status=WebhookEventStatus.QUARANTINED)
    unreadable = await _unreadable(ctx, integration)
    return Health(
        problems=_problems(integration, traffic, unreadable, ctx.services.public_url),
        deliveries=traffic.deliveries if traffic else 0,
        rejected=traffic.rejected if traffic else 0,
        quarantined=quarantined,
        unreadable=unreadable,
        quarantine_refused=traffic.quarantine_refused if traffic else 0,
        last_rejected_at=traffic.last_rejected_at if traffic else None,
    )


async def unhealthy(ctx: Context) -> int:
    """Count the connected integrations that have a problem."""
    connected = await stripe_integrations(ctx, include_disconnected=False)
    return sum(await asyncio.gather(*(_is_unhealthy(ctx, integration) for integration in connected)))


async def _is_unhealthy(ctx: Context, integration: Integration) -> bool:
    traffic = await ctx.loaders.traffic.load(integration.id)
    return bool(_problems(integration, traffic, await _unreadable(ctx, integration), ctx.services.public_url))


async def _unreadable(ctx: Context, integration: Integration) -> int:
    return await _waiting(ctx, integration, status=WebhookEventStatus.UNAPPLIED, reason_code=Reason.UNREADABLE_PAYLOAD)


async def _waiting(ctx: Context, integration: Integration, **which: str) -> int:
    return await ctx.rows(WebhookEvent).filter(Literally(UNFINISHED), integration_id=integration.id, **which).count()


async def check_stripe_integration(ctx: Context, id_: str) -> tuple[Integration, list[Diagnosis]]:
    """Check an integration at Stripe; return it with its new state, and the problems.

    If Stripe can't be reached, that is one of the problems, not an error.

    Raises:
        NotFoundError: This workspace has none with this id, or it is disconnected.
    """
    ctx.require(Scope.ADMIN)
    integration = await connected_integration(ctx, id_)
    await ctx.services.checkup.check(integration)
    ctx.services.link_maker.wake()
    ctx.refresh()
    integration = await ctx.one(Integration, id_, "integration", ["id"])
    return integration, (await health(ctx, integration)).problems


async def connected_integration(ctx: Context, id_: str) -> Integration:
    """Find an integration of the workspace that is not disconnected.

    Raises:
        NotFoundError: There is none.
    """
    integration = await ctx.one(Integration, id_, "integration", ["id"])
    if integration.disconnected_at is not None:
        raise NotFoundError(
            "This integration is disconnected for good: connect Stripe again (connectStripe).",
            code="INTEGRATION_DISCONNECTED",
            path=["id"],
        )
    return integration


def _problems(
    integration: Integration, traffic: IntegrationTraffic | None, unreadable: int, public_url: str
) -> list[Diagnosis]:
    """Combine what the rows show now with the findings of the latest check, most serious first."""
    if integration.disconnected_at is not None:
        return []
    found = dict(kept_findings(integration))
    if _came_since(traffic, integration.checked_at):
        found = {code: detail for code, detail in found.items() if code not in _DISPROVED_BY_ARRIVAL}
    silent = Reason.EVENTS_NOT_ARRIVING in found
    facts = {
        Reason.INTEGRATION_OFF: not integration.is_active,
        Reason.KEY_REJECTED: integration.key_problem is not None,
        Reason.WEBHOOK_SECRET_MISSING: integration.webhook_secret_sealed is None,
        Reason.SIGNATURES_FAILING: signatures_failing(integration, traffic) and Reason.CLOCK_SKEW not in found,
        Reason.EVENTS_NOT_ARRIVING: silent,
        Reason.EVENTS_UNREADABLE: unreadable > 0,
        Reason.PUBLIC_URL_LOCAL: is_local(public_url) and not _is_reached(integration, traffic),
    }
    waiting = traffic is None or traffic.last_event_at is None
    explained = silent or facts[Reason.WEBHOOK_SECRET_MISSING] or facts[Reason.SIGNATURES_FAILING]
    facts[Reason.NO_EVENT_YET] = waiting and not explained
    details = found | {
        Reason.KEY_REJECTED: integration.key_problem,
        Reason.EVENTS_UNREADABLE: str(unreadable),
        Reason.PUBLIC_URL_LOCAL: public_url,
    }
    return [diagnose(code, details.get(code)) for code in BY_SEVERITY if facts.get(code, code in found)]


def _is_reached(integration: Integration, traffic: IntegrationTraffic | None) -> bool:
    """Whether deliveries arrive although the URL is this machine's own: one did lately, or Stripe accepted the URL."""
    arrivals = [] if traffic is None else [at for at in (traffic.last_event_at, traffic.last_rejected_at) if at]
    lately = bool(arrivals) and max(arrivals) > utc_now() - _FORWARDED_LATELY
    return lately or integration.webhook_endpoint_id is not None


def _came_since(traffic: IntegrationTraffic | None, checked_at: datetime | None) -> bool:
    came_at = None if traffic is None else traffic.last_event_at
    return came_at is not None and checked_at is not None and came_at > checked_at
