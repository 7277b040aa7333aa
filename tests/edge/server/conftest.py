"""The product, served for the tests of the server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.server.served import Served
from tests.world import migrated
from tests.world.app import running_app
from tests.world.seed import add_integration, within


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The product with an integration that is ready."""
    database_url = migrated.sqlite_url(Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("served"))))
    with running_app(database_url) as app:
        made = app.workspace()
        integration = within(database_url, lambda: add_integration(made.id))
        yield Served(app, made.api_key, integration.webhook_path)
