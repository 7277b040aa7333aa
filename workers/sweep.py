"""Retries held and failed deliveries in the background, whichever process left them."""

from collections.abc import Callable, Mapping
from typing import Final

from database.conditions import Literally
from database.scope import scoped, unscoped
from gateways.registry import GATEWAY
from inbox.delivery import kept
from inbox.quarantine.release import Quarantine
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.kinds import WebhookEventStatus
from models.webhook_event import UNFINISHED, WebhookEvent
from models.webhook_secret import retire_previous_secrets
from periodic import Periodic

INTERVAL_S: Final = 5.0
_AT_ONCE: Final = 100


class Sweep(Periodic):
    """Every few seconds applies events that are HELD although their integration is active, that FAILED and are due,
    that an older version could not read, or that a saved secret releases from the quarantine. It drops deliveries that
    no secret verified in time, and webhook secrets that Stripe has stopped signing with.
    """

    def __init__(self, inbox: Inbox, quarantine: Quarantine, on_commit: Callable[[Mapping[str, int]], None]) -> None:
        super().__init__("deliveries", INTERVAL_S, self.sweep)
        self._inbox = inbox
        self._quarantine = quarantine
        self._on_commit = on_commit

    async def sweep(self) -> None:
        """Do all of it once."""
        await self._release_held()
        await self._retry_failed()
        await self._read_again()
        await self._quarantine.finish_releases()
        await self._quarantine.drop_expired()
        self._on_commit(await retire_previous_secrets())

    async def _release_held(self) -> None:
        ids = (
            await unscoped(WebhookEvent)
            .filter(Literally(UNFINISHED), status=WebhookEventStatus.HELD)
            .distinct()
            .values_list("integration_id", flat=True)
        )
        active = await unscoped(Integration).filter(id__in=list(ids), is_active=True, disconnected_at=None)
        for integration in active:
            await self._inbox.release_held(integration)

    async def _retry_failed(self) -> None:
        """Retry events that failed, or that wait until their payment is known."""
        due = unscoped(WebhookEvent).filter(retry_at__lte=utc_now())
        for webhook_event in await due.order_by("retry_at").limit(_AT_ONCE):
            integration = await scoped(Integration, webhook_event.workspace_id).get(id=webhook_event.integration_id)
            again = integration.disconnected_at is not None
            await self._inbox.accept(kept(integration, webhook_event, again=again))

    async def _read_again(self) -> None:
        """Retry events that may be about money and that an older version could not read."""
        unread = unscoped(WebhookEvent).filter(reader_version__lt=GATEWAY.reader_version)
        for webhook_event in await unread.order_by("reader_version", "id").limit(_AT_ONCE):
            integration = await scoped(Integration, webhook_event.workspace_id).get(id=webhook_event.integration_id)
            await self._inbox.accept(kept(integration, webhook_event, again=True))
