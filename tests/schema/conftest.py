"""A process's services, a workspace in its database, and callers with each scope."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from models.api_key import Scope
from models.database import Database, transaction
from models.secret import Keyring, generate_key
from models.workspace import Mode, Workspace, add_workspace
from resolvers.context import Services
from resolvers.feed import Feed
from resolvers.gateway import StripeGateway
from resolvers.inbox import Inbox
from resolvers.link_maker import LinkMaker
from tests.schema.caller import Caller, caller_with
from tests.schema.rows import Rows


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    """What lives as long as a process, open."""
    keyring, gateway, feed = Keyring.parse([generate_key()]), StripeGateway(), Feed("memory://")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(database_url))
        await stack.enter_async_context(gateway)
        await stack.enter_async_context(feed)
        link_maker = await stack.enter_async_context(LinkMaker(keyring, gateway, published=feed.wake))
        inbox = await stack.enter_async_context(Inbox(database, feed.wake, link_maker.wake))
        yield Services(
            database=database,
            keyring=keyring,
            gateway=gateway,
            feed=feed,
            inbox=inbox,
            link_maker=link_maker,
            public_url="https://fluxrate.example",
        )


@pytest.fixture
async def workspace(services: Services) -> Workspace:
    """A workspace without rows."""
    async with transaction() as tx:
        return await add_workspace(tx, "Acme", Mode.TEST)


@pytest.fixture
def rows(workspace: Workspace) -> Rows:
    """Rows of the workspace."""
    return Rows(workspace.id)


@pytest.fixture
async def admin(services: Services, workspace: Workspace) -> Caller:
    """Somebody who may do everything."""
    return await caller_with(services, workspace, Scope.ADMIN)


@pytest.fixture
async def reader(services: Services, workspace: Workspace) -> Caller:
    """Somebody who may look only."""
    return await caller_with(services, workspace, Scope.READ)


@pytest.fixture
async def stranger(services: Services) -> Caller:
    """Somebody who may do everything, in a workspace of their own."""
    async with transaction() as tx:
        other = await add_workspace(tx, "Elsewhere", Mode.TEST)
    return await caller_with(services, other, Scope.ADMIN)
