"""Payments that Stripe reports under several names, and as parts of a Stripe invoice, are counted once."""

from collections import Counter

import pytest

from database.access import fetch, transaction
from inbox.batch import post
from inbox.queue import Inbox
from models.instant import from_epoch
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import EventType, InvoiceStatus, PaymentLinkStatus, WebhookEventStatus
from models.workspace import Workspace
from tests.inbox.delivering import deliver, deliver_in_turn, statuses, statuses_of
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, ours
from tests.world.stripe_payloads import Event


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


async def test_a_payment_told_of_two_stripe_invoices_is_known_by_both(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    """Stripe should not tell this; if it does, no event fails, and the money counts once."""
    invoice = await books.add_invoice(integration)
    told = ours(invoice)
    events = [
        stripe.checkout_session_completed(**told, payment_intent="pi_a", invoice="in_b"),
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
        stripe.stripe_invoice_paid(**told, invoice="in_a", payment_intent="pi_a", shape=stripe.OLD),
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
    ]

    receipts = await deliver_in_turn(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    (payment,) = await books.payments_of(workspace)
    assert (payment.provider_payment_id, payment.amount, payment.overpaid) == ("pi_a", 2000, 0)


async def test_payments_told_of_two_stripe_invoices_fail_no_event(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    told = ours(invoice)
    parts = {"pi_a": 1000, "pi_b": 1000}
    events = [
        stripe.stripe_invoice_paid(**told, invoice="in_b", payments=parts),
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
        stripe.stripe_invoice_paid(invoice="in_a", payments=parts),
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
    ]

    receipts = await deliver_in_turn(inbox, integration, *events)

    assert WebhookEventStatus.FAILED not in statuses(receipts)
    known = await fetch("SELECT provider_id FROM payment_references WHERE workspace_id = $1", workspace.id)
    assert sorted(row["provider_id"] for row in known) == ["in_a", "pi_a", "pi_b"]
