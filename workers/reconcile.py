"""Checks and syncs every integration when it is due."""

from datetime import timedelta
from typing import Final

import structlog

from database.access import fetch, transaction
from database.scope import scoped, unscoped
from errors import FluxrateError, StripeRefusedError
from gateways.stripe.checkup import Checkup, kept_findings
from inbox.sync import Sync
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic
from models.webhook_url import is_local
from periodic import Periodic

log = structlog.get_logger(__name__)

_TICK_S: Final = 15.0
_SOON_S: Final = 30.0
_AWAITED_FOR: Final = timedelta(days=1)
_CHECK_REST: Final = timedelta(hours=1)
_RECHECK_REST: Final = timedelta(minutes=5)


class Reconciliation(Periodic):
    """Syncs and checks all integrations every `interval_s` seconds, 0 for never.

    It checks each hourly, or at every sync while it has a problem. It syncs every half minute while a payment may have
    been made that no webhook reports.
    """

    def __init__(self, sync: Sync, checkup: Checkup, interval_s: float) -> None:
        super().__init__("reconciliation", min(_TICK_S, interval_s), self.reconcile_due)
        self._sync = sync
        self._checkup = checkup
        self._interval_s = interval_s

    async def reconcile_due(self) -> None:
        """Check and sync every integration that is due; of several processes one does it."""
        for integration in await unscoped(Integration).filter(disconnected_at=None).order_by("id"):
            if not await self._claim(integration):
                continue
            try:
                if await self._works(integration):
                    await self._reconcile(integration)
            except FluxrateError as error:
                log.warning("integration not reconciled", integration=integration.id, error=error.message)

    async def _works(self, integration: Integration) -> bool:
        """Check the integration if that is due; return whether Stripe accepts its key."""
        troubled = integration.key_problem is not None or kept_findings(integration)
        rest = _RECHECK_REST if troubled else _CHECK_REST
        if (integration.checked_at or integration.created_at) > utc_now() - rest:
            return integration.key_problem is None
        await self._checkup.check(integration)
        return await unscoped(Integration).filter(id=integration.id, key_problem=None, disconnected_at=None).exists()

    async def _reconcile(self, integration: Integration) -> None:
        """Sync the events, then the links: a key that may not read events may still read checkout sessions."""
        progress = None
        try:
            progress = await self._sync.fetch_events(integration)
        except StripeRefusedError as refusal:
            log.warning("events not fetched from stripe", integration=integration.id, error=refusal.message)
        paid = await self._sync.check_links(integration)
        if paid or (progress is not None and (progress.applied or progress.failed)):
            log.info(
                "events fetched from stripe",
                integration=integration.id,
                applied=progress.applied if progress else 0,
                failed=progress.failed if progress else 0,
                paid_links=paid,
            )

    async def _claim(self, integration: Integration) -> bool:
        """Claim a due integration for this process; one that may await a payment without a webhook is due sooner."""
        now = utc_now()
        ahead_s = max(self._interval_s - _SOON_S, 0.0) if await self._is_awaited(integration) else 0.0
        async with transaction() as tx:
            claimed = await tx.fetch(
                "UPDATE integration_traffic SET sync_due_at = $2"
                " WHERE integration_id = $1 AND (sync_due_at IS NULL OR sync_due_at <= $3) RETURNING integration_id",
                integration.id,
                now + timedelta(seconds=self._interval_s),
                now + timedelta(seconds=ahead_s),
            )
        return bool(claimed)

    async def _is_awaited(self, integration: Integration) -> bool:
        """Whether a link of the last day can be paid and no delivery has come since it was made, either to a URL that
        Stripe can't reach or from an account that has never sent an event.
        """
        traffic = await scoped(IntegrationTraffic, integration.workspace_id).get(integration_id=integration.id)
        if traffic.last_event_at is not None and not is_local(self._checkup.url_of(integration)):
            return False
        since = max(filter(None, (traffic.last_event_at, utc_now() - _AWAITED_FOR)))
        links = await fetch(
            "SELECT 1 FROM payment_links WHERE integration_id = $1 AND status = 'ACTIVE' AND created_at > $2 LIMIT 1",
            integration.id,
            since,
        )
        return bool(links)
