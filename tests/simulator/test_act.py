"""What is done about an invoice by whoever knows its id or number, and not its link."""

from typing import Any

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeLink, with_stripe
from tests.simulator.serving import Receiver, eventually_apart

pytestmark = with_stripe

ONCE: Any = {"completed_sessions": {"limit": 1}}
WANTED: Any = ["checkout.session.completed", "payment_intent.succeeded", "charge.refunded"]


async def link_of(make_link: MakeLink, invoice_id: str = "inv_1", number: str = "2026-7") -> stripe.PaymentLink:
    """A link for an invoice, which says so as the product's links do."""
    described = {"description": f"Invoice {number}"}
    return await make_link(metadata={"invoice_id": invoice_id}, payment_intent_data=described, restrictions=ONCE)


async def act(http: httpx.AsyncClient, action: str, invoice: str = "inv_1", **options: Any) -> httpx.Response:
    return await http.post("/simulator/actions", json={"action": action, "invoice": invoice, **options})


@pytest.fixture
async def receiver(client: stripe.StripeClient, receiver: Receiver) -> Receiver:
    """An application that receives the webhooks of a payment and a refund."""
    await client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": WANTED})
    return receiver


@pytest.mark.parametrize("invoice", ["inv_1", "2026-7"])
async def test_an_invoice_is_named_by_its_id_or_its_number(
    http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver, invoice: str
) -> None:
    await link_of(make_link, "inv_2", "2026-8")
    link = await link_of(make_link)

    paid = await act(http, "pay", invoice)

    (step,) = paid.json()["steps"]
    assert step["payment_link"] == link.id
    assert receiver.types == ["payment_intent.succeeded", "checkout.session.completed"]


async def test_a_number_that_several_invoices_have_is_refused_with_their_ids(
    http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    for invoice_id in ("inv_1", "inv_2"):
        await link_of(make_link, invoice_id)

    refused = await act(http, "pay", "2026-7")

    assert refused.status_code == 409
    assert "give an id, inv_1 or inv_2" in refused.text


async def test_it_is_done_with_the_newest_link_that_it_can_be_done_with(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink
) -> None:
    first, second = await link_of(make_link), await link_of(make_link)
    paid = [(await act(http, "pay")).json()["steps"][0]["payment_link"] for _ in range(2)]

    third = await act(http, "pay")

    assert paid == [second.id, first.id]
    assert (third.status_code, "as often as it may be" in third.text) == (409, True)


async def test_paying_twice_is_two_steps(http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver) -> None:
    await link_of(make_link)

    steps = (await act(http, "pay_twice")).json()["steps"]

    assert len({step["payment_intent"] for step in steps}) == 2
    assert len(receiver.types) == 4


async def test_an_invoice_that_is_not_known_is_refused(http: httpx.AsyncClient) -> None:
    refused = await act(http, "pay", "inv_unknown")

    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "invoice")


@pytest.mark.parametrize("options", [{"action": "rob"}, {"delay_s": 61}, {"order": "none"}, {"tampered": "perhaps"}])
async def test_what_is_not_understood_is_refused(
    http: httpx.AsyncClient, make_link: MakeLink, options: dict[str, Any]
) -> None:
    await link_of(make_link)

    refused = await http.post("/simulator/actions", json={"action": "pay", "invoice": "inv_1", **options})

    assert refused.status_code == 400


# --- How it is posted ------------------------------------------------------------------------------------------


async def test_shuffled_events_come_in_an_order_that_is_not_theirs(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    """And are listed as they happened."""
    await link_of(make_link)

    await act(http, "pay", order="shuffled")

    assert receiver.types == ["checkout.session.completed", "payment_intent.succeeded"]
    assert [event.type for event in (await client.v1.events.list_async()).data] == receiver.types


async def test_delayed_events_are_posted_later_and_listed_at_once(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    await link_of(make_link)

    paid = (await act(http, "pay", delay_s=0.3, deliveries=2)).json()

    assert [event["deliveries"] for event in paid["steps"][0]["events"]] == [[], []]
    assert receiver.types == []
    assert len((await client.v1.events.list_async()).data) == 2
    await eventually_apart(receiver, posts=4)
    assert receiver.types == ["payment_intent.succeeded"] * 2 + ["checkout.session.completed"] * 2


async def test_tampered_events_are_signed_with_no_secret_of_the_endpoint_and_posted_once(
    client: stripe.StripeClient, http: httpx.AsyncClient, make_link: MakeLink, receiver: Receiver
) -> None:
    endpoint = await client.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": WANTED})
    receiver.statuses = [400] * 4
    await link_of(make_link)

    paid = (await act(http, "pay", tampered=True)).json()
    await act(http, "refund")

    assert {post["status"] for event in paid["steps"][0]["events"] for post in event["deliveries"]} == {400}
    assert len(receiver.deliveries) == 6
    for delivery in receiver.deliveries[:4]:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(delivery.body, delivery.headers["stripe-signature"], endpoint.secret)
    assert set(receiver.types[4:]) == {"charge.refunded"}
