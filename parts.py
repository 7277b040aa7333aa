"""Assembles the parts of a process and opens them in order, for the server, the commands and the tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from database.access import Database, unwritable_because
from database.migrate import refuse_pending
from feed.follow import Feed
from gateways.stripe.checkup import Checkup
from gateways.stripe.client import StripeGateway
from inbox.quarantine.release import Quarantine
from inbox.queue import Inbox
from inbox.sync import Sync
from models.secret import Keyring
from payment_links import lifecycle
from payment_links.maker import LinkMaker
from periodic import Periodic
from resolvers.context import Services
from resolvers.operator import check_encryption_keys
from resolvers.reading.loaders import Loaders
from settings import Settings
from workers.links import LinkSweep
from workers.reconcile import Reconciliation
from workers.sweep import Sweep
from workers.upkeep import Upkeep

READY_TIMEOUT_S: Final = 2.0

Part = AbstractAsyncContextManager[object, bool | None]


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects that live as long as the process, and its background jobs; none is open yet."""

    services: Services
    background: Sequence[Periodic]

    @contextlib.asynccontextmanager
    async def running(self, listeners: Sequence[Part] = (), *, background: bool = True) -> AsyncIterator[Services]:
        """Open all parts; close them in the reverse order.

        `listeners`, through which requests come in, are opened after the other services, so they are closed before
        them.

        Raises:
            ConfigurationError: The database is unavailable or not migrated, or no key opens its secrets.
        """
        services = self.services
        async with contextlib.AsyncExitStack() as stack:
            await refuse_pending(services.database.url)
            await stack.enter_async_context(services.database)
            await check_encryption_keys(services.keyring)
            inner: list[Part] = [services.gateway, services.feed, services.inbox, services.quarantine]
            for part in [*inner, *listeners, *(self.background if background else ())]:
                await stack.enter_async_context(part)
            yield services


def compose(settings: Settings) -> Parts:
    """Create the parts of a process from its settings."""
    database = Database(settings.database_url)
    keyring = Keyring.parse(settings.encryption_keys)
    gateway = StripeGateway(settings.stripe_api_base)
    feed = Feed(settings.broadcast_url, Loaders)
    link_maker = LinkMaker(keyring, gateway, on_commit=feed.wake)
    inbox = Inbox(database, feed.wake, link_maker.wake)
    checkup = Checkup(keyring, gateway, settings.public_url, feed.wake, on_key_accepted=lifecycle.retry)
    quarantine = Quarantine(inbox, keyring, feed.wake)
    sync = Sync(inbox, gateway, keyring)
    services = Services(
        database=database,
        keyring=keyring,
        gateway=gateway,
        checkup=checkup,
        feed=feed,
        inbox=inbox,
        link_maker=link_maker,
        quarantine=quarantine,
        sync=sync,
        public_url=settings.public_url,
    )
    background: list[Periodic] = [
        LinkSweep(link_maker),
        Sweep(inbox, quarantine, feed.wake),
        Reconciliation(sync, checkup, settings.sync_interval_s),
        Upkeep(),
    ]
    return Parts(services, background)


async def unready_because() -> str | None:
    """Say why requests can't be served; None if they can."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await unwritable_because()
    except Exception:
        return "The database can't be reached or is not migrated."
