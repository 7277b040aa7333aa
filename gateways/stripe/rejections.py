"""Finds out from the latest deliveries of an integration why they can't be verified, or are of the other mode."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from database.conditions import Literally
from database.scope import scoped
from errors import SealError
from gateways.stripe.endpoints import Finding
from gateways.stripe.signature import verify
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, opened
from models.kinds import WebhookEventStatus
from models.reason import Reason
from models.secret import Keyring
from models.webhook_event import UNFINISHED, WebhookEvent

_LATEST: Final = 20
_MODE_MEMORY: Final = timedelta(days=1)


def signatures_failing(integration: Integration, traffic: IntegrationTraffic | None) -> bool:
    """Whether the latest delivery since the secret was saved was rejected."""
    if integration.webhook_secret_sealed is None or traffic is None or traffic.last_rejected_at is None:
        return False
    since = max(filter(None, (integration.webhook_secret_saved_at, traffic.last_event_at)), default=None)
    return since is None or traffic.last_rejected_at > since


async def why_unverified(
    keyring: Keyring, integration: Integration, traffic: IntegrationTraffic, already: Collection[Finding]
) -> list[Finding]:
    """Find out why the latest deliveries can't be verified, if it can be recognized."""
    if not signatures_failing(integration, traffic):
        return []
    rows = await (
        scoped(WebhookEvent, integration.workspace_id)
        .filter(Literally(UNFINISHED), integration_id=integration.id, status=WebhookEventStatus.QUARANTINED)
        .order_by("-id")
        .limit(_LATEST)
    )
    reasons = [row.reason_code for row in rows]
    codes = {code for code, _ in already}
    if reasons and reasons[0] == Reason.SIGNATURE_TIMESTAMP:
        return [] if Reason.CLOCK_SKEW in codes else [(Reason.CLOCK_SKEW, "more than 5 min away from")]
    if reasons and reasons[0] == Reason.SIGNATURE_MISSING:
        return [(Reason.SIGNATURES_FAILING, "they have none, so something in front of this server removes it")]
    other = await _whose_secret(keyring, integration, rows)
    if other is not None:
        return [(Reason.SIGNATURES_FAILING, f"it is the secret of the integration {other.name!r} that fits")]
    if Reason.ENDPOINT_DUPLICATED in codes:
        return [(Reason.SIGNATURES_FAILING, "several endpoints post to this URL, each with a secret of its own")]
    return [(Reason.SIGNATURES_FAILING, "it is another endpoint's, or the one before the last roll")]


async def _whose_secret(keyring: Keyring, integration: Integration, rows: Sequence[WebhookEvent]) -> Integration | None:
    """Find another integration of the workspace whose secret is saved here, or signed the latest deliveries."""
    others = await scoped(Integration, integration.workspace_id).filter(disconnected_at=None).order_by("id")
    own = opened(keyring, integration, "webhook_secret_sealed")
    for other in others:
        secrets = [secret for secret in _webhook_secrets(keyring, other) if secret]
        if other.id != integration.id and (own in secrets or any(_signed(row, secrets) for row in rows)):
            return other
    return None


def _webhook_secrets(keyring: Keyring, integration: Integration) -> list[str | None]:
    columns = ("webhook_secret_sealed", "previous_webhook_secret_sealed")
    try:
        return [opened(keyring, integration, column) for column in columns]
    except SealError:
        return []


def _signed(row: WebhookEvent, secrets: Sequence[str]) -> bool:
    """Whether a stored delivery was signed with one of the secrets, by the time at which it came."""
    return any(
        verify(
            post["headers"].get("stripe-signature"),
            row.payload,
            secrets,
            datetime.fromisoformat(post["received_at"]).timestamp(),
        )
        for post in orjson.loads(row.posts or "[]")
    )


async def receives_other_mode(integration: Integration) -> bool:
    """Whether one of the latest events, of the last day, was of Stripe's other mode."""
    latest = (
        await scoped(WebhookEvent, integration.workspace_id)
        .filter(integration_id=integration.id, livemode__isnull=False)
        .order_by("-id")
        .limit(_LATEST)
        .only("id", "reason_code", "received_at")
    )
    since = utc_now() - _MODE_MEMORY
    return any(each.reason_code == Reason.LIVEMODE_MISMATCH and each.received_at > since for each in latest)
