"""Refunds, disputes, and steps that happened earlier, as the customer of a link takes them."""

import time
from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeLink, with_stripe
from tests.simulator.serving import Receiver

pytestmark = with_stripe

DAY_S = 86_400


async def told(client: stripe.StripeClient, answer: dict[str, Any], event_type: str) -> stripe.Event:
    """The event of a type that an answer says was recorded."""
    (event_id,) = [event["id"] for event in answer["events"] if event["type"] == event_type]
    return await client.v1.events.retrieve_async(event_id)


async def test_a_refund_gives_back_a_part_and_then_the_rest(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()
    paid = (await http.post(f"/pay/{link.id}")).json()

    part = (await http.post(f"/pay/{link.id}/refund", json={"amount": 500})).json()
    rest = (await http.post(f"/pay/{link.id}/refund")).json()
    refused = await http.post(f"/pay/{link.id}/refund")

    assert [event["type"] for event in part["events"]] == ["charge.refunded", "refund.created"]
    charges = [(await told(client, answer, "charge.refunded")).data.object for answer in (part, rest)]
    assert [(charge["amount_refunded"], charge["refunded"]) for charge in charges] == [(500, False), (1999, True)]
    refunds = [(await told(client, answer, "refund.created")).data.object for answer in (part, rest)]
    assert [refund["amount"] for refund in refunds] == [500, 1499]
    assert {refund["payment_intent"] for refund in refunds} == {paid["payment_intent"]}
    assert (refused.status_code, "was refunded already" in refused.text) == (409, True)
    assert (await client.v1.balance.retrieve_async()).pending[0].amount == 0


@pytest.mark.parametrize("amount", [0, 2000, "much"])
async def test_a_refund_of_more_than_was_paid_changes_nothing(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, amount: object
) -> None:
    link = await make_link()
    await http.post(f"/pay/{link.id}")

    refused = await http.post(f"/pay/{link.id}/refund", json={"amount": amount})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "amount")
    assert (await client.v1.balance.retrieve_async()).pending[0].amount == 1999


async def test_a_payment_is_disputed_once(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()
    paid = (await http.post(f"/pay/{link.id}")).json()

    disputed = (await http.post(f"/pay/{link.id}/dispute")).json()
    refused = await http.post(f"/pay/{link.id}/dispute")

    dispute = (await told(client, disputed, "charge.dispute.created")).data.object
    assert (dispute["amount"], dispute["payment_intent"]) == (1999, paid["payment_intent"])
    assert dispute["status"] == "needs_response"
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("outcome", "types", "moved", "left"),
    [
        ("won", ["charge.dispute.funds_reinstated", "charge.dispute.closed"], [-1999, 1999], 1999),
        ("lost", ["charge.dispute.closed"], [-1999], 0),
    ],
)
async def test_a_dispute_takes_the_money_and_gives_it_back_when_it_is_won(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    receiver: Receiver,
    outcome: str,
    types: list[str],
    moved: list[int],
    left: int,
) -> None:
    await client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": ["*"]})
    link = await make_link()
    await http.post(f"/pay/{link.id}")
    disputed = (await http.post(f"/pay/{link.id}/dispute")).json()
    withdrawn = (await client.v1.balance.retrieve_async()).pending[0].amount

    closed = (await http.post(f"/pay/{link.id}/dispute/close", json={"outcome": outcome})).json()
    again = await http.post(f"/pay/{link.id}/dispute/close", json={"outcome": outcome})

    assert [event["type"] for event in disputed["events"]] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    assert withdrawn == 0
    assert [event["type"] for event in closed["events"]] == types
    dispute = (await told(client, closed, "charge.dispute.closed")).data.object
    assert dispute["status"] == outcome
    assert [transaction["net"] for transaction in dispute["balance_transactions"]] == moved
    assert (await client.v1.balance.retrieve_async()).pending[0].amount == left
    assert again.status_code == 409


async def test_what_is_not_disputed_has_no_dispute_to_decide(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    link = await make_link()
    await http.post(f"/pay/{link.id}")

    refused = await http.post(f"/pay/{link.id}/dispute/close", json={"outcome": "won"})
    unheard_of = await http.post(f"/pay/{link.id}/dispute/close", json={"outcome": "settled"})

    assert (refused.status_code, unheard_of.status_code) == (409, 400)


@pytest.mark.parametrize("step", ["refund", "dispute"])
@pytest.mark.parametrize("outcome", ["declined", "async"])
async def test_what_was_not_paid_is_neither_refunded_nor_disputed(
    http: httpx.AsyncClient, make_link: MakeLink, step: str, outcome: str
) -> None:
    link = await make_link()
    await http.post(f"/pay/{link.id}", json={"outcome": outcome})

    refused = await http.post(f"/pay/{link.id}/{step}")

    assert refused.status_code == 409


async def test_a_step_can_have_happened_earlier(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    """Everything that it makes is of then, and the events are listed by when they happened."""
    now, month_ago = int(time.time()), int(time.time()) - 30 * DAY_S
    link, other = await make_link(), await make_link()
    await http.post(f"/pay/{other.id}")

    paid = (await http.post(f"/pay/{link.id}", json={"created": month_ago})).json()
    refunded = (await http.post(f"/pay/{link.id}/refund", json={"created": month_ago + DAY_S})).json()

    session = await client.v1.checkout.sessions.retrieve_async(paid["checkout_session"])
    intent = await client.v1.payment_intents.retrieve_async(paid["payment_intent"], {"expand": ["latest_charge"]})
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert {session.created, intent.created, intent.latest_charge.created} == {month_ago}
    refund = await told(client, refunded, "refund.created")
    assert (refund.created, refund.data.object["created"]) == (month_ago + DAY_S, month_ago + DAY_S)
    listed = [event.created for event in (await client.v1.events.list_async()).data]
    assert len(listed) == 6
    assert listed == sorted(listed, reverse=True)
    assert listed[0] >= now
    earlier = await client.v1.events.list_async({"created": {"lt": now}})
    assert {event.id for event in earlier.data} == {event["id"] for event in paid["events"] + refunded["events"]}


@pytest.mark.parametrize("created", ["tomorrow", -1, pytest.param(int(time.time()) + DAY_S, id="in a day")])
async def test_nothing_happens_in_the_future(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, created: object
) -> None:
    link = await make_link()

    refused = await http.post(f"/pay/{link.id}", json={"created": created})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "created")
    assert (await client.v1.events.list_async()).data == []
