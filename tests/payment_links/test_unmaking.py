"""Links that must not be paid any more are stopped at Stripe."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from database.access import transaction
from database.scope import unscoped
from models.instant import utc_now
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import PaymentLink
from payment_links import lifecycle
from resolvers.context import Services
from tests.payment_links.making import ENDINGS, NOBODY, claimed, link_maker, paid, planned, was_asked
from tests.world import documents
from tests.world.business import Business
from tests.world.eventually import eventually
from workers import links
from workers.links import LinkSweep

ANOTHER_LINK: Final = """
mutation ($id: ID!, $integrationId: ID!) {
  createPaymentLink(invoiceId: $id, integrationId: $integrationId) { __typename }
}
"""


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_invoice_that_has_ended_can_not_be_paid_at_stripe(
    business: Business, connected: str, ending: str
) -> None:
    invoice = await business.finalized("20.00")
    link_id = invoice["paymentLink"]["stripeId"]
    payable_before = await business.stripe.is_payable(link_id)

    ended = await business.mutate(ENDINGS[ending], id=invoice["id"])
    row = await business.work_off(invoice["id"])

    assert payable_before
    assert ended["invoice"]["paymentLink"]["status"] == "DEACTIVATED"
    assert (row.status, row.due_at) == (PaymentLinkStatus.DEACTIVATED, None)
    assert not await business.stripe.is_payable(link_id)
    assert (await business.happened(invoice["id"]))[-1] is EventType.PAYMENT_LINK_DEACTIVATED


async def test_an_invoice_voided_while_its_link_is_being_made_can_not_be_paid(
    business: Business, connected: str
) -> None:
    draft = await business.draft("20.00")
    await business.stripe.fault("delay", delay_s=2.0)
    finalizing = asyncio.create_task(business.finalize(draft))
    await eventually(lambda: was_asked(business))

    await business.mutate(documents.VOID, id=draft)
    early = await business.work_off(draft)
    await finalizing
    (made,) = await business.stripe.links()
    late = await business.work_off(draft)

    assert (early.status, early.provider_id) == (PaymentLinkStatus.DEACTIVATED, None)
    assert (late.status, late.provider_id, late.due_at) == (PaymentLinkStatus.DEACTIVATED, made["id"], None)
    assert not made["active"]


async def test_a_voided_invoices_link_whose_answer_was_lost_is_found_and_stopped(
    business: Business, connected: str
) -> None:
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")

    await business.mutate(documents.VOID, id=invoice["id"])
    row = await business.work_off(invoice["id"])

    (made,) = await business.stripe.links()
    assert (row.provider_id, row.due_at) == (made["id"], None)
    assert not made["active"]


async def test_a_link_that_is_found_but_not_stopped_is_stopped_by_the_next_try(
    business: Business, connected: str
) -> None:
    """It is known from then on: whoever looked again would not find it beside the known ones."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.mutate(documents.VOID, id=invoice["id"])
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=2)

    found = await business.work_off(invoice["id"])
    stopped = await business.work_off(invoice["id"])

    (made,) = await business.stripe.links()
    assert (found.provider_id, found.sessions_closed_at) == (made["id"], None)
    assert (stopped.due_at, stopped.sessions_closed_at is None) == (None, False)
    assert not made["active"]


@pytest.mark.parametrize(("age_s", "looks_again"), [(90, True), (150, False)])
async def test_a_retired_link_that_is_not_found_is_looked_for_until_nobody_can_be_making_it(
    business: Business, connected: str, office: Services, age_s: int, looks_again: bool
) -> None:
    """That is two claims long."""
    row = await planned(business, connected)
    async with link_maker(office, NOBODY) as lost:
        await lost.make(row.id)
    await business.mutate(documents.VOID, id=row.invoice_id)
    async with transaction():
        retired_at = utc_now() - timedelta(seconds=age_s)
        await unscoped(PaymentLink).filter(id=row.id).update(updated_at=retired_at)

    after = await business.work_off(row.invoice_id)

    assert (after.provider_id, after.due_at is not None) == (None, looks_again)


async def test_a_refusal_to_stop_a_link_that_comes_late_does_not_undo_what_another_has_stopped(
    business: Business, connected: str
) -> None:
    invoice = await business.finalized("20.00")
    await business.mutate(documents.VOID, id=invoice["id"])
    late = await claimed(business, await business.link(invoice["id"]))
    stopped = await business.work_off(invoice["id"])
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=2)

    await business.services.link_maker.carry_out(late)

    after = await business.link(invoice["id"])
    assert stopped.sessions_closed_at is not None
    assert (after.due_at, after.sessions_closed_at) == (None, stopped.sessions_closed_at)


async def test_stopping_is_tried_again_until_stripe_does_it(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    link_id = invoice["paymentLink"]["stripeId"]
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=2)
    await business.mutate(documents.VOID, id=invoice["id"])

    before = utc_now()
    refused = await business.work_off(invoice["id"])
    row = await business.work_off(invoice["id"])

    assert refused.due_at is not None
    assert refused.due_at > before + timedelta(seconds=2)
    assert row.due_at is None
    assert not await business.stripe.is_payable(link_id)


async def test_a_link_that_could_not_be_stopped_for_want_of_a_key_is_stopped_with_the_next(
    business: Business, connected: str
) -> None:
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=401)
    await business.mutate(documents.VOID, id=invoice["id"])

    rejected = await business.work_off(invoice["id"])
    status = (await business.integration(connected))["status"]
    await business.update_integration(connected, secretKey=business.stripe.key("new"))
    row = await business.work_off(invoice["id"])

    assert (rejected.problem_code, rejected.due_at, status) == ("KEY_REJECTED", None, "KEY_REJECTED")
    assert (row.status, row.problem_code, row.due_at) == (PaymentLinkStatus.DEACTIVATED, None, None)
    assert not await business.stripe.is_payable(invoice["paymentLink"]["stripeId"])


async def test_a_link_of_another_integration_is_retired_told_and_stopped_at_once(
    business: Business, connected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is woken finds it: the sweep is told after the commit, and looks by itself only in an hour."""
    monkeypatch.setattr(links, "INTERVAL_S", 3600.0)
    invoice = await business.finalized("20.00")
    other = await business.connect(name="Other", secretKey=business.stripe.key("2"))

    async with LinkSweep(business.services.link_maker):
        await business.mutate(ANOTHER_LINK, id=invoice["id"], integrationId=other["id"])
        await eventually(lambda: _is_unpayable(business, invoice["paymentLink"]["stripeId"]))

    retired, live = await business.links(invoice["id"])
    assert (retired.status, live.status) == (PaymentLinkStatus.DEACTIVATED, PaymentLinkStatus.ACTIVE)
    assert (retired.integration_id, live.integration_id) == (connected, other["id"])
    assert (await business.happened(invoice["id"]))[-2:] == [
        EventType.PAYMENT_LINK_DEACTIVATED,
        EventType.PAYMENT_LINK_CREATED,
    ]


async def test_stopping_is_given_up_in_the_end(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", path="/v1/payment_links/*", status=500, times=9)
    await business.mutate(documents.VOID, id=invoice["id"])
    await _tried(invoice["id"], lifecycle.STOP_TRIES - 2)

    last_but_one = await business.work_off(invoice["id"])
    last = await business.work_off(invoice["id"])

    assert last_but_one.due_at is not None
    assert (last.tries, last.due_at) == (lifecycle.STOP_TRIES, None)


async def test_a_link_that_was_hard_to_make_is_stopped_with_as_much_patience(
    business: Business, connected: str
) -> None:
    """What making it took does not count."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await _tried(invoice["id"], lifecycle.STOP_TRIES)
    await business.mutate(documents.VOID, id=invoice["id"])

    retired = await business.link(invoice["id"])

    assert (retired.status, retired.tries) == (PaymentLinkStatus.DEACTIVATED, 0)


async def test_a_link_that_was_hard_to_make_is_stopped_after_a_payment_with_as_much_patience(
    business: Business, connected: str
) -> None:
    """What nobody knows to be made may be at Stripe, for the old amount."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await _tried(invoice["id"], lifecycle.STOP_TRIES)
    await business.deliver(connected, paid(business, invoice["id"], 500))
    await business.stripe.fault("status_before", method="GET", status=500, times=2)

    await business.work_off(invoice["id"])
    await business.work_off(invoice["id"])

    (retired,) = [link for link in await business.stripe.links() if not link["active"]]
    assert [line["amount_total"] for line in await business.stripe.lines(retired["id"])] == [2000]


async def test_a_link_that_was_probably_paid_is_left_alone_until_its_session_is_told(
    business: Business, connected: str
) -> None:
    """Stripe closes it then; were it closed before, the session that pays it could be refused."""
    invoice = await business.finalized("20.00")
    paid = next(e for e in await business.stripe.pay(invoice["paymentLink"]["stripeId"]) if "intent" in e["type"])

    before = utc_now()
    await business.deliver(connected, paid)
    row = await business.link(invoice["id"])

    assert row.status is PaymentLinkStatus.COMPLETED
    assert row.due_at is not None
    assert row.due_at >= before + lifecycle.SESSION_GRACE


@pytest.mark.parametrize("before", PaymentLinkStatus)
@pytest.mark.parametrize("after", PaymentLinkStatus)
async def test_a_spent_link_stays_so_and_none_comes_back(before: PaymentLinkStatus, after: PaymentLinkStatus) -> None:
    """Whatever becomes of a link, it is made once and ends once."""
    ends = {PaymentLinkStatus.COMPLETED, PaymentLinkStatus.DEACTIVATED}
    may = after in lifecycle.TRANSITIONS[before]

    if before in ends:
        assert may == (before is PaymentLinkStatus.DEACTIVATED and after is PaymentLinkStatus.COMPLETED)
    if may:
        lifecycle.check_transition(before, after)
    else:
        with pytest.raises(AssertionError, match=before.value):
            lifecycle.check_transition(before, after)


async def _tried(invoice_id: str, times: int) -> None:
    """Let an invoice's link have been tried so often."""
    async with transaction():
        await unscoped(PaymentLink).filter(invoice_id=invoice_id).update(tries=times)


async def _is_unpayable(business: Business, provider_id: str) -> bool:
    return not await business.stripe.is_payable(provider_id)
