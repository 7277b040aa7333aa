"""What becomes of a link when money comes through it."""

from models.kinds import PaymentLinkStatus
from tests.payment_links.making import paid
from tests.world import documents
from tests.world.business import Business


async def test_a_partial_payment_is_followed_by_a_link_for_the_rest(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    (first,) = await business.stripe.links()

    await business.deliver(connected, paid(business, invoice["id"], 500))
    row = await business.work_off(invoice["id"])

    (active,) = await business.stripe.active_links()
    assert (row.status, row.amount, row.provider_id) == (PaymentLinkStatus.ACTIVE, 1500, active["id"])
    assert [line["amount_total"] for line in await business.stripe.lines(active["id"])] == [1500]
    assert not await business.stripe.is_payable(first["id"])


async def test_a_link_for_the_rest_is_never_the_one_for_the_whole(business: Business, connected: str) -> None:
    """Nobody knows of either whether Stripe made it: each is looked for, and is not taken for the other."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.deliver(connected, paid(business, invoice["id"], 500))
    whole, rest = await business.links(invoice["id"])
    await business.stripe.fault("status_before", status=503, times=2)

    await business.make_due(invoice["id"])
    await business.services.link_maker.make(rest.id)
    await business.make_due(invoice["id"])
    await business.services.link_maker.make(rest.id)
    await business.services.link_maker.make(whole.id)

    (active,) = await business.stripe.active_links()
    row = await business.link(invoice["id"])
    assert (row.status, row.amount, row.provider_id) == (PaymentLinkStatus.ACTIVE, 1500, active["id"])
    assert [line["amount_total"] for line in await business.stripe.lines(active["id"])] == [1500]


async def test_stopping_a_link_that_was_never_made_leaves_its_successor_payable(
    business: Business, connected: str
) -> None:
    """The one for the rest is at Stripe already, and not written yet."""
    await business.stripe.fault("status_before", status=503, times=2)
    invoice = await business.finalized("20.00")
    await business.deliver(connected, paid(business, invoice["id"], 500))
    never_made, rest = await business.links(invoice["id"])
    await business.stripe.fault("hang_up", times=2)
    await business.make_due(invoice["id"])

    await business.services.link_maker.make(rest.id)
    await business.services.link_maker.make(never_made.id)
    row = await business.work_off(invoice["id"])

    (active,) = await business.stripe.active_links()
    assert (row.status, row.provider_id) == (PaymentLinkStatus.ACTIVE, active["id"])


async def test_a_bank_debit_that_fails_is_followed_by_a_new_link(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    first = invoice["paymentLink"]["stripeId"]

    await business.deliver(connected, *await business.stripe.pay(first, outcome="async"))
    under_way = await business.work_off(invoice["id"])
    await business.deliver(connected, *await business.stripe.settle(first, "failed"))
    row = await business.work_off(invoice["id"])

    assert under_way.status is PaymentLinkStatus.COMPLETED
    (active,) = await business.stripe.active_links()
    assert (row.status, row.provider_id) == (PaymentLinkStatus.ACTIVE, active["id"])
    assert active["id"] != first


async def test_no_link_is_made_beside_a_payment_that_may_cover_all(business: Business, connected: str) -> None:
    """Both could be paid."""
    invoice = await business.finalized("20.00")
    await business.deliver(connected, *await business.stripe.pay(invoice["paymentLink"]["stripeId"], outcome="async"))

    refusal = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "PAYMENT_UNDER_WAY")
    assert await business.stripe.active_links() == []


async def test_a_link_paid_is_complete_and_asks_nothing_more(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    link_id = invoice["paymentLink"]["stripeId"]

    await business.deliver(connected, *await business.stripe.pay(link_id))
    row = await business.work_off(invoice["id"])

    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    assert (row.status, row.due_at) == (PaymentLinkStatus.COMPLETED, None)
    assert await business.stripe.active_links() == []
