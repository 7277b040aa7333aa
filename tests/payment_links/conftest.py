"""A business that has connected Stripe."""

import pytest_asyncio

from tests.world.business import Business


@pytest_asyncio.fixture(loop_scope="module")
async def connected(business: Business) -> str:
    """The business's integration."""
    return str((await business.connect(webhookSecret="whsec_abcdefghijklmnop"))["id"])
