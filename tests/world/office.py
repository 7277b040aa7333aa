"""Fixtures: an open database, a workspace with its Stripe account, and an inbox; or an office for a whole module."""

import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from database.access import Database
from feed.follow import Feed
from inbox.queue import Inbox
from models.integration import Integration
from models.workspace import Workspace
from resolvers.context import Services
from resolvers.reading.loaders import Loaders
from simulator.app import create_app
from tests.simulator.serving import serve
from tests.world import books, migrated
from tests.world.business import Business, new_business, opened_services
from tests.world.postgres import Postgres


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
async def feed(database: Database) -> AsyncIterator[Feed[Loaders]]:
    """What subscribers follow."""
    async with Feed("memory://", Loaders) as opened:
        yield opened


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the product tells its operator, instead of on the terminal."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def inbox(database: Database, feed: Feed[Loaders]) -> AsyncIterator[Inbox]:
    """An inbox that works."""
    async with Inbox(database, feed.wake, lambda: None) as opened:
        yield opened


# --- An office for a whole module ------------------------------------------------------------------------------
# Who uses the module's database runs in the module's loop.


def share_the_modules_loop(items: Iterable[pytest.Item]) -> None:
    """Have the tests that use the module's database run in the loop that opened it."""
    for item in items:
        if pytest_asyncio.is_async_test(item) and "module_database_url" in item.fixturenames:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(scope="module")
def stripe_url() -> Iterator[str]:
    """The module's simulator."""
    with serve(create_app()) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def module_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The module's migrated database; it runs on each kind."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        yield migrated.sqlite_url(Path(shutil.copy(template, tmp_path_factory.mktemp("module"))))
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database(server.migrated) as url:
            yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(module_database_url: str, stripe_url: str) -> AsyncIterator[Services]:
    """What lives as long as a process, without a sweep: links are made by those who ask, and by `work_off`."""
    async with opened_services(module_database_url, stripe_url) as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def business(office: Services, stripe_url: str) -> Business:
    """A workspace of the test's own with a Stripe account that is not connected yet."""
    return await new_business(office, stripe_url)
