"""The gateway to the simulator, and an account there."""

import uuid
from collections.abc import AsyncIterator

import pytest

from gateways.stripe.client import StripeGateway
from tests.world.business import StripeAccount


@pytest.fixture
def stripe(stripe_url: str) -> StripeAccount:
    """An account of the test's own."""
    return StripeAccount(stripe_url, uuid.uuid4().hex[:12])


@pytest.fixture
async def gateway(stripe_url: str) -> AsyncIterator[StripeGateway]:
    """The gateway to the simulator."""
    async with StripeGateway(stripe_url, timeout_s=2.0) as opened:
        yield opened
