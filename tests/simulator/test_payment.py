"""Paying a link, as its customer."""

from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeLink, line_item, with_stripe

pytestmark = with_stripe


async def test_a_paid_link_makes_a_complete_session_and_a_succeeded_intent(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link(metadata={"invoice_id": "inv_1"}, payment_intent_data={"metadata": {"workspace_id": "ws_1"}})

    paid = (await http.post(f"/pay/{link.id}", json={"email": "payer@example.com"})).json()

    session = await client.v1.checkout.sessions.retrieve_async(paid["checkout_session"])
    assert (session.status, session.payment_status, session.amount_total) == ("complete", "paid", 1999)
    assert (session.payment_link, session.payment_intent) == (link.id, paid["payment_intent"])
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"invoice_id": "inv_1"}
    assert session.customer_details is not None
    assert session.customer_details.email == "payer@example.com"
    intent = await client.v1.payment_intents.retrieve_async(paid["payment_intent"], {"expand": ["latest_charge"]})
    assert (intent.status, intent.amount, intent.amount_received) == ("succeeded", 1999, 1999)
    assert intent.metadata.to_dict() == {"workspace_id": "ws_1"}
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.metadata.to_dict() == {"workspace_id": "ws_1"}


async def test_without_a_subscriber_the_main_events_are_there_and_no_others(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()

    paid = (await http.post(f"/pay/{link.id}")).json()

    assert [(event["type"], event["deliveries"]) for event in paid["events"]] == [
        ("payment_intent.succeeded", []),
        ("checkout.session.completed", []),
    ]
    assert len((await client.v1.events.list_async()).data) == 2


async def test_a_declined_card_leaves_the_session_open_for_another_try(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()

    declined = (await http.post(f"/pay/{link.id}", data={"outcome": "declined"})).json()

    assert [event["type"] for event in declined["events"]] == ["payment_intent.payment_failed"]
    session = await client.v1.checkout.sessions.retrieve_async(declined["checkout_session"])
    assert (session.status, session.payment_status) == ("open", "unpaid")
    intent = await client.v1.payment_intents.retrieve_async(declined["payment_intent"])
    assert intent.last_payment_error is not None
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "card_declined")
    paid = (await http.post(f"/pay/{link.id}")).json()
    assert paid["checkout_session"] == declined["checkout_session"]
    assert paid["payment_intent"] == declined["payment_intent"]


@pytest.mark.parametrize(
    ("outcome", "payment_status", "intent_status", "types"),
    [
        (
            "succeeded",
            "paid",
            "succeeded",
            ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"],
        ),
        (
            "failed",
            "unpaid",
            "requires_payment_method",
            ["payment_intent.payment_failed", "checkout.session.async_payment_failed"],
        ),
    ],
)
async def test_a_bank_debit_is_settled_later(
    client: stripe.StripeClient,
    http: httpx.AsyncClient,
    make_link: MakeLink,
    outcome: str,
    payment_status: str,
    intent_status: str,
    types: list[str],
) -> None:
    link = await make_link()
    begun = (await http.post(f"/pay/{link.id}", json={"outcome": "async"})).json()
    waiting = await client.v1.checkout.sessions.retrieve_async(begun["checkout_session"])

    settled = (await http.post(f"/pay/{link.id}/settle", json={"outcome": outcome})).json()

    assert [event["type"] for event in begun["events"]] == ["checkout.session.completed"]
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert [event["type"] for event in settled["events"]] == types
    session = await client.v1.checkout.sessions.retrieve_async(
        settled["checkout_session"], {"expand": ["payment_intent"]}
    )
    assert (session.id, session.payment_status) == (begun["checkout_session"], payment_status)
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert session.payment_intent.status == intent_status


async def test_each_bank_debit_can_be_settled_once_and_in_any_order(
    http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()
    first, second = [(await http.post(f"/pay/{link.id}", json={"outcome": "async"})).json() for _ in range(2)]

    failed = await http.post(
        f"/pay/{link.id}/settle", json={"outcome": "failed", "checkout_session": second["checkout_session"]}
    )
    succeeded = await http.post(f"/pay/{link.id}/settle", json={"outcome": "succeeded"})
    refused = await http.post(f"/pay/{link.id}/settle", json={"outcome": "succeeded"})

    assert failed.json()["payment_intent"] == second["payment_intent"]
    assert succeeded.json()["payment_intent"] == first["payment_intent"]
    assert refused.status_code == 409


async def test_another_amount_can_be_paid(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()

    paid = (await http.post(f"/pay/{link.id}", json={"amount": 500})).json()

    session = await client.v1.checkout.sessions.retrieve_async(paid["checkout_session"])
    intent = await client.v1.payment_intents.retrieve_async(paid["payment_intent"])
    assert (session.amount_total, intent.amount_received) == (500, 500)


async def test_nothing_to_pay_needs_no_intent(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link(line_items=[line_item(0)])

    paid = (await http.post(f"/pay/{link.id}")).json()

    session = await client.v1.checkout.sessions.retrieve_async(paid["checkout_session"])
    assert (session.payment_status, session.payment_intent) == ("no_payment_required", None)
    assert [event["type"] for event in paid["events"]] == ["checkout.session.completed"]


async def test_the_last_allowed_session_deactivates_the_link(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link(restrictions={"completed_sessions": {"limit": 2}})
    first, second, third = [await http.post(f"/pay/{link.id}") for _ in range(3)]

    link = await client.v1.payment_links.retrieve_async(link.id)

    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 409)
    assert "as often as it may be" in third.json()["error"]["message"]
    assert not link.active
    assert link.restrictions is not None
    assert link.restrictions.completed_sessions.count == 2


async def test_a_deactivated_link_can_not_be_paid(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link = await make_link()
    await client.v1.payment_links.update_async(link.id, {"active": False})

    refused = await http.post(f"/pay/{link.id}")

    assert refused.status_code == 409
    assert "deactivated" in refused.json()["error"]["message"]
    assert (await client.v1.checkout.sessions.list_async({"payment_link": link.id})).data == []


async def test_the_sessions_of_a_link_are_listed_newest_first(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    link, other = await make_link(), await make_link()
    await http.post(f"/pay/{other.id}")
    made = [(await http.post(f"/pay/{link.id}")).json()["checkout_session"] for _ in range(3)]

    listed = await client.v1.checkout.sessions.list_async({"payment_link": link.id, "limit": 2})

    assert listed.has_more
    assert [session.id for session in listed.data] == made[:0:-1]


async def test_the_page_shows_what_is_sold_and_a_button(http: httpx.AsyncClient, make_link: MakeLink) -> None:
    line = line_item(800, currency="jpy")
    line["price_data"]["product_data"]["name"] = "<script>"
    link = await make_link(line_items=[line])

    page = await http.get(f"/pay/{link.id}")

    assert page.headers["content-type"].startswith("text/html")
    assert "Pay 800 JPY</button>" in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize(
    "options",
    [
        {"outcome": "lost"},
        {"amount": "12.5"},
        {"amount": -1},
        {"amount": 0, "outcome": "declined"},
        {"events": ["invoice.paid"]},
        {"events": []},
        {"order": "random"},
        {"deliveries": 101},
        {"email": "nobody"},
        {"unknown": True},
    ],
)
async def test_options_that_make_no_sense_change_nothing(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, options: dict[str, Any]
) -> None:
    link = await make_link()

    refused = await http.post(f"/pay/{link.id}", json=options)

    assert refused.status_code == 400
    assert refused.json()["error"]["message"]
    assert (await client.v1.checkout.sessions.list_async()).data == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'"paid"', b"{" * 100_000, b'{"a":' * 20 + b"1" + b"}" * 20, b"\xff"])
async def test_a_body_that_can_not_be_read_is_refused(
    http: httpx.AsyncClient, make_link: MakeLink, body: bytes
) -> None:
    link = await make_link()

    refused = await http.post(f"/pay/{link.id}", content=body, headers={"Content-Type": "application/json"})

    assert refused.status_code == 400
    assert refused.json()["error"]["message"]


async def test_a_link_that_nobody_made_is_not_found(http: httpx.AsyncClient) -> None:
    answers = [await http.get("/pay/plink_none"), await http.post("/pay/plink_none")]

    assert [answer.status_code for answer in answers] == [404, 404]
