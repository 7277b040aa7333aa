"""The main job against real processes: connect, finalize, pay, PAID live; run small and run large."""

import itertools

import httpx
import pytest

from tests.world.documents import DISCONNECT, INVOICE_PAID, UPDATE_INTEGRATION, WEBHOOK_EVENTS
from tests.world.house import SECRET, House
from tests.world.local import LOCAL
from tests.world.stripe_payloads import checkout_session_completed


@pytest.mark.parametrize("order", ["intent first", "session first"])
async def test_both_events_of_a_payment_each_twice_mark_its_invoice_paid_once(house: House, order: str) -> None:
    invoice = await house.open_invoice()
    intent = house.paid(invoice)
    intent_id = intent["data"]["object"]["id"]
    session = checkout_session_completed(
        payment_intent=intent_id,
        amount=4620,
        currency="eur",
        invoice_id=invoice["id"],
        workspace_id=house.workspace_id,
        payment_link=invoice["paymentLink"]["stripeId"],
    )
    events = [intent, session] if order == "intent first" else [session, intent]

    async with house.client.subscribe(INVOICE_PAID) as subscription:
        answers = [await house.post(each) for each in itertools.chain(events, events)]
        event = await subscription.next()
        told_once = await subscription.silence()

    assert [answer.status_code for answer in answers] == [200] * 4
    assert event["invoice"] == {"id": invoice["id"], "status": "PAID", "amountPaid": {"amount": "46.20"}}
    assert (event["previousStatus"], event["status"], event["actor"]) == ("OPEN", "PAID", "stripe")
    assert event["payment"] == {"providerPaymentId": intent_id}
    assert told_once
    paid = await house.invoice(invoice["id"])
    assert paid["status"] == "PAID"
    assert paid["payments"]["totalCount"] == 1
    assert paid["paymentLink"]["status"] == "COMPLETED"
    seen = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]
    assert [(node["status"], node["deliveries"]) for node in seen["nodes"]] == [("PROCESSED", 2)] * 2


async def test_a_customer_who_pays_the_link_is_seen_by_every_dashboard(house: House) -> None:
    key = (house.secret_key, "")
    async with httpx.AsyncClient(base_url=house.simulator.url, **LOCAL, auth=key) as stripe:
        added = await stripe.post(
            "/v1/webhook_endpoints",
            data={
                "url": house.integration["webhookUrl"],
                "enabled_events[0]": "checkout.session.completed",
                "enabled_events[1]": "payment_intent.succeeded",
            },
        )
        given = {"id": house.integration["id"], "webhookSecret": added.json()["secret"]}
        await house.client.mutate(UPDATE_INTEGRATION, input=given)
        invoice = await house.open_invoice()
        async with house.client.subscribe(INVOICE_PAID) as one, house.client.subscribe(INVOICE_PAID) as another:
            paying = await stripe.post(f"/pay/{invoice['paymentLink']['stripeId']}", json={"deliveries": 2})

            events = [await one.next(), await another.next()]

    assert paying.status_code == 200
    assert [event["invoice"]["id"] for event in events] == [invoice["id"]] * 2
    assert (await house.invoice(invoice["id"]))["amountRemaining"] == {"amount": "0.00"}


async def test_a_subscriber_that_comes_back_with_its_cursor_misses_nothing(house: House) -> None:
    before = (await house.client.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]
    invoices = [await house.open_invoice() for _ in range(3)]
    for invoice in invoices:
        assert (await house.post(house.paid(invoice))).status_code == 200

    async with house.client.subscribe(INVOICE_PAID, after=before["eventCursor"]) as subscription:
        first = await subscription.next()
    async with house.client.subscribe(INVOICE_PAID, after=first["cursor"]) as subscription:
        others = [await subscription.next(), await subscription.next()]
        nothing_twice = await subscription.silence()

    assert [event["invoice"]["id"] for event in (first, *others)] == [invoice["id"] for invoice in invoices]
    assert nothing_twice


async def test_a_rotated_secret_is_honoured_at_once_and_the_old_one_for_a_while(house: House) -> None:
    invoice = await house.open_invoice()
    event = house.paid(invoice)
    assert (await house.post(event, "whsec_neverSavedAnywhere")).status_code == 400
    given = {"id": house.integration["id"], "webhookSecret": "whsec_theNewOne12345"}
    await house.client.mutate(UPDATE_INTEGRATION, input=given)

    with_the_new = await house.post(event, "whsec_theNewOne12345")
    with_the_old = await house.post(event, SECRET)

    assert (with_the_new.status_code, with_the_old.status_code) == (200, 200)
    assert (await house.invoice(invoice["id"]))["status"] == "PAID"


async def test_what_comes_while_switched_off_is_held_and_applied_when_switched_on(house: House) -> None:
    invoice = await house.open_invoice()
    await house.client.mutate(UPDATE_INTEGRATION, input={"id": house.integration["id"], "isActive": False})

    answer = await house.post(house.paid(invoice))
    held = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["nodes"]
    status_while_off = (await house.invoice(invoice["id"]))["status"]
    await house.client.mutate(UPDATE_INTEGRATION, input={"id": house.integration["id"], "isActive": True})

    assert answer.status_code == 200
    assert [(node["status"], node["reason"]["code"]) for node in held] == [("HELD", "INTEGRATION_INACTIVE")]
    assert status_while_off == "OPEN"
    assert (await house.invoice(invoice["id"]))["status"] == "PAID"


async def test_a_disconnected_integration_is_gone_for_stripe_and_its_history_stays(house: House) -> None:
    invoice = await house.open_invoice()
    event = house.paid(invoice)
    assert (await house.post(event)).status_code == 200

    result = await house.client.mutate(DISCONNECT, id=house.integration["id"])

    assert result["integration"]["status"] == "DISCONNECTED"
    assert result["integration"]["webhookUrl"] is None
    assert (await house.post(event)).status_code == 404
    assert (await house.invoice(invoice["id"]))["status"] == "PAID"
    assert (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["totalCount"] == 1
