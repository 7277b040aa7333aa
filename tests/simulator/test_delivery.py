"""Events on their way to webhook endpoints."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeLink, with_stripe
from tests.simulator.serving import Receiver, eventually_apart

pytestmark = with_stripe

MAIN_EVENTS = ["checkout.session.completed", "payment_intent.succeeded"]


@pytest.fixture
def closed_url() -> Iterator[str]:
    """Where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


async def subscribe(client: stripe.StripeClient, url: str, *event_types: str) -> stripe.WebhookEndpoint:
    """Have events posted to a URL."""
    params: Any = {"url": url, "enabled_events": event_types or MAIN_EVENTS}
    return await client.v1.webhook_endpoints.create_async(params)


async def test_an_event_is_signed_with_the_endpoint_s_secret(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    endpoint = await subscribe(client, receiver.url)
    link = await make_link(metadata={"invoice_id": "inv_1"})

    paid = (await http.post(f"/pay/{link.id}")).json()

    assert receiver.types == ["payment_intent.succeeded", "checkout.session.completed"]
    for delivery in receiver.deliveries:
        signature = delivery.headers["stripe-signature"]
        assert stripe.WebhookSignature.verify_header(delivery.body, signature, endpoint.secret, tolerance=300)
        assert delivery.headers["user-agent"] == "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
        assert delivery.headers["content-type"] == "application/json; charset=utf-8"
    event = receiver.deliveries[1].event
    assert event["data"]["object"]["metadata"] == {"invoice_id": "inv_1"}
    assert (event["api_version"], event["livemode"], event["pending_webhooks"]) == (
        "2026-10-28.endive",
        False,
        1,
    )
    assert event["request"] == {"id": None, "idempotency_key": None}
    assert [(event["id"], event["deliveries"]) for event in paid["events"]] == [
        (delivery.event["id"], [{"url": receiver.url, "status": 200}]) for delivery in receiver.deliveries
    ]


@pytest.mark.parametrize(("order", "types"), [("intent_first", MAIN_EVENTS[::-1]), ("session_first", MAIN_EVENTS)])
async def test_the_order_of_the_events_can_be_chosen(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    order: str,
    types: list[str],
) -> None:
    await subscribe(client, receiver.url)
    link = await make_link()

    await http.post(f"/pay/{link.id}", json={"order": order})

    assert receiver.types == types


async def test_an_endpoint_for_everything_gets_what_stripe_would_send(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await subscribe(client, receiver.url, "*")
    link = await make_link()

    await http.post(f"/pay/{link.id}")

    assert receiver.types == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    created = receiver.deliveries[0].event["data"]["object"]
    assert (created["status"], created["amount_received"]) == ("requires_payment_method", 0)


async def test_an_endpoint_gets_only_what_it_asked_for(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await subscribe(client, receiver.url, "payment_intent.payment_failed")
    link = await make_link()

    await http.post(f"/pay/{link.id}")

    assert receiver.types == []


async def test_events_can_be_restricted_and_posted_often(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await subscribe(client, receiver.url)
    link = await make_link()

    await http.post(f"/pay/{link.id}", json={"events": ["payment_intent.succeeded"], "deliveries": 3})

    assert receiver.types == ["payment_intent.succeeded"] * 3
    assert len({delivery.body for delivery in receiver.deliveries}) == 1


async def test_an_event_can_be_lost_and_is_still_listed(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await subscribe(client, receiver.url)
    link = await make_link()

    await http.post(f"/pay/{link.id}", json={"deliveries": 0})

    assert receiver.types == []
    assert [event.type for event in (await client.v1.events.list_async()).data] == MAIN_EVENTS


async def test_an_event_is_posted_again_after_a_500_until_it_is_received(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503]
    endpoint = await subscribe(client, receiver.url, "checkout.session.completed")
    link = await make_link()

    paid = (await http.post(f"/pay/{link.id}")).json()

    assert [event["deliveries"] for event in paid["events"]] == [[], [{"url": receiver.url, "status": 500}]]
    await eventually_apart(receiver, posts=3)
    assert len({delivery.event["id"] for delivery in receiver.deliveries}) == 1
    signature = receiver.deliveries[-1].headers["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(receiver.deliveries[-1].body, signature, endpoint.secret)


async def test_an_endpoint_that_does_not_answer_delays_nobody(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    closed_url: str,
) -> None:
    await subscribe(client, closed_url, "checkout.session.completed")
    await subscribe(client, receiver.url, "checkout.session.completed")
    link = await make_link()

    paid = (await http.post(f"/pay/{link.id}")).json()

    assert paid["events"][1]["deliveries"] == [
        {"url": closed_url, "status": None},
        {"url": receiver.url, "status": 200},
    ]


async def test_an_endpoint_s_own_version_is_on_its_events(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await client.v1.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": ["*"], "api_version": "2025-04-30.basil"}
    )
    link = await make_link()

    await http.post(f"/pay/{link.id}")

    assert {delivery.event["api_version"] for delivery in receiver.deliveries} == {"2025-04-30.basil"}


async def test_after_a_roll_both_secrets_sign_until_the_old_one_expires(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    endpoint = await subscribe(client, receiver.url, "checkout.session.completed")
    link = await make_link()
    roll = f"/v1/webhook_endpoints/{endpoint.id}/roll_secret"
    auth = {"Authorization": "Bearer sk_test_acme_1"}

    second = (await http.post(roll, json={"expires_in_s": 60}, headers=auth)).json()["secret"]
    await http.post(f"/pay/{link.id}")
    third = (await http.post(roll, json={"expires_in_s": 0}, headers=auth)).json()["secret"]
    await http.post(f"/pay/{link.id}")

    both, alone = receiver.deliveries
    assert both.headers["stripe-signature"].count("v1=") == 2
    for secret in (endpoint.secret, second):
        assert stripe.WebhookSignature.verify_header(both.body, both.headers["stripe-signature"], secret)
    assert alone.headers["stripe-signature"].count("v1=") == 1
    assert stripe.WebhookSignature.verify_header(alone.body, alone.headers["stripe-signature"], third)
