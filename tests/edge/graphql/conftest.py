"""A server for the tests of sockets; modules that need another define their own `app`."""

from collections.abc import Iterator

import pytest

from tests.edge.graphql.peer import FRIEND
from tests.world.app import RunningApp, running_app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product, which knows one other origin and takes all the handshakes of this module."""
    env = {
        "FLUXRATE_ALLOWED_ORIGINS": FRIEND,
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "100000/minute",
        "FLUXRATE_RATE_LIMIT_PER_KEY": "100000/minute",
        "FLUXRATE_TRUSTED_PROXIES": "127.0.0.1",
    }
    with running_app(env=env, cwd=tmp_path_factory.mktemp("socket")) as app:
        yield app
