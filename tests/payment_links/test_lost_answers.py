"""Links of which it is not known whether Stripe made them: none is lost, and none is made twice."""

import pytest

from models.kinds import EventType, PaymentLinkStatus
from resolvers.context import Services
from tests.payment_links.making import NOBODY, has_status, link_maker
from tests.world.business import Business
from tests.world.eventually import eventually
from workers.links import LinkSweep


async def test_a_link_whose_answer_was_lost_is_adopted(business: Business, connected: str) -> None:
    await business.stripe.fault("hang_up", times=2)

    invoice = await business.finalized("20.00")
    row = await business.work_off(invoice["id"])

    assert invoice["status"] == "OPEN"
    assert invoice["paymentLink"]["status"] == "FAILED"
    assert invoice["paymentLink"]["problem"]["code"] == "STRIPE_UNREACHABLE"
    (made,) = await business.stripe.links()
    assert (row.status, row.provider_id, row.url) == (PaymentLinkStatus.ACTIVE, made["id"], made["url"])
    assert len(await business.stripe.creation_keys()) == 1
    assert (await business.invoice(invoice["id"]))["paymentLink"]["problem"] is None


async def test_a_link_whose_answer_was_lost_is_adopted_though_stripe_was_too_busy_to_tell_of_it(
    business: Business, connected: str
) -> None:
    """That is no answer to whether it was made."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.stripe.fault("status_before", method="GET", status=429)

    before = await business.work_off(invoice["id"])
    after = await business.work_off(invoice["id"])

    assert (before.status, before.outcome_unknown, before.attempt) == (PaymentLinkStatus.FAILED, True, 1)
    assert after.status is PaymentLinkStatus.ACTIVE
    assert len(await business.stripe.links()) == 1


async def test_a_link_whose_answer_does_not_come_in_time_is_adopted(
    business: Business, connected: str, office: Services, stripe_url: str
) -> None:
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.stripe.fault("timeout", method="GET", times=2)
    async with link_maker(office, stripe_url, timeout_s=0.2) as impatient:
        await business.make_due(invoice["id"])
        await impatient.make((await business.link(invoice["id"])).id)

    before = await business.link(invoice["id"])
    after = await business.work_off(invoice["id"])

    assert (before.status, before.problem_code) == (PaymentLinkStatus.FAILED, "STRIPE_UNREACHABLE")
    assert (before.attempt, before.outcome_unknown) == (1, True)
    assert after.status is PaymentLinkStatus.ACTIVE
    assert len(await business.stripe.links()) == 1


async def test_the_sweep_comes_back_by_itself(
    business: Business, connected: str, office: Services, stripe_url: str
) -> None:
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.make_due(invoice["id"])

    async with link_maker(office, stripe_url) as maker, LinkSweep(maker):
        maker.wake()
        await eventually(lambda: has_status(business, invoice["id"], PaymentLinkStatus.ACTIVE))

    assert len(await business.stripe.links()) == 1


async def test_while_the_outcome_is_unknown_the_idempotency_key_stays(
    business: Business, connected: str, office: Services
) -> None:
    draft = await business.draft("20.00")
    await business.stripe.fault("status_before", status=409, times=2)
    await business.finalize(draft)
    async with link_maker(office, NOBODY) as lost:
        await business.make_due(draft)
        await lost.make((await business.link(draft)).id)
    before = await business.link(draft)

    row = await business.work_off(draft)

    assert (before.problem_code, before.attempt, before.outcome_unknown) == ("STRIPE_UNREACHABLE", 1, True)
    assert row.status is PaymentLinkStatus.ACTIVE
    assert await business.stripe.creation_keys() == [f"{draft}:{row.id}:1"]
    assert len(await business.stripe.links()) == 1


async def test_a_server_error_after_the_work_leaves_one_link(business: Business, connected: str) -> None:
    await business.stripe.fault("status_after", status=500)

    invoice = await business.finalized("20.00")
    row = await business.work_off(invoice["id"])

    assert invoice["paymentLink"]["problem"]["code"] == "STRIPE_BUSY"
    (made,) = await business.stripe.links()
    assert (row.status, row.provider_id) == (PaymentLinkStatus.ACTIVE, made["id"])
    assert len(await business.stripe.creation_keys()) == 1


@pytest.mark.parametrize(("status", "times"), [(429, 1), (500, 2), (503, 2)])
async def test_after_an_answer_that_is_none_of_success_the_idempotency_key_is_another(
    business: Business, connected: str, status: int, times: int
) -> None:
    await business.stripe.fault("status_before", status=status, times=times)

    invoice = await business.finalized("20.00")
    row = await business.work_off(invoice["id"])

    assert invoice["paymentLink"]["problem"]["code"] == "STRIPE_BUSY"
    assert row.status is PaymentLinkStatus.ACTIVE
    keys = await business.stripe.creation_keys()
    assert keys == [f"{invoice['id']}:{row.id}:1", f"{invoice['id']}:{row.id}:2"]
    assert len(await business.stripe.links()) == 1


async def test_a_failure_that_goes_on_is_told_once_and_tried_ever_more_seldom(
    business: Business, connected: str
) -> None:
    await business.stripe.fault("status_before", status=429, times=4)

    invoice = await business.finalized("20.00")
    rows = [await business.link(invoice["id"]), *[await business.work_off(invoice["id"]) for _ in range(3)]]

    pauses = [row.due_at - row.updated_at for row in rows if row.due_at is not None]
    assert [round(pause.total_seconds()) for pause in pauses] == [2, 4, 8, 16]
    assert (await business.happened(invoice["id"])).count(EventType.PAYMENT_LINK_FAILED) == 1
