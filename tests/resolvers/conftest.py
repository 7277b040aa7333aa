"""An open database, a workspace with its Stripe account, and an inbox."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.database import Database
from models.integration import Integration
from models.workspace import Workspace
from resolvers.feed import Feed
from resolvers.inbox import Inbox
from tests.support import books


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, open."""
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def workspace(database: Database) -> Workspace:
    """A workspace without rows."""
    return await books.add_workspace()


@pytest.fixture
async def integration(workspace: Workspace) -> Integration:
    """The workspace's Stripe account."""
    return await books.add_integration(workspace)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Feed]:
    """What subscribers follow."""
    async with Feed("memory://") as opened:
        yield opened


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the product tells its operator, instead of on the terminal."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def inbox(database: Database, feed: Feed) -> AsyncIterator[Inbox]:
    """An inbox that works."""
    async with Inbox(database, feed.wake, lambda: None) as opened:
        yield opened
