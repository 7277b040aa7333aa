"""Callers of a schema, in this process."""

from pathlib import Path

import pytest

from tests.world.callers import (  # noqa: F401 - fixtures
    admin,
    reader,
    rows,
    run_with_services,
    services,
    stranger,
    workspace,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run in the loop of the services."""
    run_with_services(items, Path(__file__).parent)
