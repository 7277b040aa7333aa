"""Fixtures: a process's services, a workspace in its database, and callers with each scope.

The services and their database are the module's, the workspace the test's own.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from database.access import transaction
from models.kinds import Mode, Scope
from models.secret import generate_key
from models.workspace import Workspace, add_workspace
from parts import compose
from resolvers.context import Services
from settings import Settings
from tests.world.caller import Caller, caller_with
from tests.world.rows import Rows
from workers.links import LinkSweep


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(module_database_url: str) -> AsyncIterator[Services]:
    """What lives as long as a process, open."""
    parts = compose(
        Settings.from_env(
            {
                "FLUXRATE_DATABASE_URL": module_database_url,
                "FLUXRATE_ENCRYPTION_KEYS": generate_key(),
                "FLUXRATE_PUBLIC_URL": "https://fluxrate.example",
            }
        )
    )
    async with parts.running([LinkSweep(parts.services.link_maker)], background=False) as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def callers_workspace(services: Services) -> Workspace:
    """A workspace without rows."""
    async with transaction() as tx:
        return await add_workspace(tx, "Acme", Mode.TEST)


@pytest.fixture
def rows(callers_workspace: Workspace) -> Rows:
    """Rows of the callers' workspace."""
    return Rows(callers_workspace.id)


@pytest_asyncio.fixture(loop_scope="module")
async def admin(services: Services, callers_workspace: Workspace) -> Caller:
    """Somebody who may do everything."""
    return await caller_with(services, callers_workspace, Scope.ADMIN)


@pytest_asyncio.fixture(loop_scope="module")
async def reader(services: Services, callers_workspace: Workspace) -> Caller:
    """Somebody who may look only."""
    return await caller_with(services, callers_workspace, Scope.READ)


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(services: Services) -> Caller:
    """Somebody who may do everything, in a workspace of their own."""
    async with transaction() as tx:
        other = await add_workspace(tx, "Elsewhere", Mode.TEST)
    return await caller_with(services, other, Scope.ADMIN)
