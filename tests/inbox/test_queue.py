"""The inbox: what Stripe posted is stored, applied and counted once, in whatever way it comes."""

import asyncio
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from database.access import Database, transaction
from database.scope import scoped
from errors import UnavailableError
from feed.follow import Feed
from gateways.stripe.events import READER_VERSION, read
from inbox import queue
from inbox.batch import post
from inbox.delivery import Delivery, Receipt, body_key, kept
from inbox.queue import MAX_QUEUED, MAX_QUEUED_BYTES, Inbox
from models.ids import Prefix, new_id
from models.instant import from_epoch, utc_now
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from models.payment import Payment
from models.payment_fact import UnreadableError
from models.payment_link import LIVE
from models.webhook_event import WebhookEvent
from models.workspace import Workspace
from resolvers.reading.loaders import Loaders
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, delivery, ours
from tests.world.second_inbox import deliver_apart
from tests.world.stripe_payloads import Event

Logged = list[MutableMapping[str, Any]]


async def deliver(inbox: Inbox, integration: Integration, *events: Event | bytes) -> list[Receipt]:
    """Deliver all at once."""
    return await asyncio.gather(*(inbox.accept(each) for each in deliveries(integration, events)))


async def deliver_in_turn(inbox: Inbox, integration: Integration, *events: Event) -> list[Receipt]:
    """Deliver each when the one before is through."""
    return [await inbox.accept(each) for each in deliveries(integration, events)]


async def deliver_in_one_batch(database: Database, given: Sequence[Delivery]) -> list[Receipt]:
    """Queue all before the inbox begins to work."""
    inbox = Inbox(database, lambda _: None, lambda: None)
    waiting = [asyncio.ensure_future(inbox.accept(each)) for each in given]
    await asyncio.sleep(0)
    async with inbox:
        return await asyncio.gather(*waiting)


def statuses_of(webhook_events: Sequence[WebhookEvent]) -> set[WebhookEventStatus]:
    """How webhook events stand."""
    return {webhook_event.status for webhook_event in webhook_events}


def statuses(receipts: Sequence[Receipt]) -> set[WebhookEventStatus | None]:
    """What became of deliveries."""
    return {receipt.status for receipt in receipts}


def paid_and_completed(invoice: Invoice, **told: Any) -> list[Event]:
    """The two events that Stripe sends of a payment by card."""
    intent = stripe.fresh("pi")
    return [
        stripe.payment_intent_succeeded(**ours(invoice), payment_intent=intent, **told),
        stripe.checkout_session_completed(**ours(invoice), payment_intent=intent, **told),
    ]


# --- Once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (1, 0, 1, 0)])
@pytest.mark.parametrize("send", [deliver, deliver_in_turn])
async def test_the_two_events_of_a_payment_mark_its_invoice_paid_once(
    inbox: Inbox, workspace: Workspace, integration: Integration, send: Any, order: tuple[int, ...]
) -> None:
    invoice = await books.add_invoice(integration)
    events = paid_and_completed(invoice)

    receipts = await send(inbox, integration, *(events[position] for position in order))

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    invoice = await books.again(invoice)
    assert (invoice.status, invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert invoice.paid_at == from_epoch(min(event["created"] for event in events))
    (payment,) = await books.payments_of(workspace)
    assert (payment.status, payment.allocation) == (PaymentStatus.SUCCEEDED, Allocation.APPLIED)
    assert (payment.amount, payment.overpaid, payment.currency) == (2000, 0, "USD")
    assert (payment.invoice_id, payment.customer_id) == (invoice.id, invoice.customer_id)
    assert payment.provider_payment_id == events[0]["data"]["object"]["id"]
    kept = await books.webhook_events_of(workspace)
    assert [(event.status, event.deliveries, event.attempts) for event in kept] == [
        (WebhookEventStatus.PROCESSED, 2, 1),
        (WebhookEventStatus.PROCESSED, 2, 1),
    ]
    assert {(event.invoice_id, event.payment_id) for event in kept} == {(invoice.id, payment.id)}
    log = Counter(await books.log_types(workspace))
    assert log == {
        EventType.WEBHOOK_EVENT_RECEIVED: 2,
        EventType.PAYMENT_SUCCEEDED: 1,
        EventType.INVOICE_PAID: 1,
    }


async def test_the_log_tells_what_happened_in_order(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)

    (receipt,) = await deliver(inbox, integration, paid_and_completed(invoice)[0])

    log = await books.log_of(workspace)
    (payment,) = await books.payments_of(workspace)
    assert [(entry.number, entry.type, entry.previous_status, entry.status) for entry in log] == [
        (1, EventType.WEBHOOK_EVENT_RECEIVED, None, None),
        (2, EventType.PAYMENT_SUCCEEDED, None, None),
        (3, EventType.INVOICE_PAID, InvoiceStatus.OPEN, InvoiceStatus.PAID),
    ]
    for entry in log:
        assert (entry.actor, entry.invoice_id, entry.customer_id) == ("stripe", invoice.id, invoice.customer_id)
        assert (entry.payment_id, entry.integration_id) == (payment.id, integration.id)
        assert entry.webhook_event_id == receipt.webhook_event_id


async def test_subscribers_are_told_after_the_commit(
    inbox: Inbox, feed: Feed[Loaders], workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    lines = feed.follow(workspace.id, 0)
    first = asyncio.ensure_future(anext(lines))

    await deliver(inbox, integration, paid_and_completed(invoice)[0])

    told = [(await first).event.type, (await anext(lines)).event.type, (await anext(lines)).event.type]
    assert told[-1] is EventType.INVOICE_PAID
    await lines.aclose()


async def test_two_hundred_deliveries_of_one_event_are_one(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)

    receipts = await deliver(inbox, integration, *([paid_and_completed(invoice)[0]] * 200))

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len({receipt.webhook_event_id for receipt in receipts}) == 1
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.deliveries, kept.attempts) == (200, 1)
    assert len(await books.payments_of(workspace)) == 1
    assert (await books.log_types(workspace)).count(EventType.INVOICE_PAID) == 1
    assert (await books.traffic_of(integration)).deliveries == 200


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_what_comes_together_the_latest_is_the_last_event(
    database: Database, integration: Integration, order: tuple[int, ...]
) -> None:
    early = utc_now() - timedelta(minutes=2)
    received = [early, early + timedelta(minutes=1)]
    given = [delivery(integration, stripe.payment_intent_succeeded()) for _ in order]

    await deliver_in_one_batch(database, [replace(given[each], received_at=received[each]) for each in order])

    assert (await books.traffic_of(integration)).last_event_at == received[1]


@pytest.mark.parametrize(
    ("judged_by", "is_outdated"),
    [((), False), ((None, None), False), (("sealed before", None), True), ((None, "sealed before"), True)],
)
async def test_a_receipt_says_whether_the_secrets_were_replaced_since_its_delivery_was_checked(
    inbox: Inbox, integration: Integration, judged_by: tuple[str | None, ...], is_outdated: bool
) -> None:
    given = replace(delivery(integration, stripe.payment_intent_succeeded()), judged_by=judged_by)

    assert (await inbox.accept(given)).is_outdated is is_outdated


async def test_two_hundred_events_of_one_payment_are_one_payment(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    events = [event for _ in range(100) for event in paid_and_completed(invoice)]
    for event in events:
        subject = event["data"]["object"]
        subject["payment_intent" if "payment_intent" in subject else "id"] = "pi_a"

    receipts = await deliver(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len(await books.webhook_events_of(workspace)) == 200
    (payment,) = await books.payments_of(workspace)
    assert (payment.provider_payment_id, payment.amount) == ("pi_a", 2000)
    assert (await books.again(invoice)).amount_paid == 2000
    log = Counter(await books.log_types(workspace))
    assert (log[EventType.PAYMENT_SUCCEEDED], log[EventType.INVOICE_PAID]) == (1, 1)


async def test_two_processes_that_get_the_same_events_count_them_once(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(10)]
    events = [event for invoice in invoices for event in paid_and_completed(invoice)] * 3
    events += [stripe.payment_intent_succeeded(invoice_id=new_id(Prefix.INVOICE)) for _ in range(10)]
    bodies = [stripe.body(event) for event in events]
    Random(1).shuffle(bodies)

    answers = await asyncio.gather(
        deliver_apart(database.url, integration, bodies),
        deliver_apart(database.url, integration, bodies[::-1]),
    )

    assert Counter(answers[0]) == Counter(answers[1]) == {"PROCESSED": 60, "UNAPPLIED": 10}
    kept = await books.webhook_events_of(workspace)
    assert Counter(event.deliveries for event in kept) == {6: 20, 2: 10}
    assert {event.attempts for event in kept} == {1}
    payments = await books.payments_of(workspace)
    assert Counter(payment.allocation for payment in payments) == {Allocation.APPLIED: 10, Allocation.UNAPPLIED: 10}
    for invoice in invoices:
        now = await books.again(invoice)
        assert (now.status, now.amount_paid) == (InvoiceStatus.PAID, 2000)
    log = await books.log_of(workspace)
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert Counter(entry.type for entry in log)[EventType.INVOICE_PAID] == 10
    assert (await books.traffic_of(integration)).deliveries == 140


async def test_one_account_connected_twice_counts_a_payment_once(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    twin = await books.add_integration(workspace)
    invoice = await books.add_invoice(integration)
    events = paid_and_completed(invoice)

    receipts = await asyncio.gather(
        *(inbox.accept(each) for each in [*deliveries(integration, events), *deliveries(twin, events)])
    )

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len(await books.webhook_events_of(workspace)) == 4
    assert len(await books.payments_of(workspace)) == 1
    assert (await books.again(invoice)).amount_paid == 2000


async def test_whole_histories_end_in_the_database_as_they_do_when_settled_one_by_one(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    """Many invoices, several events each, in a random order and number, in large batches."""
    chance = Random(7)
    invoices = [await books.add_invoice(integration) for _ in range(30)]
    links = {invoice.id: await books.add_link(invoice) for invoice in invoices}
    events: list[Event] = []
    expected: dict[str, tuple[InvoiceStatus, int, int | None]] = {}
    for number, invoice in enumerate(invoices):
        told, link = ours(invoice), links[invoice.id].provider_id
        whole = paid_and_completed(invoice)
        part = stripe.payment_intent_succeeded(**told, amount=500)
        failed = stripe.payment_intent_failed(**told)
        session = told | {"payment_intent": stripe.fresh("pi"), "payment_link": link}
        pending = stripe.checkout_session_completed(**session, payment_status="unpaid")
        bounced = stripe.checkout_session_async_failed(**session)
        kinds: list[tuple[list[Event], tuple[InvoiceStatus, int, int | None]]] = [
            ([*whole, failed], (InvoiceStatus.PAID, 2000, None)),
            ([*whole, part, pending], (InvoiceStatus.PAID, 2500, None)),
            ([part, failed], (InvoiceStatus.OPEN, 500, 1500)),
            ([pending, part], (InvoiceStatus.OPEN, 500, None)),
            ([pending, bounced, part], (InvoiceStatus.OPEN, 500, 1500)),
            ([failed], (InvoiceStatus.OPEN, 0, 2000)),
        ]
        kind, expected[invoice.id] = kinds[number % len(kinds)]
        events += kind * 2
    chance.shuffle(events)

    receipts = await deliver(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    found = {}
    for invoice in invoices:
        now = await books.again(invoice)
        live = [link.amount for link in await books.links_of(invoice) if link.status in LIVE]
        found[invoice.id] = (now.status, now.amount_paid, live[0] if live else None)
        assert len(live) <= 1
    assert found == expected
    assert {event.attempts for event in await books.webhook_events_of(workspace)} == {1}


# --- Payments under several names ------------------------------------------------------------------------------


def tied(invoice: Invoice) -> list[Event]:
    """Two names of one payment, and the event that ties them together."""
    told = ours(invoice)
    return [
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
        stripe.payment_intent_succeeded(**told, payment_intent="pi_a"),
        stripe.stripe_invoice_paid(**told, invoice="in_a", payment_intent="pi_a"),
    ]


async def assert_merged(workspace: Workspace, invoice: Invoice) -> None:
    """There is one payment, and everything points at it."""
    (payment,) = await books.payments_of(workspace)
    assert (payment.provider_payment_id, payment.amount, payment.overpaid) == ("pi_a", 2000, 0)
    assert (await books.again(invoice)).amount_paid == 2000
    kept = await books.webhook_events_of(workspace)
    assert [(event.status, event.attempts) for event in kept] == [(WebhookEventStatus.PROCESSED, 1)] * 3
    assert {event.payment_id for event in kept} == {payment.id}
    log = await books.log_of(workspace)
    assert {entry.payment_id for entry in log} == {payment.id}
    assert Counter(entry.type for entry in log)[EventType.INVOICE_PAID] == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
async def test_a_payment_later_known_under_another_name_is_merged(
    inbox: Inbox, workspace: Workspace, integration: Integration, order: tuple[int, ...]
) -> None:
    invoice = await books.add_invoice(integration)
    events = tied(invoice)

    await deliver_in_turn(inbox, integration, *(events[position] for position in order))

    await assert_merged(workspace, invoice)


@pytest.mark.parametrize("stored", [0, 1])
async def test_a_payment_is_merged_within_a_batch(
    inbox: Inbox, workspace: Workspace, integration: Integration, stored: int
) -> None:
    """Whether one of the two was stored already or none; not only when the batch is tried one by one."""
    invoice = await books.add_invoice(integration)
    events = tied(invoice)
    await deliver_in_turn(inbox, integration, *events[:stored])

    async with transaction() as tx:
        await post(tx, deliveries(integration, events[stored:]))

    await assert_merged(workspace, invoice)
    await deliver(inbox, integration, stripe.charge_refunded(payment_intent="pi_a", refunded=500))
    assert [payment.amount_refunded for payment in await books.payments_of(workspace)] == [500]


async def test_a_payment_is_merged_into_another_by_a_batch_that_changed_it_first(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    whole, intent, both = tied(invoice)
    await deliver_in_turn(inbox, integration, whole, intent)

    async with transaction() as tx:
        await post(tx, deliveries(integration, [stripe.charge_refunded(payment_intent="pi_a", refunded=500), both]))

    (payment,) = await books.payments_of(workspace)
    assert (payment.provider_payment_id, payment.amount, payment.amount_refunded) == ("pi_a", 2000, 500)
    assert {event.payment_id for event in await books.webhook_events_of(workspace)} == {payment.id}


async def test_payments_of_a_stripe_invoice_take_the_place_of_its_whole(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """Its id is a name only while nothing else names what was paid, and can be one again."""
    invoice = await books.add_invoice(integration, total=5000)
    told = ours(invoice)
    events = [
        stripe.stripe_invoice_paid(**told, invoice="in_a", amount=2000),
        stripe.payment_intent_succeeded(**told, payment_intent="pi_a", amount=2000, order="in_a"),
        stripe.stripe_invoice_paid(**told, invoice="in_a", amount=5000),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=3000, order="in_a"),
        stripe.charge_refunded(payment_intent="pi_b", amount=3000, refunded=100),
    ]
    seen = []

    for event in events:
        await deliver(inbox, integration, event)
        payments = await books.payments_of(workspace)
        seen.append({payment.provider_payment_id: payment.amount for payment in payments})

    assert seen == [
        {"in_a": 2000},
        {"pi_a": 2000},
        {"pi_a": 2000, "in_a": 3000},
        {"pi_a": 2000, "pi_b": 3000},
        {"pi_a": 2000, "pi_b": 3000},
    ]
    now = await books.again(invoice)
    assert (now.status, now.amount_paid, now.amount_refunded) == (InvoiceStatus.PAID, 5000, 100)
    assert statuses_of(await books.webhook_events_of(workspace)) == {WebhookEventStatus.PROCESSED}


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_stripe_invoice_names_what_is_left_of_it_as_often_as_there_is_any(
    inbox: Inbox, workspace: Workspace, integration: Integration, at_once: bool
) -> None:
    """Whatever was called by its id before: a payment that turned out to be it gives the name back."""
    invoice = await books.add_invoice(integration, total=9000)
    told = ours(invoice)
    listed = stripe.stripe_invoice_paid(**told, invoice="in_a", amount=5700, payments={"pi_a": 2000, "pi_b": 1000})
    listed["data"]["object"]["payments"]["has_more"] = True
    under_way = stripe.payment_intent_processing(**told, payment_intent="pi_a", amount=2000)
    under_way["data"]["object"]["payment_details"] = {"order_reference": "in_a"}
    events = [
        under_way,
        stripe.stripe_invoice_paid(**told, invoice="in_a", amount=2000),
        stripe.payment_intent_succeeded(**told, payment_intent="pi_a", amount=2000, order="in_a"),
        stripe.stripe_invoice_paid(**told, invoice="in_a", amount=3000),
        listed,
    ]

    if at_once:
        async with transaction() as tx:
            await post(tx, deliveries(integration, events))
    else:
        await deliver_in_turn(inbox, integration, *events)

    payments = await books.payments_of(workspace)
    assert {payment.provider_payment_id: payment.amount for payment in payments} == {
        "pi_a": 2000,
        "pi_b": 1000,
        "in_a": 2700,
    }
    assert (await books.again(invoice)).amount_paid == 5700
    assert statuses_of(await books.webhook_events_of(workspace)) == {WebhookEventStatus.PROCESSED}


async def test_one_event_may_replace_what_is_left_and_leave_something_anew(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    told = ours(invoice)
    listed = stripe.stripe_invoice_paid(**told, invoice="in_a", amount=1700, payments={"pi_a": 1000})

    await deliver_in_turn(inbox, integration, stripe.stripe_invoice_paid(**told, invoice="in_a", amount=1000), listed)

    payments = await books.payments_of(workspace)
    assert {payment.provider_payment_id: payment.amount for payment in payments} == {"pi_a": 1000, "in_a": 700}
    assert statuses_of(await books.webhook_events_of(workspace)) == {WebhookEventStatus.PROCESSED}


async def test_each_payment_of_a_stripe_invoice_is_logged_with_the_invoice_that_it_pays(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """One pays another invoice than the Stripe invoice's metadata names, and is told to be larger than it was known."""
    named, other = await books.add_invoice(integration), await books.add_invoice(integration)
    events = [
        stripe.payment_intent_succeeded(**ours(other), payment_intent="pi_b", amount=500),
        stripe.stripe_invoice_paid(**ours(named), invoice="in_a", amount=2500, payments={"pi_a": 500, "pi_b": 2000}),
    ]

    await deliver_in_turn(inbox, integration, *events)

    log = [(entry.type, entry.invoice_id) for entry in await books.log_of(workspace)]
    assert [entry for entry in log if entry[0] in {EventType.INVOICE_PARTIALLY_PAID, EventType.INVOICE_PAID}] == [
        (EventType.INVOICE_PARTIALLY_PAID, other.id),
        (EventType.INVOICE_PARTIALLY_PAID, named.id),
        (EventType.INVOICE_PAID, other.id),
    ]


async def test_an_event_of_several_payments_needs_a_person_if_one_of_them_does(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    void = await books.add_invoice(integration, status=InvoiceStatus.VOID)
    other = await books.add_invoice(integration)
    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(other), payment_intent="pi_a", amount=500))

    for payments in ({"pi_a": 500, "pi_b": 1500}, {"pi_c": 1500, "pi_a": 500}):
        await deliver(
            inbox, integration, stripe.stripe_invoice_paid(**ours(void), invoice="in_a", amount=2000, payments=payments)
        )

    stored = await books.webhook_events_of(workspace)
    assert [(event.status, event.reason_code) for event in stored] == [
        (WebhookEventStatus.PROCESSED, None),
        (WebhookEventStatus.UNAPPLIED, "INVOICE_VOID"),
        (WebhookEventStatus.UNAPPLIED, "INVOICE_VOID"),
    ]


async def test_what_an_event_does_to_another_invoice_is_logged_with_that_one(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """A part of the total that pays one invoice turns out to be a payment of the other: the first has more to pay."""
    named, other = await books.add_invoice(integration), await books.add_invoice(integration)
    await books.add_link(named, status=PaymentLinkStatus.ACTIVE, amount=2000)
    events = [
        stripe.payment_intent_succeeded(**ours(named), payment_intent="pi_c", amount=300),
        stripe.stripe_invoice_paid(**ours(named), invoice="in_a", amount=1500),
        stripe.payment_intent_succeeded(**ours(other), payment_intent="pi_b", amount=500),
        stripe.payment_intent_succeeded(**ours(other), payment_intent="pi_b", amount=500, order="in_a"),
    ]

    await deliver_in_turn(inbox, integration, *events)

    assert [(await books.again(invoice)).amount_paid for invoice in (named, other)] == [1300, 500]
    log = await books.log_of(workspace)
    replaced = [entry.invoice_id for entry in log if entry.type is EventType.PAYMENT_LINK_DEACTIVATED]
    assert replaced == [named.id] * 3


async def test_what_was_paid_out_of_band_in_stripe_is_kept_part_by_part(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    told = ours(invoice)
    events = [
        stripe.stripe_invoice_paid(**told, invoice="in_a", amount=300, payments={"": 300}, created=20),
        stripe.stripe_invoice_paid(**told, invoice="in_b", amount=9000, payments={"": 9000}, created=30),
        stripe.payment_intent_succeeded(**told, payment_intent="pi_a", amount=500, created=10),
    ]

    await deliver_in_turn(inbox, integration, *events, events[0] | {"id": "evt_again"})

    now = await books.again(invoice)
    assert (now.status, now.amount_paid, now.amount_paid_out_of_band) == (InvoiceStatus.PAID, 500, 1500)
    assert now.paid_at == from_epoch(30)


# --- Links -----------------------------------------------------------------------------------------------------


async def test_without_metadata_a_link_of_ours_leads_to_the_invoice(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)

    (receipt,) = await deliver(
        inbox, integration, stripe.checkout_session_completed(payment_link=link.provider_id, payment_intent="pi_a")
    )

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert (await books.again(link)).status is PaymentLinkStatus.COMPLETED


async def test_without_metadata_another_workspaces_link_leads_nowhere(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    stranger = await books.add_integration(await books.add_workspace())
    link = await books.add_link(await books.add_invoice(stranger))

    (receipt,) = await deliver(inbox, integration, stripe.checkout_session_completed(payment_link=link.provider_id))

    (kept,) = await books.webhook_events_of(workspace)
    assert (receipt.status, kept.reason_code) == (WebhookEventStatus.IGNORED, "NO_METADATA")
    assert (await books.again(link)).status is PaymentLinkStatus.ACTIVE


async def test_after_less_money_a_new_link_is_to_be_made_for_the_rest(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)
    asked_for_work = asyncio.Event()

    async with Inbox(database, lambda _: None, asked_for_work.set) as inbox:
        await deliver(
            inbox,
            integration,
            stripe.checkout_session_completed(**ours(invoice), payment_link=link.provider_id, amount=500),
        )

    spent, rest = await books.links_of(invoice)
    assert (spent.status, spent.due_at) == (PaymentLinkStatus.COMPLETED, None)
    assert (rest.status, rest.amount, rest.currency) == (PaymentLinkStatus.PENDING, 1500, "USD")
    assert rest.due_at is not None
    assert asked_for_work.is_set()
    assert await books.log_types(workspace) == [
        EventType.WEBHOOK_EVENT_RECEIVED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.INVOICE_PARTIALLY_PAID,
    ]


async def test_what_asks_for_no_link_and_stops_none_now_gives_the_link_maker_no_work(integration: Integration) -> None:
    """A link that was paid is stopped after a while only."""
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)
    paid = stripe.checkout_session_completed(**ours(invoice), payment_link=link.provider_id)
    held = stripe.payment_intent_succeeded(**ours(await books.add_invoice(integration)))
    for is_active, given in ((True, b"{"), (True, paid), (False, held)):
        await books.change(integration, is_active=is_active)

        async with transaction() as tx:
            posted = await post(tx, deliveries(integration, [given]))

        assert not posted.are_links_due


@pytest.mark.parametrize("first", [0, 1])
async def test_an_invoice_that_loses_what_was_under_way_gets_a_link_again(
    inbox: Inbox, integration: Integration, first: int
) -> None:
    """Whichever of the two names was known first: they turn out to be one payment, of another invoice."""
    loser, payer = await books.add_invoice(integration), await books.add_invoice(integration)
    await books.add_link(loser)
    under_way = [
        stripe.checkout_session_completed(**ours(loser), session="cs_a", payment_intent=None, payment_status="unpaid"),
        stripe.payment_intent_processing(**ours(payer), payment_intent="pi_a"),
    ]
    came = stripe.checkout_session_async_succeeded(**ours(payer), session="cs_a", payment_intent="pi_a")

    await deliver_in_turn(inbox, integration, under_way[first], under_way[1 - first], came)

    assert (await books.again(payer)).status is InvoiceStatus.PAID
    retired, new = await books.links_of(loser)
    assert (retired.status, new.status) == (PaymentLinkStatus.DEACTIVATED, PaymentLinkStatus.PENDING)


async def test_the_link_of_a_paid_invoice_is_to_be_stopped_at_stripe(inbox: Inbox, integration: Integration) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)

    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    link = await books.again(link)
    assert link.status not in LIVE
    assert link.due_at is not None


# --- Whose it is -----------------------------------------------------------------------------------------------


async def test_two_workspaces_on_one_account_never_see_each_others(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    neighbour = await books.add_workspace()
    their_integration = await books.add_integration(neighbour)
    mine, theirs = await books.add_invoice(integration), await books.add_invoice(their_integration)
    events = [*paid_and_completed(mine), *paid_and_completed(theirs)]

    await asyncio.gather(
        *(inbox.accept(each) for each in [*deliveries(integration, events), *deliveries(their_integration, events)])
    )

    for owner, invoice in ((workspace, mine), (neighbour, theirs)):
        (payment,) = await books.payments_of(owner)
        assert (payment.invoice_id, (await books.again(invoice)).amount_paid) == (invoice.id, 2000)
        kept = await books.webhook_events_of(owner)
        assert Counter((event.status, event.reason_code) for event in kept) == {
            (WebhookEventStatus.PROCESSED, None): 2,
            (WebhookEventStatus.IGNORED, "ANOTHER_WORKSPACE"): 2,
        }
        assert {entry.invoice_id for entry in await books.log_of(owner)} == {invoice.id, None}


async def test_the_same_payment_is_one_of_each_workspace_that_it_names_no_other_of(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """Metadata by hand: without a workspace_id each looks for the invoice among its own."""
    neighbour = await books.add_workspace()
    their_integration = await books.add_integration(neighbour)
    mine = await books.add_invoice(integration)
    event = stripe.payment_intent_succeeded(invoice_id=mine.id, payment_intent="pi_a")

    await deliver_in_turn(inbox, their_integration, event)
    await deliver_in_turn(inbox, integration, event)

    (payment,), (theirs,) = await books.payments_of(workspace), await books.payments_of(neighbour)
    assert (payment.allocation, payment.invoice_id) == (Allocation.APPLIED, mine.id)
    assert (theirs.allocation, theirs.invoice_id, theirs.customer_id) == (Allocation.UNAPPLIED, None, None)


async def test_another_workspaces_invoice_looks_exactly_like_none(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    stranger = await books.add_integration(await books.add_workspace())
    foreign = await books.add_invoice(stranger)
    events = [
        stripe.payment_intent_succeeded(invoice_id=invoice_id, customer_id=customer_id)
        for invoice_id, customer_id in [
            (foreign.id, foreign.customer_id),
            (new_id(Prefix.INVOICE), new_id(Prefix.CUSTOMER)),
        ]
    ]

    receipts = await deliver(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.UNAPPLIED}
    shown = [
        (event.status, event.reason_code, event.reason_detail, event.invoice_id, event.customer_id)
        for event in await books.webhook_events_of(workspace)
    ]
    assert shown == [(WebhookEventStatus.UNAPPLIED, "INVOICE_NOT_FOUND", None, None, None)] * 2
    for payment in await books.payments_of(workspace):
        assert (payment.invoice_id, payment.customer_id) == (None, None)
    assert (await books.again(foreign)).amount_paid == 0


async def test_money_without_an_invoice_is_kept_with_its_customer(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    customer_id = (await books.add_invoice(integration)).customer_id
    event = stripe.payment_intent_succeeded(invoice_id=new_id(Prefix.INVOICE), customer_id=customer_id)

    await deliver(inbox, integration, event)

    (payment,) = await books.payments_of(workspace)
    assert (payment.allocation, payment.unapplied_code) == (Allocation.UNAPPLIED, "INVOICE_NOT_FOUND")
    assert payment.customer_id == customer_id


async def test_money_without_an_invoice_pays_one_that_has_payments_once_an_event_names_it(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    money: Any = {"payment_intent": "pi_a", "amount": 1500}

    receipts = await deliver_in_turn(
        inbox,
        integration,
        stripe.payment_intent_succeeded(invoice_id=new_id(Prefix.INVOICE), **money),
        stripe.payment_intent_succeeded(**ours(invoice), payment_intent="pi_b", amount=500),
        stripe.checkout_session_completed(**ours(invoice), **money),
    )

    assert [receipt.status for receipt in receipts] == [
        WebhookEventStatus.UNAPPLIED,
        WebhookEventStatus.PROCESSED,
        WebhookEventStatus.PROCESSED,
    ]
    now = await books.again(invoice)
    assert (now.status, now.amount_paid) == (InvoiceStatus.PAID, 2000)


async def test_a_refund_of_money_without_an_invoice_is_one_of_its_customer(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """The refund itself names nobody."""
    customer_id = (await books.add_invoice(integration)).customer_id
    events = [
        stripe.payment_intent_succeeded(
            invoice_id=new_id(Prefix.INVOICE), customer_id=customer_id, payment_intent="pi_a"
        ),
        stripe.charge_refunded(payment_intent="pi_a"),
    ]

    await deliver_in_turn(inbox, integration, *events)

    assert {event.customer_id for event in await books.webhook_events_of(workspace)} == {customer_id}
    assert {entry.customer_id for entry in await books.log_of(workspace)} == {customer_id}


@pytest.mark.parametrize(
    ("fields", "told", "code"),
    [
        ({"status": InvoiceStatus.DRAFT}, {}, "INVOICE_DRAFT"),
        ({"status": InvoiceStatus.VOID}, {}, "INVOICE_VOID"),
        ({"currency": "EUR"}, {}, "CURRENCY_MISMATCH"),
        ({}, {"livemode": True}, "LIVEMODE_MISMATCH"),
    ],
)
async def test_money_that_fits_no_invoice_is_kept(
    inbox: Inbox, workspace: Workspace, integration: Integration, fields: Any, told: Any, code: str
) -> None:
    invoice = await books.add_invoice(integration, **fields)

    receipts = await deliver(inbox, integration, *paid_and_completed(invoice, **told))

    assert statuses(receipts) == {WebhookEventStatus.UNAPPLIED}
    (payment,) = await books.payments_of(workspace)
    assert (payment.status, payment.unapplied_code, payment.amount) == (PaymentStatus.SUCCEEDED, code, 2000)
    assert {event.reason_code for event in await books.webhook_events_of(workspace)} == {code}
    now = await books.again(invoice)
    assert (now.status, now.amount_paid) == (invoice.status, 0)


async def test_a_live_workspace_takes_live_money(inbox: Inbox, database: Database) -> None:
    integration = await books.add_integration(await books.add_workspace(Mode.LIVE))
    invoice = await books.add_invoice(integration)

    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice), livemode=True))

    assert (await books.again(invoice)).status is InvoiceStatus.PAID


# --- Keeping ---------------------------------------------------------------------------------------------------

UNREADABLE = [
    b"",
    b"{",
    b"\xff\x00\xfe",
    b"[" * 100_000,
    stripe.body(stripe.payment_intent_succeeded(currency="dollars")),
    stripe.body(stripe.payment_intent_succeeded(metadata={"invoice_id": "inv\0"})),
]


def readable_id(body: bytes) -> str | None:
    """The id of a body that is an event all the same."""
    with pytest.raises(UnreadableError) as refusal:
        read(body)
    return refusal.value.event_id


async def test_what_cannot_be_read_is_kept_byte_for_byte(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    receipts = await deliver(inbox, integration, *UNREADABLE, *UNREADABLE)

    assert statuses(receipts) == {WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED}
    kept = {event.delivery_key: event for event in await books.webhook_events_of(workspace)}
    assert set(kept) == {readable_id(body) or body_key(body) for body in UNREADABLE}
    for body in UNREADABLE:
        provider_event_id = readable_id(body)
        event = kept[provider_event_id or body_key(body)]
        assert (event.payload, event.reason_code, event.deliveries) == (body, "UNREADABLE_PAYLOAD", 2)
        assert (event.provider_event_id, event.livemode) == (provider_event_id, None)
        assert (event.type is None) == (provider_event_id is None)
        assert event.reason_detail
        may_be_money = event.type == "payment_intent.succeeded"
        assert event.status is (WebhookEventStatus.UNAPPLIED if may_be_money else WebhookEventStatus.IGNORED)
        assert event.reader_version == (READER_VERSION if may_be_money else None)
    assert await books.log_types(workspace) == [EventType.WEBHOOK_EVENT_RECEIVED] * len(UNREADABLE)


async def test_what_can_be_read_is_kept_byte_for_byte_too(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    body = stripe.body(stripe.payment_intent_failed(metadata={"note": "ünïcode 💶 \\u0000 \0 done"})) + b"\n \r\n"

    await deliver(inbox, integration, body)

    (kept,) = await books.webhook_events_of(workspace)
    assert kept.payload == body
    assert (kept.type, kept.api_version, kept.livemode) == ("payment_intent.payment_failed", stripe.NEW, False)


async def test_whatever_stripe_says_of_a_failure_can_be_stored(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    error = {"code": "a\0b", "message": "Refusé: '\"; -- 💳\0" + "x" * 5000}

    (receipt,) = await deliver(inbox, integration, stripe.payment_intent_failed(**ours(invoice), error=error))

    assert receipt.status is WebhookEventStatus.PROCESSED
    (payment,) = await books.payments_of(workspace)
    assert payment.failure_code == "ab"
    assert str(payment.failure_message).startswith("Refusé: '\"; -- 💳xxx")


@pytest.mark.parametrize("created", [0, 253_402_300_799])
async def test_any_instant_that_stripe_may_tell_can_be_stored(
    inbox: Inbox, integration: Integration, created: int
) -> None:
    invoice = await books.add_invoice(integration)

    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice), created=created))

    assert (await books.again(invoice)).paid_at == from_epoch(created)


async def test_the_largest_amount_can_be_stored(inbox: Inbox, integration: Integration) -> None:
    invoice = await books.add_invoice(integration, total=1)
    events = [stripe.payment_intent_succeeded(**ours(invoice), amount=10**15) for _ in range(20)]

    await deliver(inbox, integration, *events)

    assert (await books.again(invoice)).amount_paid == 20 * 10**15


# --- Failing ---------------------------------------------------------------------------------------------------


async def refuse_payments(database: Database, invoice: Invoice) -> None:
    """Let the database refuse whatever pays an invoice."""
    async with transaction() as tx:
        await tx.execute(
            f"ALTER TABLE invoices ADD CONSTRAINT broken CHECK (id <> '{invoice.id}' OR amount_paid = 0)"
            if database.dialect == "postgres"
            else f"CREATE TRIGGER broken BEFORE UPDATE ON invoices WHEN new.id = '{invoice.id}'"
            " BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: broken'); END"
        )


async def mend(database: Database) -> None:
    """Take that back."""
    async with transaction() as tx:
        await tx.execute(
            "ALTER TABLE invoices DROP CONSTRAINT broken" if database.dialect == "postgres" else "DROP TRIGGER broken"
        )


async def test_a_delivery_that_fails_fails_alone_and_can_be_mended(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(5)]
    broken = invoices[2]
    batch = deliveries(integration, [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices])
    await refuse_payments(database, broken)

    receipts = await deliver_in_one_batch(database, batch)

    expected = [WebhookEventStatus.PROCESSED] * 5
    expected[2] = WebhookEventStatus.FAILED
    assert [receipt.status for receipt in receipts] == expected
    assert [(await books.again(invoice)).amount_paid for invoice in invoices] == [2000, 2000, 0, 2000, 2000]
    assert len(await books.payments_of(workspace)) == 4
    failed = next(event for event in await books.webhook_events_of(workspace) if event.delivery_key == batch[2].key)
    assert (failed.reason_code, failed.attempts, failed.deliveries) == ("INTERNAL_ERROR", 1, 1)
    assert [entry["reference"] for entry in logged if entry["log_level"] == "error"] == [failed.reason_detail]
    assert failed.retry_at is not None
    assert failed.retry_at > utc_now()
    assert (failed.payload, failed.processed_at, failed.payment_id) == (batch[2].body, None, None)

    (again,) = await deliver_in_one_batch(database, [batch[2]])
    assert again.status is WebhookEventStatus.FAILED

    await mend(database)
    (mended,) = await deliver_in_one_batch(database, [batch[2]])

    assert (mended.status, mended.webhook_event_id) == (WebhookEventStatus.PROCESSED, failed.id)
    kept = await books.again(failed)
    assert (kept.attempts, kept.deliveries, kept.reason_code, kept.retry_at) == (3, 3, None, None)
    assert kept.processed_at is not None
    assert (await books.again(broken)).status is InvoiceStatus.PAID
    told = [entry.type for entry in await books.log_of(workspace) if entry.webhook_event_id == failed.id]
    assert told == [
        EventType.WEBHOOK_EVENT_RECEIVED,
        EventType.WEBHOOK_EVENT_UPDATED,
        EventType.WEBHOOK_EVENT_UPDATED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.INVOICE_PAID,
    ]


async def test_a_row_that_contradicts_a_delivery_fails_it_alone(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    """A payment that exists without its names: the conflict does not go away by trying again at once."""
    invoices = [await books.add_invoice(integration) for _ in range(3)]
    contradiction = await books.add_nameless_payment(integration, "pi_1")
    events = [
        stripe.payment_intent_succeeded(**ours(invoice), payment_intent=f"pi_{number}")
        for number, invoice in enumerate(invoices)
    ]

    receipts = await deliver_in_one_batch(database, deliveries(integration, events))

    assert [receipt.status for receipt in receipts] == [
        WebhookEventStatus.PROCESSED,
        WebhookEventStatus.FAILED,
        WebhookEventStatus.PROCESSED,
    ]
    async with transaction():
        await scoped(Payment, workspace.id).filter(id=contradiction.id).delete()

    (mended,) = await deliver_in_one_batch(database, deliveries(integration, events[1:2]))

    assert mended.status is WebhookEventStatus.PROCESSED


async def test_whoever_follows_is_woken_once_something_failed(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    woken: list[Mapping[str, int]] = []

    async with Inbox(database, woken.append, lambda: None) as inbox:
        await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    assert woken == [{workspace.id: 1}]


async def test_what_failed_is_retried_without_counting_a_delivery(
    database: Database, inbox: Inbox, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await mend(database)
    (failed,) = await books.webhook_events_of(workspace)

    await inbox.accept(kept(integration, failed))

    found = await books.again(failed)
    assert (found.status, found.deliveries, found.attempts) == (WebhookEventStatus.PROCESSED, 1, 2)
    assert (await books.traffic_of(integration)).deliveries == 1


async def test_money_that_fitted_no_invoice_is_applied_when_it_is_replayed_and_fits(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration, currency="EUR")
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    first = await inbox.accept(given)
    await books.change(invoice, currency="USD")
    posted = await inbox.accept(given)

    replayed = await inbox.accept(replace(given, again=True, posts=0))

    assert (first.before, first.status) == (None, WebhookEventStatus.UNAPPLIED)
    assert (posted.before, posted.status) == (WebhookEventStatus.UNAPPLIED, WebhookEventStatus.UNAPPLIED)
    assert (replayed.before, replayed.status) == (WebhookEventStatus.UNAPPLIED, WebhookEventStatus.PROCESSED)
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.reason_code, kept.deliveries, kept.attempts) == (None, 2, 2)
    (payment,) = await books.payments_of(workspace)
    assert (payment.allocation, payment.unapplied_code) == (Allocation.APPLIED, None)
    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert (await books.log_types(workspace))[-2:] == [EventType.PAYMENT_APPLIED, EventType.INVOICE_PAID]


async def test_a_replay_decides_anew_though_stripe_posts_the_same_at_the_same_time(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration, currency="EUR")
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await inbox.accept(given)
    await books.change(invoice, currency="USD")

    _, replayed = await deliver_in_one_batch(database, [given, replace(given, again=True, posts=0)])

    assert replayed.status is WebhookEventStatus.PROCESSED
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.deliveries, kept.attempts) == (2, 2)
    assert (await books.again(invoice)).status is InvoiceStatus.PAID


async def test_what_is_ignored_for_good_is_not_tried_again_by_its_next_delivery(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    event = stripe.payment_intent_succeeded()

    await deliver_in_turn(inbox, integration, event, event)

    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.reason_code, kept.deliveries, kept.attempts) == ("NO_METADATA", 2, 1)


async def test_what_is_applied_already_is_not_applied_again_by_a_replay(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await inbox.accept(given)
    before = await books.log_types(workspace)

    receipt = await inbox.accept(replace(given, again=True, posts=0))

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert await books.log_types(workspace) == before


# --- Switched off, disconnected --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [2, 3, 200])
async def test_what_comes_while_the_integration_is_off_is_held_and_applied_in_order(
    inbox: Inbox, workspace: Workspace, integration: Integration, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(queue, "_PAGE", page)
    invoices = [await books.add_invoice(integration) for _ in range(3)]
    events = [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices]
    await books.change(integration, is_active=False)

    held = await deliver_in_turn(inbox, integration, *events, events[0])

    assert statuses(held) == {WebhookEventStatus.HELD}
    kept = await books.webhook_events_of(workspace)
    assert [(event.reason_code, event.deliveries, event.attempts) for event in kept] == [
        ("INTEGRATION_INACTIVE", 2, 0),
        ("INTEGRATION_INACTIVE", 1, 0),
        ("INTEGRATION_INACTIVE", 1, 0),
    ]
    assert not await books.payments_of(workspace)

    await books.change(integration, is_active=True)
    released = await inbox.release_held(await books.again(integration))

    assert released == 3
    log = await books.log_of(workspace)
    assert [entry.invoice_id for entry in log if entry.type is EventType.INVOICE_PAID] == [
        invoice.id for invoice in invoices
    ]
    for event in await books.webhook_events_of(workspace):
        assert (event.status, event.reason_code, event.attempts) == (WebhookEventStatus.PROCESSED, None, 1)
    assert await inbox.release_held(integration) == 0


async def test_what_is_held_stays_so_while_the_integration_is_off(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    await books.change(integration, is_active=False)
    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    await inbox.release_held(integration)

    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.status, kept.deliveries) == (WebhookEventStatus.HELD, 1)
    assert await books.log_types(workspace) == [EventType.WEBHOOK_EVENT_RECEIVED]


async def test_what_is_held_is_applied_by_its_next_delivery_too(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    event = stripe.payment_intent_succeeded(**ours(invoice))
    await books.change(integration, is_active=False)
    await deliver(inbox, integration, event)
    await books.change(integration, is_active=True)

    (receipt,) = await deliver(inbox, integration, event)

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert (await books.again(invoice)).status is InvoiceStatus.PAID


async def test_what_comes_after_the_integration_was_disconnected_is_not_stored(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    other = await books.add_integration(workspace)
    invoice = await books.add_invoice(other)
    events = paid_and_completed(invoice)
    await books.change(integration, disconnected_at=utc_now(), webhook_token=None)

    gone, taken = await asyncio.gather(
        inbox.accept(delivery(integration, events[0])), inbox.accept(delivery(other, events[1]))
    )

    assert (gone.status, gone.webhook_event_id) == (None, None)
    assert taken.status is WebhookEventStatus.PROCESSED
    assert [event.integration_id for event in await books.webhook_events_of(workspace)] == [other.id]


# --- The queue -------------------------------------------------------------------------------------------------


async def test_a_caller_that_goes_away_cancels_nothing(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(4)]
    inbox = Inbox(database, lambda _: None, lambda: None)
    callers = [
        asyncio.ensure_future(inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))))
        for invoice in invoices
    ]
    errors: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    await asyncio.sleep(0)
    for caller in callers[::2]:
        caller.cancel()

    async with inbox:
        answers = await asyncio.gather(*callers, return_exceptions=True)
    loop.set_exception_handler(None)

    assert errors == []
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, True, False]
    assert {(await books.again(invoice)).status for invoice in invoices} == {InvoiceStatus.PAID}


async def test_callers_that_go_away_at_any_moment_cancel_nothing(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(20)]
    for turns, invoice in enumerate(invoices):
        event = stripe.payment_intent_succeeded(**ours(invoice))
        caller = asyncio.ensure_future(inbox.accept(delivery(integration, event)))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        caller.cancel()

    await inbox.__aexit__()

    assert {(await books.again(invoice)).status for invoice in invoices} == {InvoiceStatus.PAID}


async def test_what_comes_together_shares_its_commits_however_much_came_before(
    database: Database, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    commits: list[Any] = []

    async with Inbox(database, commits.append, lambda: None) as inbox:
        await deliver_in_turn(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)))
        alone = len(commits)
        await deliver(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(60)))

    assert alone == 20
    assert len(commits) - alone <= 4


async def test_senders_that_are_answered_together_share_the_next_commit_too(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_PATIENCE", 1e9)
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 0.25)  # so that other work doesn't make them late
    invoice = await books.add_invoice(integration)
    commits: list[Any] = []
    posts, senders = 20, 8

    async def send(turns: int) -> None:
        for event in [stripe.payment_intent_failed(**ours(invoice)) for _ in range(posts)]:
            for _ in range(turns):  # each takes a different time until it posts again
                await asyncio.sleep(0)
            await inbox.accept(delivery(integration, event))

    async with Inbox(database, commits.append, lambda: None) as inbox:
        await asyncio.gather(*(send(2 * number) for number in range(senders)))

    assert len(commits) < {"sqlite": 1.5, "postgres": 2.75}[database.dialect] * posts


async def test_a_lone_delivery_does_not_wait_for_senders_that_were_answered_long_ago(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour later they don't come back together, however long a batch waits for those that were just answered."""
    invoice = await books.add_invoice(integration)
    loop, later_s = asyncio.get_running_loop(), 0.0
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + later_s)
    monkeypatch.setattr(queue, "_PATIENCE", 1e9)
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)

    async with Inbox(database, lambda _: None, lambda: None) as inbox:
        await deliver(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)))
        later_s = 3600.0
        async with asyncio.timeout(30):
            lone = await deliver_in_turn(inbox, integration, *paid_and_completed(invoice))

    assert statuses(lone) == {WebhookEventStatus.PROCESSED}


async def test_after_a_batch_has_waited_in_vain_the_next_ones_do_not_wait(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders that do not wait for answers would be delayed each time."""
    invoice = await books.add_invoice(integration)
    loop, later_s = asyncio.get_running_loop(), 0.0
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + later_s)
    monkeypatch.setattr(queue, "_PATIENCE", 1e9)
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)
    bursts = [[stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)] for _ in range(2)]
    first, second = deliveries(integration, paid_and_completed(invoice))

    async with Inbox(database, lambda _: None, lambda: None) as inbox:
        await deliver(inbox, integration, *bursts[0])
        in_vain = asyncio.ensure_future(inbox.accept(first))
        for _ in range(10):  # until the batch waits
            await asyncio.sleep(0)
        later_s = 700.0
        await in_vain
        await deliver(inbox, integration, *bursts[1])
        async with asyncio.timeout(30):
            receipt = await inbox.accept(second)

    assert receipt.status is WebhookEventStatus.PROCESSED


async def test_a_queue_that_is_full_refuses_what_comes_then_and_loses_nothing(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    inbox = Inbox(database, lambda _: None, lambda: None)
    waiting = [asyncio.ensure_future(inbox.accept(given)) for _ in range(MAX_QUEUED)]
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError):
        await inbox.accept(given)

    async with inbox:
        assert statuses(await asyncio.gather(*waiting)) == {WebhookEventStatus.PROCESSED}
        assert (await inbox.accept(given)).status is WebhookEventStatus.PROCESSED
    (kept,) = await books.webhook_events_of(workspace)
    assert kept.deliveries == MAX_QUEUED + 1


async def test_a_queue_is_full_by_its_bytes_too(database: Database, integration: Integration) -> None:
    inbox = Inbox(database, lambda _: None, lambda: None)
    half = delivery(integration, b" " * (MAX_QUEUED_BYTES // 2))
    waiting = [asyncio.ensure_future(inbox.accept(half)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError):
        await inbox.accept(delivery(integration, b" "))

    async with inbox:
        assert statuses(await asyncio.gather(*waiting)) == {WebhookEventStatus.IGNORED}
        assert (await inbox.accept(delivery(integration, b" "))).status is WebhookEventStatus.IGNORED


@pytest.mark.slow
async def test_closing_settles_what_is_queued_and_takes_nothing_more(
    database: Database, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(300)]
    inbox = Inbox(database, lambda _: None, lambda: None)
    async with inbox:
        callers = [
            asyncio.ensure_future(inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))))
            for invoice in invoices
        ]
        await asyncio.sleep(0)

    assert statuses(await asyncio.gather(*callers)) == {WebhookEventStatus.PROCESSED}
    with pytest.raises(UnavailableError):
        await inbox.accept(delivery(integration, b"{}"))
