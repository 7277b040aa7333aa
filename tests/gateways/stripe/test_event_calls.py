"""Asking Stripe what happened: what is answered, refused, and not known right now."""

from typing import Any

import pytest

from errors import StripeRefusedError, StripeUnavailableError
from gateways.base import EventPage
from gateways.stripe.client import StripeGateway
from gateways.stripe.decoding import decoded
from gateways.stripe.events import EVENTS_TO_SEND
from tests.world.business import StripeAccount


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
