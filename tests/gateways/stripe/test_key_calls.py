"""What a key may do at Stripe, and how far Stripe's clock is from ours."""

from gateways.stripe.client import StripeGateway
from tests.world.business import StripeAccount


async def test_a_key_is_probed_without_changing_anything(gateway: StripeGateway, stripe: StripeAccount) -> None:
    restricted = f"rk_test_{stripe.name}_nolinks"

    allowed = await gateway.probe(stripe.key(), "post", "/v1/payment_links/none")
    denied = await gateway.probe(restricted, "post", "/v1/payment_links/none")

    assert (allowed.permitted, denied.permitted) == (True, False)
    assert await stripe.links() == []


async def test_a_probe_tells_how_far_stripes_clock_is_from_ours(gateway: StripeGateway, stripe: StripeAccount) -> None:
    probe = await gateway.probe(stripe.key(), "get", "/v1/events")

    assert probe.permitted
    assert probe.clock_ahead_s is not None
    assert abs(probe.clock_ahead_s) < 60
