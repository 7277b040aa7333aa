"""A process's services, a workspace in its database, and callers with each scope."""

from collections.abc import AsyncIterator

import pytest

from database.access import transaction
from models.kinds import Mode, Scope
from models.secret import generate_key
from models.workspace import Workspace, add_workspace
from parts import compose
from resolvers.context import Services
from settings import Settings
from tests.schema.caller import Caller, caller_with
from tests.schema.rows import Rows
from workers.links import LinkSweep


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    """What lives as long as a process, open."""
    parts = compose(
        Settings.from_env(
            {
                "FLUXRATE_DATABASE_URL": database_url,
                "FLUXRATE_ENCRYPTION_KEYS": generate_key(),
                "FLUXRATE_PUBLIC_URL": "https://fluxrate.example",
            }
        )
    )
    async with parts.running([LinkSweep(parts.services.link_maker)], background=False) as services:
        yield services


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
