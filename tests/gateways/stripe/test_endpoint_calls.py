"""Stripe's webhook endpoints: added once, changed, and removed."""

import asyncio

import pytest

from errors import StripeRefusedError
from gateways.stripe.client import StripeGateway
from gateways.stripe.endpoint_calls import API_VERSION
from gateways.stripe.events import EVENTS_TO_SEND
from tests.world.business import StripeAccount

URL = "http://127.0.0.1:9/webhooks/stripe/token"
ENDPOINTS = "/v1/webhook_endpoints"


async def test_an_endpoint_is_registered_changed_and_removed(gateway: StripeGateway, stripe: StripeAccount) -> None:
    registered = await gateway.register_webhook(stripe.key(), URL, "first")
    (made,) = await gateway.webhook_endpoints(stripe.key())
    await gateway.change_webhook_endpoint(stripe.key(), made.provider_id, url=f"{URL}2", events=["*"], enabled=False)
    (changed,) = await gateway.webhook_endpoints(stripe.key())
    await gateway.delete_webhook_endpoint(stripe.key(), made.provider_id)

    assert registered.secret.startswith("whsec_")
    assert registered.secret not in repr(registered)
    assert (made.provider_id, made.url, made.is_enabled) == (registered.provider_id, URL, True)
    assert (made.events, made.api_version) == (EVENTS_TO_SEND, API_VERSION)
    assert (changed.url, changed.events, changed.is_enabled) == (f"{URL}2", ("*",), False)
    assert changed.api_version == API_VERSION
    assert await gateway.webhook_endpoints(stripe.key()) == []


async def test_what_is_not_given_of_an_endpoint_stays(gateway: StripeGateway, stripe: StripeAccount) -> None:
    registered = await gateway.register_webhook(stripe.key(), URL, "first")

    await gateway.change_webhook_endpoint(stripe.key(), registered.provider_id, enabled=True)

    (endpoint,) = await gateway.webhook_endpoints(stripe.key())
    assert (endpoint.url, endpoint.events, endpoint.is_enabled) == (URL, EVENTS_TO_SEND, True)


async def test_registering_again_with_the_same_idempotency_key_makes_one(
    gateway: StripeGateway, stripe: StripeAccount
) -> None:
    """Also when the answer to the first call was lost."""
    await stripe.fault("hang_up", path=ENDPOINTS)

    registered = await asyncio.gather(*(gateway.register_webhook(stripe.key(), URL, "same") for _ in range(3)))

    (endpoint,) = await gateway.webhook_endpoints(stripe.key())
    assert {(each.provider_id, each.secret) for each in registered} == {(endpoint.provider_id, registered[0].secret)}


async def test_removing_an_endpoint_that_is_gone_is_no_error(gateway: StripeGateway, stripe: StripeAccount) -> None:
    await gateway.delete_webhook_endpoint(stripe.key(), "we_gone")

    assert len(await stripe.calls("DELETE", f"{ENDPOINTS}/we_gone")) == 1


async def test_an_endpoint_that_is_gone_can_not_be_changed(gateway: StripeGateway, stripe: StripeAccount) -> None:
    with pytest.raises(StripeRefusedError) as refusal:
        await gateway.change_webhook_endpoint(stripe.key(), "we_gone", enabled=True)

    assert refusal.value.stripe_code == "resource_missing"
