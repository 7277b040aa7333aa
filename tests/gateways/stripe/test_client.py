"""Stripe's API as we ask it: what is answered, refused, and not known right now."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from errors import StripeRefusedError, StripeUnavailableError
from gateways.base import EventPage
from gateways.stripe.client import API_VERSION, StripeGateway
from gateways.stripe.decoding import decoded
from gateways.stripe.events import EVENTS_TO_SEND
from tests.world.business import StripeAccount

URL = "http://127.0.0.1:9/webhooks/stripe/token"
ENDPOINTS = "/v1/webhook_endpoints"


@pytest.fixture
def stripe(stripe_url: str) -> StripeAccount:
    """An account of the test's own."""
    return StripeAccount(stripe_url, uuid.uuid4().hex[:12])


@pytest.fixture
async def gateway(stripe_url: str) -> AsyncIterator[StripeGateway]:
    """The gateway to the simulator."""
    async with StripeGateway(stripe_url, timeout_s=2.0) as opened:
        yield opened


async def _paid_link(stripe: StripeAccount, times: int = 1) -> str:
    """A Payment Link that was paid so many times."""
    form = {
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": 500,
        "line_items[0][price_data][product_data][name]": "Work",
        "line_items[0][quantity]": 1,
    }
    async with stripe.client() as http:
        made = (await http.post("/v1/payment_links", data=form)).raise_for_status().json()
    for _ in range(times):
        await stripe.pay(made["id"])
    return str(made["id"])


async def _events(gateway: StripeGateway, key: str, **more: Any) -> EventPage:
    """A page of the events of all time, unless told otherwise."""
    return await gateway.list_events(key, **{"created_gte": 0, "created_lt": 2**33, "types": EVENTS_TO_SEND, **more})


# --- Events and sessions ---------------------------------------------------------------------------------------


async def test_events_are_paged_the_newest_first_as_stripe_wrote_them(
    gateway: StripeGateway, stripe: StripeAccount
) -> None:
    await _paid_link(stripe, times=2)

    everything = await _events(gateway, stripe.key())
    first = await _events(gateway, stripe.key(), limit=3)
    rest = await _events(gateway, stripe.key(), starting_after=first.rows[-1]["id"])

    assert [*first.rows, *rest.rows] == list(everything.rows)
    assert (first.has_more, rest.has_more, everything.has_more) == (True, False, False)
    assert {row["type"] for row in everything.rows} == {"checkout.session.completed", "payment_intent.succeeded"}
    async with stripe.client() as http:
        assert (await http.get(f"/v1/events/{first.rows[0]['id']}")).json() == first.rows[0]


async def test_events_are_of_the_time_and_types_asked_for(gateway: StripeGateway, stripe: StripeAccount) -> None:
    await _paid_link(stripe)
    (newest, *_) = (await _events(gateway, stripe.key())).rows

    before = await _events(gateway, stripe.key(), created_lt=newest["created"] - 60)
    after = await _events(gateway, stripe.key(), created_gte=newest["created"] + 60)
    intents = await _events(gateway, stripe.key(), types=["payment_intent.succeeded"])

    assert (before.rows, after.rows) == ([], [])
    assert [row["type"] for row in intents.rows] == ["payment_intent.succeeded"]


async def test_the_completed_sessions_of_a_link_are_told(gateway: StripeGateway, stripe: StripeAccount) -> None:
    paid, unpaid = await _paid_link(stripe), await _paid_link(stripe, times=0)

    (session,) = await gateway.completed_sessions(stripe.key(), paid)

    assert (session["object"], session["payment_link"], session["amount_total"]) == ("checkout.session", paid, 500)
    assert await gateway.completed_sessions(stripe.key(), unpaid) == []


# --- What goes wrong -------------------------------------------------------------------------------------------


async def test_a_rate_limit_is_told_apart_from_a_refusal(gateway: StripeGateway, stripe: StripeAccount) -> None:
    await stripe.fault("status_before", method="GET", path="/v1/events", status=429)

    with pytest.raises(StripeUnavailableError) as busy:
        await _events(gateway, stripe.key())

    assert busy.value.code == "STRIPE_BUSY"
    assert busy.value.retry_after_s is not None
    assert busy.value.retry_after_s > 0
    assert (await _events(gateway, stripe.key())).rows == []


@pytest.mark.parametrize("kind", ["hang_up", "timeout"])
async def test_no_answer_is_no_refusal(gateway: StripeGateway, stripe: StripeAccount, kind: str) -> None:
    await stripe.fault(kind, method="GET", path="/v1/events", times=2)

    with pytest.raises(StripeUnavailableError) as silent:
        await _events(gateway, stripe.key())

    assert (silent.value.code, silent.value.retry_after_s) == ("STRIPE_UNREACHABLE", None)


async def test_a_key_that_does_not_work_is_refused_and_not_quoted(gateway: StripeGateway) -> None:
    with pytest.raises(StripeRefusedError) as rejected:
        await _events(gateway, "sk_test_invalid_42424242")

    assert rejected.value.code == "KEY_REJECTED"
    assert "42424242" not in rejected.value.message


# --- Webhook endpoints -----------------------------------------------------------------------------------------


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


# --- The key ---------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (r'{"data": ["\ud83d\ude00"]}', {"data": ["😀"]}),
        (r'{"data": ["a\ud83d"]}', {"data": ["a?"]}),
        (r'{"data": ["\\ud83d"]}', {"data": [r"\ud83d"]}),
    ],
    ids=["a pair", "half of one", "the words for one"],
)
def test_half_of_a_character_does_not_keep_an_answer_from_being_read(body: str, read: object) -> None:
    """Customers type what they like; one event must not stop the sync of all that come after it."""
    assert decoded(body) == read
