"""Whose an event is: what is not ours is ignored, and a payment of another invoice stays there."""

import pytest

from models.diagnosis import diagnose
from models.ids import Prefix, new_id
from models.kinds import (
    InvoiceStatus,
    WebhookEventStatus,
)
from models.reason import Reason
from models.settlement import Verdict, settle
from tests.models.settlement.telling import OURS, completed, paid, trial
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE, Desk, active_link, open_invoice, payment
from tests.world.stripe_payloads import Event


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (paid(workspace_id=new_id(Prefix.WORKSPACE)), "ANOTHER_WORKSPACE"),
        (paid(workspace_id="acme"), "ANOTHER_WORKSPACE"),
        (paid(invoice_id="in_1RTkpYQ8iJWBZFaM"), "FOREIGN_INVOICE_ID"),
        (paid(invoice_id=INVOICE.upper()), "FOREIGN_INVOICE_ID"),
        (paid(invoice_id=CUSTOMER), "FOREIGN_INVOICE_ID"),
        (paid(invoice_id=INVOICE[:-1]), "FOREIGN_INVOICE_ID"),
        (paid(invoice_id="inv_'; DROP TABLE invoices; --"), "FOREIGN_INVOICE_ID"),
        (stripe.payment_intent_succeeded(), "NO_METADATA"),
        (stripe.payment_intent_succeeded(workspace_id=WORKSPACE, customer_id=CUSTOMER), "NO_METADATA"),
        (stripe.checkout_session_completed(payment_link="plink_foreign"), "NO_METADATA"),
        (paid() | {"type": "payment_intent.created"}, "EVENT_TYPE_NOT_HANDLED"),
    ],
)
def test_what_is_not_ours_is_ignored(event: Event, code: str) -> None:
    desk = Desk(open_invoice(), [active_link()])

    verdict = desk.take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, code)
    assert not desk.payments
    assert (desk.invoice, desk.log) == (open_invoice(), [])


def test_blanks_around_metadata_mean_nothing() -> None:
    desk = Desk(open_invoice())

    desk.take(paid(invoice_id=f" {INVOICE}\n", workspace_id=f"{WORKSPACE} "))

    assert desk.invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize(
    "event",
    [
        completed() | {"data": {"object": {"id": "cs_a", "mode": "setup", "metadata": OURS}}},
        completed("no_payment_required", currency=None, amount=None),
        trial(),
    ],
    ids=["a card is saved", "nothing to pay", "a trial begins"],
)
def test_a_session_in_which_nothing_is_paid_is_ignored(event: Event) -> None:
    desk = Desk(open_invoice(), [active_link()])

    verdict = desk.take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, "NOTHING_PAID")
    assert (desk.invoice, desk.payments) == (open_invoice(), [])


def test_without_a_workspace_id_the_invoice_id_decides() -> None:
    desk = Desk(open_invoice())

    desk.take(stripe.payment_intent_succeeded(invoice_id=INVOICE))

    assert desk.invoice.status is InvoiceStatus.PAID


def test_without_metadata_a_link_of_ours_decides() -> None:
    desk = Desk(open_invoice(), [active_link()])
    case = desk.case(completed(invoice_id=None, customer_id=None, workspace_id=None))

    verdict = settle(case._replace(invoice_id=INVOICE, invoice=desk.invoice, links=desk.links))

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert verdict.invoice is not None
    assert verdict.invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize(
    ("order", "code"), [(None, "NO_METADATA"), ("cs_a", "PAYMENT_UNKNOWN"), ("in_a", "PAYMENT_UNKNOWN")]
)
def test_an_intent_without_metadata_waits_for_the_session_or_stripe_invoice_behind_it(
    order: str | None, code: str
) -> None:
    verdict = Desk(open_invoice()).take(stripe.payment_intent_succeeded(payment_intent="pi_a", order=order))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, code)


def test_an_event_without_metadata_belongs_to_the_payment_that_it_names() -> None:
    """Links made by hand give their metadata to the session only."""
    desk = Desk(open_invoice())
    desk.take(completed("unpaid"))

    verdict = desk.take(stripe.payment_intent_succeeded(payment_intent="pi_a"))

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert desk.invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_in_words_with_its_fix(reason: Reason) -> None:
    diagnosis = diagnose(reason, "a {curious} detail.")

    assert diagnosis.code is reason
    assert diagnosis.message.endswith(".")
    assert diagnosis.fix.endswith(".")
    assert "{detail}" not in diagnosis.message


def test_a_payment_that_counts_for_another_invoice_stays_there() -> None:
    """Metadata that contradicts itself moves no money from one invoice to another."""
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice())
    desk.add_invoice(open_invoice(id=other))
    desk.take(completed(payment_intent=None, session="cs_x", amount=2000))
    desk.take(paid(payment_intent="pi_x", invoice_id=other))

    desk.take(completed(payment_intent="pi_x", session="cs_x", amount=2000))

    assert {payment.invoice_id: payment.amount for payment in desk.payments} == {INVOICE: 2000, other: 2000}
    assert desk.invoice.amount_paid == 2000


def test_an_event_that_names_nothing_but_another_invoices_payment_changes_nothing() -> None:
    desk = Desk(open_invoice())
    elsewhere = payment(invoice_id="inv_2", provider_payment_id="pi_a", provider_ids=frozenset({"pi_a"}))

    verdict = settle(desk.case(paid(payment_intent="pi_a"))._replace(payments=[elsewhere]))

    assert verdict == Verdict(WebhookEventStatus.PROCESSED)


def test_an_event_that_names_another_invoices_payment_too_leaves_that_as_it_is() -> None:
    """One invoice at Stripe may have been paid by several payments, each for an invoice of its own here."""
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice())
    desk.add_invoice(open_invoice(id=other, total=1000))
    desk.take(paid(payment_intent="pi_a"))
    desk.take(paid(payment_intent="pi_b", amount=1500, invoice_id=other))
    desk.take(stripe.charge_refunded(payment_intent="pi_b", amount=1500, refunded=300))
    before = [payment for payment in desk.payments if payment.invoice_id == other]
    both = stripe.stripe_invoice_paid(payment_intent="pi_a", amount=2000, **OURS)
    both["data"]["object"]["payments"]["data"].append({"payment": {"payment_intent": "pi_b"}})

    desk.take(both)

    assert [payment for payment in desk.payments if payment.invoice_id == other] == before
    assert (before[0].overpaid, before[0].refunds.amount) == (500, 300)
    assert (desk.invoice.amount_paid, desk.invoice.amount_refunded) == (2000, 0)


def test_what_another_system_says_of_a_payment_that_counts_here_changes_nothing() -> None:
    """Its metadata decides, whatever the payment was applied to meanwhile."""
    desk = Desk(open_invoice())
    desk.take(paid(created=50))
    before = desk.payments

    verdict = desk.take(paid(created=10, invoice_id="order_77"))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, "FOREIGN_INVOICE_ID")
    assert desk.payments == before
