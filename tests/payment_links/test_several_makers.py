"""Several that make a link at once, and those that die halfway: there is one link in the end."""

import asyncio
from itertools import count
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from database.access import transaction
from models.ids import Prefix, new_id
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import PaymentLink
from resolvers import invoice as use_cases
from resolvers.context import Services
from tests.models.interrupting import Interrupted, Moment
from tests.payment_links.making import claimed, has_status, link_maker, planned, slow_stripe, was_asked
from tests.world import documents
from tests.world.business import Business
from tests.world.eventually import eventually
from workers.links import LinkSweep


async def test_however_many_make_a_link_at_once_there_is_one(
    business: Business, connected: str, office: Services, stripe_url: str
) -> None:
    row = await planned(business, connected)
    async with (
        link_maker(office, stripe_url) as one,
        link_maker(office, stripe_url) as other,
        LinkSweep(one),
        LinkSweep(other),
    ):
        one.wake()
        other.wake()

        await asyncio.gather(*(maker.make(row.id) for maker in (one, other) * 5))
        await eventually(lambda: has_status(business, row.invoice_id, PaymentLinkStatus.ACTIVE))

    assert len(await business.stripe.links()) == 1
    assert len(await business.stripe.calls("POST")) == 1


async def test_asked_for_twice_at_once_a_failed_link_is_made_once(business: Business, connected: str) -> None:
    await business.stripe.fault("status_before", status=400)
    invoice = await business.finalized("20.00")
    await business.stripe.fault("delay", delay_s=0.2)

    results = await asyncio.gather(
        *(business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"]) for _ in range(4))
    )

    statuses = {result["invoice"]["paymentLink"]["status"] for result in results}
    assert "ACTIVE" in statuses
    assert statuses <= {"ACTIVE", "PENDING"}  # to the others it is being made
    assert len(await business.stripe.links()) == 1
    assert (await business.link(invoice["id"])).due_at is None
    assert (await business.happened(invoice["id"])).count(EventType.PAYMENT_LINK_CREATED) == 1


@pytest.mark.parametrize("status", [400, 401, 409, 500])
async def test_a_no_that_comes_late_does_not_undo_what_another_has_made(
    business: Business, connected: str, office: Services, status: int
) -> None:
    row = await planned(business, connected)
    with slow_stripe(status) as (slow, url):
        async with link_maker(office, url) as maker:
            making = asyncio.create_task(maker.make(row.id))
            await slow.asked()
            made = await business.work_off(row.invoice_id)
            slow.answer()
            await making

    after = await business.link(row.invoice_id)
    assert (made.status, after.status, after.due_at) == (PaymentLinkStatus.ACTIVE, PaymentLinkStatus.ACTIVE, None)
    assert len(await business.stripe.links()) == 1


async def test_a_yes_that_comes_late_changes_nothing_more(business: Business, connected: str) -> None:
    row = await planned(business, connected)
    await business.stripe.fault("delay", delay_s=3.0)
    making = asyncio.create_task(business.services.link_maker.make(row.id))
    await eventually(lambda: was_asked(business))

    made = await business.work_off(row.invoice_id)
    await making

    after = await business.link(row.invoice_id)
    assert (made.status, after.status, after.due_at) == (PaymentLinkStatus.ACTIVE, PaymentLinkStatus.ACTIVE, None)
    assert len(await business.stripe.links()) == 1
    assert (await business.happened(row.invoice_id)).count(EventType.PAYMENT_LINK_CREATED) == 1


async def test_a_link_that_comes_late_beside_another_attempts_is_deactivated(
    business: Business, connected: str
) -> None:
    """Stripe makes two, since their idempotency keys are not the same."""
    row = await planned(business, connected)
    late = await claimed(business, row)
    await business.stripe.fault("status_before", status=429)
    await business.work_off(row.invoice_id)
    made = await business.work_off(row.invoice_id)

    await business.services.link_maker.carry_out(late)

    after = await business.link(row.invoice_id)
    assert (after.status, after.due_at, after.provider_id) == (PaymentLinkStatus.ACTIVE, None, made.provider_id)
    assert [link["id"] for link in await business.stripe.active_links()] == [made.provider_id]
    assert len(await business.stripe.links()) == 2
    assert (await business.happened(row.invoice_id)).count(EventType.PAYMENT_LINK_CREATED) == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment.AS_THE_WAIT_BEGINS, Moment.AT_EVERY_WAIT_FROM_THERE])
async def test_wherever_a_process_dies_there_is_one_link_in_the_end(
    business: Business, connected: str, moment: Moment
) -> None:
    customer_id, finalized = await business.customer(), []
    for wait in count():
        draft = await business.draft("20.00", customerId=customer_id)
        finalizing = Interrupted(_finalize(business, draft), wait, moment)
        await asyncio.gather(asyncio.create_task(finalizing.run()), return_exceptions=True)
        if (await business.invoice(draft))["status"] == "OPEN":
            finalized.append(draft)
        if not finalizing.was_cancelled:
            break

    for invoice_id in finalized:
        assert (await business.work_off(invoice_id)).status is PaymentLinkStatus.ACTIVE
    async with business.stripe.client() as http:
        made = await _all_links(http)
    assert sorted(link["metadata"]["invoice_id"] for link in made) == sorted(finalized)
    assert len(finalized) > 10
    assert len({(await business.invoice(invoice_id))["number"] for invoice_id in finalized}) == len(finalized)


async def test_the_database_refuses_two_live_links_of_an_invoice(business: Business, connected: str) -> None:
    row = await planned(business, connected)

    with pytest.raises(IntegrityError):
        async with transaction():
            await PaymentLink(
                id=new_id(Prefix.PAYMENT_LINK),
                workspace_id=row.workspace_id,
                invoice_id=row.invoice_id,
                integration_id=row.integration_id,
                status=PaymentLinkStatus.FAILED,
                amount=1,
                currency="USD",
                created_at=row.created_at,
                updated_at=row.created_at,
            ).save()


async def _finalize(business: Business, draft: str) -> None:
    await use_cases.finalize_invoice(await business.admin.operation(), draft, None)


async def _all_links(http: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = (await http.get("/v1/payment_links", params={"limit": 100, **after})).json()
        found += page["data"]
        if not page["has_more"]:
            return found
