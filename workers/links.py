"""Makes and deactivates payment links that no request waits for."""

import asyncio
from typing import Final

import structlog

from database.scope import unscoped
from errors import FluxrateError
from models.instant import utc_now
from models.payment_link import PaymentLink
from payment_links.maker import LinkMaker
from periodic import Periodic

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 5.0
_MAX_AT_ONCE: Final = 100
_AT_ONCE: Final = 8


class LinkSweep(Periodic):
    """Handles due links when it is woken, and every few seconds, for links that another process left."""

    def __init__(self, link_maker: LinkMaker) -> None:
        super().__init__("payment links", INTERVAL_S, self.run_due, due=link_maker.due)
        self._link_maker = link_maker

    async def run_due(self) -> None:
        """Handle the links that are due."""
        links = unscoped(PaymentLink).filter(due_at__lte=utc_now()).order_by("due_at").limit(_MAX_AT_ONCE)
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(link_id: str) -> None:
            async with places:
                try:
                    await self._link_maker.make(link_id)
                except FluxrateError as error:
                    log.warning("payment link left for later", link=link_id, error=error.message)

        await asyncio.gather(*(one(str(link_id)) for link_id in await links.values_list("id", flat=True)))
