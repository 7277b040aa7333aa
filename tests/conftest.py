"""What every test may ask for: real servers, one of each per session, and databases, one per test.

The servers start when a test first asks for one. With xdist each worker has its own.
"""

import gc
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import long, migrated
from tests.world.app import start_app, start_simulator  # noqa: F401 - fixtures
from tests.world.callers import admin, callers_workspace, reader, rows, services, stranger  # noqa: F401 - fixtures
from tests.world.fast import leave_out, pytest_addoption, watch  # noqa: F401 - hooks
from tests.world.house import house, servers  # noqa: F401 - fixtures
from tests.world.memory import keep_the_tests_files_there
from tests.world.office import (  # noqa: F401 - fixtures
    business,
    database,
    feed,
    inbox,
    integration,
    logged,
    module_database_url,
    office,
    share_the_modules_loop,
    stripe_url,
    workspace,
)
from tests.world.order import spread
from tests.world.postgres import Postgres
from tests.world.valkey import Valkey


def pytest_configure(config: pytest.Config) -> None:
    """Say where files are kept, and what is left out."""
    keep_the_tests_files_there()
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type] # httpcore looks for it in vain at each request
    long.begin(config)
    watch(config)
    gc.disable()  # what is loaded and collected stays: to look for garbage in it is a tenth of the tests' time


def pytest_collection_finish() -> None:
    """Look for garbage from now on, and never in what is there by now."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose, order, and say in which loop each runs."""
    long.leave_out(config, items)
    leave_out(config, items)
    spread(config, items)
    share_the_modules_loop(items)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The session's PostgreSQL. Don't stop it: a test that must makes its own: `with Postgres() as …`."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def migrated_postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    with postgres_server.database(postgres_server.migrated) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where a SQLite database of the test's own may be made; there is no file yet."""
    return migrated.sqlite_url(tmp_path / "empty.sqlite3")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    return migrated.make_sqlite_template(tmp_path_factory.mktemp("template") / "migrated.sqlite3")


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    return migrated.sqlite_url(Path(shutil.copyfile(sqlite_template, tmp_path / "migrated.sqlite3")))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own; the test runs on each kind."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """The session's Valkey. Don't stop it: a test that must makes its own: `with Valkey() as …`."""
    with Valkey() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: Valkey) -> str:
    """A Valkey without keys. Its channels are shared by the session: name them for the test."""
    valkey_server.flush()
    return valkey_server.url
