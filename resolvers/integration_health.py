"""How a Stripe integration is doing: what came to it, what is the matter, and how to mend it."""

from dataclasses import dataclass
from datetime import datetime

from models.diagnosis import Diagnosis, diagnose
from models.integration import Integration, IntegrationTraffic
from models.webhook_event import WebhookEvent, WebhookEventStatus
from resolvers.context import Context


@dataclass(frozen=True, slots=True)
class Health:
    """What came to an integration's webhook URL, and what is the matter with it."""

    problems: list[Diagnosis]
    deliveries: int
    rejected: int
    quarantined: int
    quarantine_refused: int
    last_rejected_at: datetime | None


async def last_event_at(ctx: Context, integration: Integration) -> datetime | None:
    """When the latest verified delivery came."""
    traffic = await ctx.loaders.traffic.load(integration.id)
    return traffic.last_event_at if traffic else None


async def health(ctx: Context, integration: Integration) -> Health:
    """How an integration is doing."""
    traffic = await ctx.loaders.traffic.load(integration.id)
    quarantined = (
        await ctx.rows(WebhookEvent)
        .filter(integration_id=integration.id, status=WebhookEventStatus.QUARANTINED)
        .count()
    )
    return Health(
        problems=_problems(integration, traffic),
        deliveries=traffic.deliveries if traffic else 0,
        rejected=traffic.rejected if traffic else 0,
        quarantined=quarantined,
        quarantine_refused=traffic.quarantine_refused if traffic else 0,
        last_rejected_at=traffic.last_rejected_at if traffic else None,
    )


def _problems(integration: Integration, traffic: IntegrationTraffic | None) -> list[Diagnosis]:
    if integration.disconnected_at is not None:
        return []
    problems: list[Diagnosis] = []
    if not integration.is_active:
        problems.append(diagnose("INTEGRATION_OFF"))
    if integration.key_problem is not None:
        problems.append(diagnose("KEY_REJECTED", integration.key_problem))
    if integration.webhook_secret_sealed is None:
        problems.append(diagnose("WEBHOOK_SECRET_MISSING"))
    elif _signatures_failing(integration, traffic):
        problems.append(diagnose("SIGNATURES_FAILING"))
    elif traffic is None or traffic.last_event_at is None:
        problems.append(diagnose("NO_EVENT_YET"))
    return problems


def _signatures_failing(integration: Integration, traffic: IntegrationTraffic | None) -> bool:
    """Whether the latest delivery since the secret was saved was rejected."""
    if traffic is None or traffic.last_rejected_at is None:
        return False
    since = max(filter(None, (integration.webhook_secret_saved_at, traffic.last_event_at)), default=None)
    return since is None or traffic.last_rejected_at > since
