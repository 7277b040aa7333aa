"""What the tests of access share."""

from collections.abc import Iterator

import pytest

from tests.access.town import Town
from tests.world.house import Servers
from tests.world.surface import Surface


@pytest.fixture(scope="module")
def town(servers: Servers) -> Iterator[Town]:
    """A town in which no secret is told, whatever its tests do."""
    town = Town(servers)
    with town.callers:
        yield town
    assert town.overheard() == set()


@pytest.fixture(scope="module")
def surface(town: Town) -> Surface:
    """All that the running server can be asked."""
    return Surface.of(town.workspace()[1].http)
