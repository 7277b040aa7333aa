"""Links that Stripe refuses to make, and what makes it try again."""

import asyncio
from collections.abc import Mapping

import pytest

from database.scope import scoped
from models.event import Event
from models.kinds import EventType, PaymentLinkStatus
from resolvers.context import Services
from tests.payment_links.making import SlowStripe, link_maker, planned, slow_stripe
from tests.world import documents
from tests.world.business import Business
from tests.world.eventually import eventually
from workers import links
from workers.links import LinkSweep


async def test_what_stripe_refuses_is_told_and_not_tried_again(business: Business, connected: str) -> None:
    invoice = await business.finalized("1000000.00")
    row = await business.work_off(invoice["id"])

    assert invoice["status"] == "OPEN"
    problem = invoice["paymentLink"]["problem"]
    assert problem["code"] == "STRIPE_REFUSED"
    assert "no more than $999,999.99" in problem["message"]
    assert "createPaymentLink" in problem["fix"]
    assert (row.status, row.due_at) == (PaymentLinkStatus.FAILED, None)
    assert len(await business.stripe.creation_keys()) == 1


async def test_asked_again_stripe_is_asked_with_another_key(business: Business, connected: str) -> None:
    await business.stripe.fault("status_before", status=400, times=2)
    invoice = await business.finalized("20.00")

    refused = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])
    made = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])
    again = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])

    assert (refused["__typename"], refused["code"]) == ("StripeRefused", "STRIPE_REFUSED")
    assert "told to refuse" in refused["message"]
    assert made["invoice"]["paymentLink"]["status"] == "ACTIVE"
    assert again == made
    row = await business.link(invoice["id"])
    assert await business.stripe.creation_keys() == [f"{invoice['id']}:{row.id}:{attempt}" for attempt in (1, 2, 3)]
    assert len(await business.stripe.links()) == 1


async def test_a_rejected_key_stands_at_the_integration_until_another_is_saved(
    business: Business, connected: str
) -> None:
    await business.stripe.fault("status_before", status=401)

    invoice = await business.finalized("20.00")
    rejected = await business.integration(connected)
    untried = await business.work_off(invoice["id"])
    await business.update_integration(connected, secretKey=business.stripe.key("new"))
    row = await business.work_off(invoice["id"])

    assert invoice["paymentLink"]["problem"]["code"] == "KEY_REJECTED"
    assert rejected["status"] == "KEY_REJECTED"
    assert rejected["health"]["problems"][0]["code"] == "KEY_REJECTED"
    assert (untried.status, untried.due_at) == (PaymentLinkStatus.FAILED, None)
    assert row.status is PaymentLinkStatus.ACTIVE
    assert (await business.integration(connected))["status"] == "READY"
    assert len(await business.stripe.links()) == 1


async def test_a_key_that_may_not_make_links_is_told_so(business: Business) -> None:
    """The key itself is not rejected."""
    denied = business.stripe.key("1", kind="rk").replace("rk_test_", "rk_test_nolinks")
    integration = await business.connect(secretKey=denied, webhookSecret="whsec_abcdefghijklmnop")

    invoice = await business.finalized("20.00")

    problem = invoice["paymentLink"]["problem"]
    assert problem["code"] == "KEY_NOT_PERMITTED"
    assert "rak_payment_links_write" in problem["message"]
    assert (await business.integration(integration["id"]))["status"] == "READY"


async def _made_while_a_key_is_saved(
    business: Business, connected: str, office: Services, *, answer: int
) -> tuple[str, bool]:
    """Make a link that Stripe refuses once another key is saved; its invoice's id, and whether there is work again."""
    row = await planned(business, connected)
    with slow_stripe(answer) as (slow, url):
        async with link_maker(office, url) as maker:
            making = asyncio.create_task(maker.make(row.id))
            await slow.asked()
            await business.update_integration(connected, secretKey=business.stripe.key("new"))
            slow.answer()
            await making
            return row.invoice_id, maker.due.is_set()


async def test_a_key_saved_while_the_old_one_is_being_rejected_is_tried(
    business: Business, connected: str, office: Services
) -> None:
    invoice_id, _ = await _made_while_a_key_is_saved(business, connected, office, answer=401)

    rejected = await business.link(invoice_id)
    assert rejected.problem_code == "KEY_REJECTED"
    assert rejected.due_at is not None
    assert (await business.integration(connected))["status"] == "READY"
    assert (await business.work_off(invoice_id)).status is PaymentLinkStatus.ACTIVE


async def test_what_is_refused_for_another_reason_is_not_tried_with_a_key_saved_meanwhile(
    business: Business, connected: str, office: Services
) -> None:
    invoice_id, is_work_due = await _made_while_a_key_is_saved(business, connected, office, answer=400)

    assert not is_work_due
    refused = await business.link(invoice_id)
    assert (refused.status, refused.due_at) == (PaymentLinkStatus.FAILED, None)


async def test_what_is_tried_with_a_key_saved_meanwhile_is_tried_at_once(
    business: Business, connected: str, office: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is woken finds it: the sweep is told after the commit, and looks by itself only in an hour."""
    monkeypatch.setattr(links, "INTERVAL_S", 3600.0)
    row = await planned(business, connected)
    with slow_stripe(401) as (slow, url):
        async with link_maker(office, url) as maker, LinkSweep(maker):
            making = asyncio.create_task(maker.make(row.id))
            await slow.asked()
            await business.update_integration(connected, secretKey=business.stripe.key("new"))
            slow.answer()
            await making

            await eventually(lambda: _is_asked(slow, 2))


async def test_an_integration_switched_off_meanwhile_makes_its_links_when_it_is_on_again(
    business: Business, connected: str
) -> None:
    row = await planned(business, connected)
    await business.update_integration(connected, isActive=False)

    off = await business.work_off(row.invoice_id)
    await business.update_integration(connected, isActive=True)
    on = await business.work_off(row.invoice_id)

    assert (off.status, off.problem_code) == (PaymentLinkStatus.FAILED, "INTEGRATION_UNUSABLE")
    assert on.status is PaymentLinkStatus.ACTIVE


@pytest.mark.parametrize(
    ("status", "is_active", "logged"),
    [
        (None, True, [EventType.PAYMENT_LINK_CREATED]),
        (400, True, [EventType.PAYMENT_LINK_FAILED]),
        (401, True, [EventType.PAYMENT_LINK_FAILED, EventType.INTEGRATION_UPDATED]),
        (None, False, [EventType.PAYMENT_LINK_FAILED]),
    ],
    ids=["made", "refused", "key rejected", "given up"],
)
async def test_whoever_follows_is_told_of_each_line_that_a_link_adds_to_the_log(
    business: Business,
    connected: str,
    office: Services,
    stripe_url: str,
    status: int | None,
    is_active: bool,
    logged: list[EventType],
) -> None:
    told: list[Mapping[str, int]] = []
    row = await planned(business, connected)
    await business.update_integration(connected, isActive=is_active)
    if status is not None:
        await business.stripe.fault("status_before", status=status)

    async with link_maker(office, stripe_url, on_commit=told.append) as maker:
        await maker.make(row.id)

    numbers = [number for newest in told for number in newest.values()]
    lines = await scoped(Event, business.workspace.id).filter(number__in=numbers).order_by("number")
    assert [line.type for line in lines] == logged


async def _is_asked(slow: SlowStripe, times: int) -> bool:
    return slow.times >= times
