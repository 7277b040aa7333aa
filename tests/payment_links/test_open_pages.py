"""Pages of Stripe that customers have open are closed with their link."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest

from database.access import transaction
from database.scope import unscoped
from models.kinds import PaymentLinkStatus
from models.payment_link import PaymentLink
from tests.payment_links.making import ENDINGS, claimed, paid, planned
from tests.world import documents
from tests.world.business import Business

OPEN_SESSIONS: Final = "query ($id: ID!) { invoice(id: $id) { paymentLink { openSessions problem { code } } } }"


async def open_sessions(business: Business, invoice_id: str) -> Any:
    """Whether customers may have a page of an invoice's link open."""
    return (await business.mutate(OPEN_SESSIONS, id=invoice_id))["paymentLink"]["openSessions"]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_whatever_ends_an_invoice_closes_the_pages_that_customers_have_open(
    business: Business, connected: str, ending: str
) -> None:
    invoice = await business.finalized("20.00")
    other = await business.finalized("30.00")
    link_id = invoice["paymentLink"]["stripeId"]
    visits = [await business.stripe.visit(link_id) for _ in range(2)]
    elsewhere = await business.stripe.visit(other["paymentLink"]["stripeId"])
    before = await open_sessions(business, invoice["id"])

    await business.mutate(ENDINGS[ending], id=invoice["id"])
    meanwhile = await open_sessions(business, invoice["id"])
    await business.work_off(invoice["id"])

    assert (before, meanwhile, await open_sessions(business, invoice["id"])) == ("POSSIBLE", "CLOSING", "SETTLED")
    assert await business.stripe.sessions() == {**dict.fromkeys(visits, "expired"), elsewhere: "open"}
    with pytest.raises(httpx.HTTPStatusError):
        await business.stripe.pay(link_id, checkout_session=visits[0])


async def test_the_pages_of_a_link_for_the_old_amount_are_closed_after_a_partial_payment(
    business: Business, connected: str
) -> None:
    invoice = await business.finalized("20.00")
    visit = await business.stripe.visit(invoice["paymentLink"]["stripeId"])

    await business.deliver(connected, paid(business, invoice["id"], 500))
    await business.work_off(invoice["id"])

    old, _ = await business.links(invoice["id"])
    assert old.sessions_closed_at is not None
    assert (await business.stripe.sessions())[visit] == "expired"
    assert await open_sessions(business, invoice["id"]) == "POSSIBLE"


async def test_money_that_wins_the_race_is_recorded(business: Business, connected: str) -> None:
    """A customer pays the open page before Stripe is told to close it."""
    invoice = await business.finalized("20.00")
    link_id = invoice["paymentLink"]["stripeId"]
    visit = await business.stripe.visit(link_id)
    await business.mutate(documents.VOID, id=invoice["id"])

    paid = await business.stripe.pay(link_id, checkout_session=visit)
    await business.work_off(invoice["id"])
    await business.deliver(connected, *paid)

    unapplied = await business.mutate("{ payments(filter: {allocation: UNAPPLIED}) { nodes { amount { amount } } } }")
    assert [payment["amount"]["amount"] for payment in unapplied["nodes"]] == ["20.00"]
    assert (await business.stripe.sessions())[visit] == "complete"
    assert await open_sessions(business, invoice["id"]) == "SETTLED"


async def test_closing_pages_is_tried_again_until_stripe_does_it(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    visit = await business.stripe.visit(invoice["paymentLink"]["stripeId"])
    await business.stripe.fault("status_before", path="/v1/checkout/sessions/*", status=500, times=3)
    await business.mutate(documents.VOID, id=invoice["id"])

    refused = await business.work_off(invoice["id"])
    unsettled = await open_sessions(business, invoice["id"])
    row = await business.work_off(invoice["id"])

    assert (refused.sessions_closed_at, unsettled) == (None, "CLOSING")
    assert refused.due_at is not None
    assert row.sessions_closed_at is not None
    assert (await business.stripe.sessions())[visit] == "expired"


async def test_a_key_that_may_not_close_pages_is_told_so_and_the_next_closes_them(business: Business) -> None:
    denied = f"rk_test_{business.stripe.name}_nosessions"
    integration = await business.connect(secretKey=denied, webhookSecret="whsec_abcdefghijklmnop")
    invoice = await business.finalized("20.00")
    visit = await business.stripe.visit(invoice["paymentLink"]["stripeId"])
    await business.mutate(documents.VOID, id=invoice["id"])

    await business.work_off(invoice["id"])
    left_open = await business.mutate(OPEN_SESSIONS, id=invoice["id"])
    found = await business.check(integration["id"])
    await business.update_integration(integration["id"], secretKey=business.stripe.key())
    await business.work_off(invoice["id"])

    assert left_open["paymentLink"] == {"openSessions": "POSSIBLE", "problem": {"code": "KEY_NOT_PERMITTED"}}
    assert "KEY_LACKS_OPTIONAL_PERMISSION" in found
    assert (await business.stripe.sessions())[visit] == "expired"
    assert await open_sessions(business, invoice["id"]) == "SETTLED"


async def test_disconnecting_closes_the_pages_too(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    visit = await business.stripe.visit(invoice["paymentLink"]["stripeId"])

    await business.mutate(documents.DISCONNECT, id=connected)

    assert (await business.stripe.sessions())[visit] == "expired"
    assert await open_sessions(business, invoice["id"]) == "SETTLED"


async def test_a_link_that_nobody_can_stop_any_more_is_told_to_the_operator(
    business: Business, connected: str, logged: list[MutableMapping[str, Any]]
) -> None:
    """Once: its row says that customers may pay it, and that nothing more is done."""
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=9)
    await business.mutate(documents.DISCONNECT, id=connected)
    told_before = [entry for entry in logged if "stays payable" in entry["event"]]

    row = await business.work_off(invoice["id"])

    assert (row.status, row.due_at, row.sessions_closed_at) == (PaymentLinkStatus.DEACTIVATED, None, None)
    assert await open_sessions(business, invoice["id"]) == "POSSIBLE"
    assert told_before == []
    assert [entry["link"] for entry in logged if "stays payable" in entry["event"]] == [row.id]


@pytest.mark.parametrize("fault", [None, "status_before"], ids=["yes", "no"])
async def test_a_link_that_an_operator_deleted_meanwhile_is_left(
    business: Business, connected: str, fault: str | None
) -> None:
    """Whatever Stripe answers."""
    maker, row = business.services.link_maker, await planned(business, connected)
    job = await claimed(business, row)
    async with transaction():
        await unscoped(PaymentLink).filter(id=row.id).delete()
    if fault is not None:
        await business.stripe.fault(fault, status=400)
        await business.stripe.fault(fault, path="/v1/payment_links/*", status=400)
    logged = await business.happened(row.invoice_id)

    await maker.carry_out(job)
    row.status, row.provider_id = PaymentLinkStatus.DEACTIVATED, "plink_a"
    await maker.carry_out(replace(job, link=row))
    await maker.make(row.id)

    assert await business.links(row.invoice_id) == []
    assert await business.happened(row.invoice_id) == logged
