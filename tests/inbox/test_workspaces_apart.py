"""Whose an event, its invoice and its money are, when several workspaces share a Stripe account."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from database.access import Database
from inbox.queue import Inbox
from models.ids import Prefix, new_id
from models.integration import Integration
from models.kinds import Allocation, InvoiceStatus, Mode, PaymentStatus, WebhookEventStatus
from models.workspace import Workspace
from tests.inbox.delivering import deliver, deliver_in_turn, paid_and_completed, statuses
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, ours


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
