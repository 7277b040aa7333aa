"""A site for the tests of sessions, cookies and origins."""

import shutil
from collections.abc import Iterator

import pytest

from tests.edge.site import Site, served
from tests.world.migrated import sqlite_url
from tests.world.postgres import Postgres


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site behind a proxy on this machine, which tells none of its secrets whatever the tests do."""
    if request.param == "sqlite":
        copied = tmp_path_factory.mktemp("session") / "migrated.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), copied)
        yield from served(sqlite_url(copied))
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database(server.migrated) as url:
            yield from served(url)
