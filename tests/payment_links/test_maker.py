"""Links at Stripe: one that can be paid per invoice while there is something to pay, whatever goes wrong on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tortoise.exceptions import IntegrityError

from database.access import transaction
from database.scope import scoped, unscoped
from gateways.stripe.client import StripeGateway
from models.event import Event
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import PaymentLink
from payment_links import lifecycle
from payment_links.maker import Job, LinkMaker
from resolvers import invoice as use_cases
from resolvers.context import Services
from tests.models.interrupting import Interrupted, Moment
from tests.simulator.serving import serve
from tests.world import documents
from tests.world.business import Business
from tests.world.eventually import eventually
from tests.world.stripe_payloads import payment_intent_succeeded
from workers import links
from workers.links import LinkSweep

ANOTHER_LINK: Final = """
mutation ($id: ID!, $integrationId: ID!) {
  createPaymentLink(invoiceId: $id, integrationId: $integrationId) { __typename }
}
"""
NOBODY: Final = "http://127.0.0.1:1"
"""Where nothing listens."""


@pytest_asyncio.fixture(loop_scope="module")
async def connected(business: Business) -> str:
    """The business's integration."""
    return str((await business.connect(webhookSecret="whsec_abcdefghijklmnop"))["id"])


@asynccontextmanager
async def link_maker(
    services: Services,
    url: str,
    *,
    timeout_s: float = 10.0,
    on_commit: Callable[[Mapping[str, int]], None] | None = None,
) -> AsyncIterator[LinkMaker]:
    """Another process's link maker, which looks for Stripe elsewhere and sweeps for nobody."""
    async with StripeGateway(url, timeout_s=timeout_s) as gateway:
        yield LinkMaker(services.keyring, gateway, on_commit=on_commit or services.feed.wake)


class SlowStripe:
    """Stripe's API where the creation of a link is answered when the test says so, as it says."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.times = 0
        self._asked, self._may_answer = threading.Event(), threading.Event()

    def app(self) -> Starlette:
        """The application to serve."""
        return Starlette(routes=[Route("/v1/payment_links", self._create, methods=["POST"])])

    async def asked(self) -> None:
        """Wait until the creation was asked for."""
        assert await asyncio.to_thread(self._asked.wait, 10)

    def answer(self) -> None:
        """Answer now, and whatever comes after."""
        self._may_answer.set()

    async def _create(self, _: Request) -> Response:
        self.times += 1
        self._asked.set()
        await asyncio.to_thread(self._may_answer.wait, 10)
        return JSONResponse({"error": {"message": "No.", "type": "invalid_request_error"}}, self._status)


@contextmanager
def slow_stripe(status: int) -> Iterator[tuple[SlowStripe, str]]:
    slow = SlowStripe(status)
    with serve(slow.app()) as url:
        try:
            yield slow, url
        finally:
            slow.answer()


# --- What is asked of Stripe -----------------------------------------------------------------------------------


async def test_finalizing_makes_one_link_that_leads_back_to_its_invoice(business: Business, connected: str) -> None:
    invoice = await business.finalized("19.99")

    (made,) = await business.stripe.links()
    row = await business.link(invoice["id"])
    customer_id = (await scoped(Invoice, business.workspace.id).get(id=invoice["id"])).customer_id
    ours = {"invoice_id": invoice["id"], "customer_id": customer_id, "workspace_id": business.workspace.id}
    assert made["metadata"] == {**ours, "payment_link_id": row.id}
    assert made["payment_intent_data"]["metadata"] == ours
    assert made["restrictions"] == {"completed_sessions": {"count": 0, "limit": 1}}
    assert invoice["number"] in made["inactive_message"]
    assert invoice["paymentLink"] == {
        "status": "ACTIVE",
        "url": made["url"],
        "stripeId": made["id"],
        "amount": {"amount": "19.99"},
        "problem": None,
    }
    assert (row.due_at, row.outcome_unknown, row.integration_id) == (None, False, connected)
    assert await business.stripe.creation_keys() == [f"{invoice['id']}:{row.id}:1"]
    assert await business.happened(invoice["id"]) == [
        EventType.INVOICE_CREATED,
        EventType.INVOICE_FINALIZED,
        EventType.PAYMENT_LINK_CREATED,
    ]


@pytest.mark.parametrize(
    ("currency", "lines", "charged"),
    [
        ("USD", [("2", "9.99"), ("1", "0.01")], [(999, 2), (1, 1)]),
        ("USD", [("1", "10"), ("1", "0")], [(1000, 1), (0, 1)]),
        ("USD", [("1.5", "10.00"), ("1", "1.00")], [(1600, 1)]),
        ("USD", [("3", "0.125")], [(38, 1)]),
        ("USD", [("1000000", "0.01")], [(1_000_000, 1)]),
        ("USD", [("0", "5.00"), ("1", "1.00")], [(100, 1)]),
        ("USD", [("1", "1.00")] * 20, [(100, 1)] * 20),
        ("USD", [("1", "1.00")] * 21, [(2100, 1)]),
        ("JPY", [("2", "400")], [(400, 2)]),
        ("JPY", [("1", "99.5")], [(100, 1)]),
        ("UGX", [("1", "5000")], [(500_000, 1)]),
        ("ISK", [("2", "5.50")], [(1100, 1)]),
        ("KWD", [("2", "12.340")], [(12_340, 2)]),
        ("KWD", [("2", "1.005")], [(2010, 1)]),
    ],
    ids=str,
)
async def test_what_stripe_cannot_take_line_by_line_becomes_one_line_of_the_total(
    business: Business, connected: str, currency: str, lines: list[tuple[str, str]], charged: list[tuple[int, int]]
) -> None:
    given = [{"description": "Work", "quantity": quantity, "unitAmount": amount} for quantity, amount in lines]

    invoice = await business.finalized(currency=currency, lineItems=given)

    assert invoice["paymentLink"]["problem"] is None
    sold = await business.stripe.lines(invoice["paymentLink"]["stripeId"])
    assert [(line["price"]["unit_amount"], line["quantity"]) for line in sold] == charged
    assert {line["currency"] for line in sold} == {currency.lower()}
    assert sum(line["amount_total"] for line in sold) == int(invoice["total"]["minorUnits"])


@pytest.mark.parametrize(("amount", "currency"), [("1.005", "KWD"), ("10.50", "ISK"), ("10.01", "UGX")])
async def test_decimals_that_stripe_cannot_charge_are_refused_while_they_can_be_mended(
    business: Business, connected: str, amount: str, currency: str
) -> None:
    draft = await business.draft(amount, currency=currency)

    refusal = await business.finalize(draft)

    assert (refusal["__typename"], refusal["code"], refusal["path"]) == (
        "InvalidInput",
        "AMOUNT_NOT_CHARGEABLE",
        ["id"],
    )
    assert (await business.invoice(draft))["status"] == "DRAFT"
    assert (await business.finalized("20.00"))["number"].endswith("-0001")


async def test_without_an_integration_an_invoice_is_open_without_a_link(business: Business) -> None:
    invoice = await business.finalized("20.00")

    assert (invoice["status"], invoice["paymentLink"]) == ("OPEN", None)
    refusal = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])
    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "NO_INTEGRATION")


async def test_of_several_integrations_one_has_to_be_named(business: Business, connected: str) -> None:
    other = await business.connect(name="Other", secretKey=business.stripe.key("2"))
    draft = await business.draft("20.00")

    refusal = await business.finalize(draft)
    named = await business.finalize(draft, other["id"])

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INTEGRATION_AMBIGUOUS")
    assert connected in refusal["message"]
    assert other["id"] in refusal["message"]
    assert named["invoice"]["number"].endswith("-0001")
    assert (await business.link(draft)).integration_id == other["id"]


async def test_an_integration_that_is_off_is_not_used(business: Business, connected: str) -> None:
    await business.update_integration(connected, isActive=False)
    draft = await business.draft("20.00")

    refusal = await business.finalize(draft, connected)
    without = await business.finalize(draft)

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INTEGRATION_UNUSABLE")
    assert without["invoice"]["paymentLink"] is None


# --- When it is not known whether Stripe made it ---------------------------------------------------------------


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
        await eventually(lambda: _is(business, invoice["id"], PaymentLinkStatus.ACTIVE))

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


# --- When Stripe says no ---------------------------------------------------------------------------------------


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
    row = await _planned(business, connected)
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
    row = await _planned(business, connected)
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
    row = await _planned(business, connected)
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
    row = await _planned(business, connected)
    await business.update_integration(connected, isActive=is_active)
    if status is not None:
        await business.stripe.fault("status_before", status=status)

    async with link_maker(office, stripe_url, on_commit=told.append) as maker:
        await maker.make(row.id)

    numbers = [number for newest in told for number in newest.values()]
    lines = await scoped(Event, business.workspace.id).filter(number__in=numbers).order_by("number")
    assert [line.type for line in lines] == logged


# --- Several at once, and those who die ------------------------------------------------------------------------


async def test_however_many_make_a_link_at_once_there_is_one(
    business: Business, connected: str, office: Services, stripe_url: str
) -> None:
    row = await _planned(business, connected)
    async with (
        link_maker(office, stripe_url) as one,
        link_maker(office, stripe_url) as other,
        LinkSweep(one),
        LinkSweep(other),
    ):
        one.wake()
        other.wake()

        await asyncio.gather(*(maker.make(row.id) for maker in (one, other) * 5))
        await eventually(lambda: _is(business, row.invoice_id, PaymentLinkStatus.ACTIVE))

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
    row = await _planned(business, connected)
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
    row = await _planned(business, connected)
    await business.stripe.fault("delay", delay_s=3.0)
    making = asyncio.create_task(business.services.link_maker.make(row.id))
    await eventually(lambda: _was_asked(business))

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
    row = await _planned(business, connected)
    late = await _claimed(business, row)
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
    row = await _planned(business, connected)

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


# --- Unmaking --------------------------------------------------------------------------------------------------

ENDINGS: Final = {"void": documents.VOID, "write off": documents.MARK_UNCOLLECTIBLE, "paid": documents.MARK_PAID}


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
    await eventually(lambda: _was_asked(business))

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
    row = await _planned(business, connected)
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
    late = await _claimed(business, await business.link(invoice["id"]))
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
    await business.deliver(connected, _paid(business, invoice["id"], 500))
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


# --- Pages that customers have open ----------------------------------------------------------------------------

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

    await business.deliver(connected, _paid(business, invoice["id"], 500))
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
    maker, row = business.services.link_maker, await _planned(business, connected)
    job = await _claimed(business, row)
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


# --- Payments --------------------------------------------------------------------------------------------------


async def test_a_partial_payment_is_followed_by_a_link_for_the_rest(business: Business, connected: str) -> None:
    invoice = await business.finalized("20.00")
    (first,) = await business.stripe.links()

    await business.deliver(connected, _paid(business, invoice["id"], 500))
    row = await business.work_off(invoice["id"])

    (active,) = await business.stripe.active_links()
    assert (row.status, row.amount, row.provider_id) == (PaymentLinkStatus.ACTIVE, 1500, active["id"])
    assert [line["amount_total"] for line in await business.stripe.lines(active["id"])] == [1500]
    assert not await business.stripe.is_payable(first["id"])


async def test_a_link_for_the_rest_is_never_the_one_for_the_whole(business: Business, connected: str) -> None:
    """Nobody knows of either whether Stripe made it: each is looked for, and is not taken for the other."""
    await business.stripe.fault("hang_up", times=2)
    invoice = await business.finalized("20.00")
    await business.deliver(connected, _paid(business, invoice["id"], 500))
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
    await business.deliver(connected, _paid(business, invoice["id"], 500))
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


# --- Steps -----------------------------------------------------------------------------------------------------


async def _planned(business: Business, integration_id: str) -> PaymentLink:
    """A link that is due to be made, and was never tried."""
    await business.update_integration(integration_id, isActive=False)
    invoice_id = (await business.finalized("20.00"))["id"]
    await business.update_integration(integration_id, isActive=True)
    async with transaction():
        row = await scoped(Invoice, business.workspace.id).filter(id=invoice_id).select_for_update().get()
        assert await scoped(Integration, business.workspace.id).filter(id=integration_id).exists()
        return await lifecycle.plan(row, integration_id)


async def _claimed(business: Business, link: PaymentLink) -> Job:
    """A link's job, claimed by a process that is slow to carry it out."""
    async with transaction():
        invoice = await scoped(Invoice, business.workspace.id).get(id=link.invoice_id)
        integration = await scoped(Integration, business.workspace.id).get(id=link.integration_id)
        return await business.services.link_maker.claim(link, invoice, integration)


async def _finalize(business: Business, draft: str) -> None:
    await use_cases.finalize_invoice(await business.admin.operation(), draft, None)


async def _is(business: Business, invoice_id: str, status: PaymentLinkStatus) -> bool:
    return (await business.link(invoice_id)).status is status


async def _was_asked(business: Business) -> bool:
    return len(await business.stripe.calls("POST")) > 0


async def _all_links(http: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = (await http.get("/v1/payment_links", params={"limit": 100, **after})).json()
        found += page["data"]
        if not page["has_more"]:
            return found


def _paid(business: Business, invoice_id: str, amount: int) -> dict[str, Any]:
    return payment_intent_succeeded(amount=amount, invoice_id=invoice_id, workspace_id=business.workspace.id)


async def _tried(invoice_id: str, times: int) -> None:
    """Let an invoice's link have been tried so often."""
    async with transaction():
        await unscoped(PaymentLink).filter(invoice_id=invoice_id).update(tries=times)


async def _is_asked(slow: SlowStripe, times: int) -> bool:
    return slow.times >= times


async def _is_unpayable(business: Business, provider_id: str) -> bool:
    return not await business.stripe.is_payable(provider_id)
