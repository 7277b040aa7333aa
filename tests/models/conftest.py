"""An open database and somebody whose rows it holds."""

from collections.abc import AsyncIterator

import pytest

from database.access import Database, transaction
from models.kinds import Mode
from models.workspace import Workspace, add_workspace


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, open."""
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def workspace(database: Database) -> Workspace:
    """A workspace without rows."""
    async with transaction() as tx:
        return await add_workspace(tx, "Acme", Mode.TEST)
