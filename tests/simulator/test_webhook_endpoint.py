"""Webhook endpoints, through Stripe's own library."""

from typing import Any

import pytest
import stripe

from tests.simulator.conftest import MakeClient, with_stripe

pytestmark = with_stripe

URL = "http://127.0.0.1:8000/webhooks"


async def test_the_secret_is_told_at_creation_only(client: stripe.StripeClient) -> None:
    endpoint = await client.v1.webhook_endpoints.create_async({"url": URL, "enabled_events": ["*"]})

    again = await client.v1.webhook_endpoints.retrieve_async(endpoint.id)

    assert endpoint.secret is not None
    assert endpoint.secret.startswith("whsec_")
    assert (again.url, again.status, again.enabled_events) == (URL, "enabled", ["*"])
    assert "secret" not in again.to_dict()


async def test_an_endpoint_can_be_changed_disabled_and_deleted(client: stripe.StripeClient) -> None:
    endpoint = await client.v1.webhook_endpoints.create_async({"url": URL, "enabled_events": ["*"]})

    changed = await client.v1.webhook_endpoints.update_async(
        endpoint.id, {"disabled": True, "url": f"{URL}/2", "enabled_events": ["charge.refunded"]}
    )
    deleted = await client.v1.webhook_endpoints.delete_async(endpoint.id)

    assert (changed.status, changed.url, changed.enabled_events) == (
        "disabled",
        f"{URL}/2",
        ["charge.refunded"],
    )
    assert deleted.deleted
    assert (await client.v1.webhook_endpoints.list_async()).data == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/webhooks",
        "http://10.0.0.1/webhooks",
        "http://[::2]/webhooks",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:port/",
        "http://[127.0.0.1",
        "127.0.0.1",
    ],
)
async def test_only_this_machine_can_be_posted_to(client: stripe.StripeClient, url: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Invalid URL") as refusal:
        await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["*"]})

    assert (refusal.value.http_status, refusal.value.code, refusal.value.param) == (400, "url_invalid", "url")


@pytest.mark.parametrize("url", ["http://localhost:1/", "http://127.8.9.1/", "https://[::1]:8000/webhooks"])
async def test_every_name_of_this_machine_is_accepted(client: stripe.StripeClient, url: str) -> None:
    endpoint = await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["*"]})

    assert endpoint.url == url


async def test_what_is_no_event_type_is_refused(client: stripe.StripeClient) -> None:
    params: Any = {"url": URL, "enabled_events": ["everything please"]}

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await client.v1.webhook_endpoints.create_async(params)

    assert refusal.value.param == "enabled_events[0]"


async def test_an_account_has_at_most_sixteen(client: stripe.StripeClient, client_of: MakeClient) -> None:
    for _ in range(16):
        await client.v1.webhook_endpoints.create_async({"url": URL, "enabled_events": ["*"]})

    with pytest.raises(stripe.InvalidRequestError, match="maximum of 16"):
        await client.v1.webhook_endpoints.create_async({"url": URL, "enabled_events": ["*"]})

    other = client_of("sk_test_globex_1")
    assert (await other.v1.webhook_endpoints.create_async({"url": URL, "enabled_events": ["*"]})).id
