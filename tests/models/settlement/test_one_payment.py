"""One payment counts once, whatever events and names it has, and whatever its customer saw."""

import pytest

from models.instant import from_epoch
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    PaymentLinkStatus,
    PaymentStatus,
)
from tests.models.settlement.telling import ORDERS_OF_2, ORDERS_OF_3, OURS, completed, failed, later_succeeded, paid
from tests.world import stripe_payloads as stripe
from tests.world.desk import Desk, active_link, open_invoice

# --- One payment, several events and names ---------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS_OF_2)
def test_the_two_events_of_a_payment_count_once(order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [paid(created=20), completed(created=10)]

    desk.take(*(events[position] for position in order for _ in range(2)))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert desk.invoice.paid_at == from_epoch(10)
    assert (desk.payment.provider_payment_id, desk.payment.overpaid) == ("pi_a", 0)
    assert desk.log.count(EventType.INVOICE_PAID) == desk.log.count(EventType.PAYMENT_SUCCEEDED) == 1
    assert [link.status for link in desk.links] == [PaymentLinkStatus.COMPLETED]


def test_an_event_that_was_seen_before_changes_nothing() -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [completed("unpaid"), failed("pi_b"), paid(500, "pi_c"), later_succeeded()]
    desk.take(*events)

    again = [desk.take(event) for event in events]

    for verdict in again:
        assert (verdict.invoice, verdict.payments, verdict.links, verdict.log) == (None, (), (), ())


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_a_payment_later_known_under_another_name_is_merged(order: tuple[int, ...]) -> None:
    """A session without its intent, a Stripe Invoice without its intent, and the event that names both."""
    desk = Desk(open_invoice())
    events = [
        completed(payment_intent=None, session="cs_a", invoice="in_a"),
        paid(payment_intent="pi_a"),
        stripe.stripe_invoice_paid(**OURS, invoice="in_a", payment_intent="pi_a"),
    ]

    desk.take(*(events[position] for position in order))

    assert desk.payment.provider_payment_id == "pi_a"
    assert desk.payment.provider_ids == {"pi_a"}
    assert desk.payment.order_id == "in_a"
    assert (desk.invoice.amount_paid, desk.payment.overpaid) == (2000, 0)
    assert desk.invoice.status is InvoiceStatus.PAID
    assert desk.log.count(EventType.INVOICE_PAID) == 1


def test_what_is_merged_says_into_what() -> None:
    desk = Desk(open_invoice())
    desk.take(paid(payment_intent="pi_a"), stripe.stripe_invoice_paid(**OURS, invoice="in_a"))
    first, second = desk.payments

    verdict = desk.take(stripe.stripe_invoice_paid(**OURS, invoice="in_a", payment_intent="pi_a"))

    assert verdict.absorbed == ((second.id, first.id),)
    assert verdict.payment_id == desk.payment.id == first.id


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_an_attempts_own_words_come_before_those_about_its_stripe_invoice(order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice())
    events = [
        failed(created=10),
        stripe.stripe_invoice_failed(**OURS, invoice="in_a", created=20, amount=1900),
        stripe.stripe_invoice_failed(**OURS, invoice="in_a", payment_intent="pi_a", created=5),
    ]

    desk.take(*(events[position] for position in order))

    assert (desk.payment.provider_payment_id, desk.payment.occurred_at) == ("pi_a", from_epoch(10))
    assert desk.payment.amount == 2000


def test_of_two_names_the_one_that_was_applied_counts() -> None:
    desk = Desk(open_invoice(status=InvoiceStatus.DRAFT))
    desk.take(stripe.stripe_invoice_paid(**OURS, invoice="in_a", created=20))
    desk.invoice = open_invoice()
    desk.take(paid(created=10))
    desk.invoice = desk.invoice._replace(status=InvoiceStatus.VOID)

    desk.take(stripe.stripe_invoice_paid(**OURS, invoice="in_a", payment_intent="pi_a"))

    assert (desk.payment.allocation, desk.invoice.amount_paid) == (Allocation.APPLIED, 2000)


# --- What the customer saw -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS_OF_2)
def test_what_the_customer_saw_is_kept_and_not_counted(order: tuple[int, int]) -> None:
    seen = {"presentment_details": {"presentment_amount": 1850, "presentment_currency": "eur"}}
    events = [completed(), paid()]
    for event in events:
        event["data"]["object"] |= seen
    desk = Desk(open_invoice(), [active_link()])

    desk.take(*(events[index] for index in order))

    assert desk.payment.presentment == (1850, "EUR")
    assert (desk.payment.amount, desk.payment.currency, desk.invoice.amount_paid) == (2000, "USD", 2000)


def test_a_session_that_was_converted_tells_our_amount_beside_the_customers() -> None:
    """Before 2025-03-31 a session's own amount and currency were the customer's."""
    session = completed(amount=15_400, currency="jpy")
    session["data"]["object"]["currency_conversion"] = {
        "amount_subtotal": 2000,
        "amount_total": 2000,
        "fx_rate": "7.7",
        "source_currency": "usd",
    }
    desk = Desk(open_invoice(), [active_link()])

    desk.take(session)

    assert (desk.payment.amount, desk.payment.currency) == (2000, "USD")
    assert desk.payment.presentment == (15_400, "JPY")
    assert desk.invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize("order", ORDERS_OF_2)
def test_a_converted_session_and_its_unconverted_intent_are_one_payment(order: tuple[int, int]) -> None:
    session = completed(amount=15_400, currency="jpy")
    session["data"]["object"]["currency_conversion"] = {"amount_total": 2000, "source_currency": "usd"}
    events = [session, paid(amount=15_400, currency="jpy")]
    desk = Desk(open_invoice(), [active_link()])

    desk.take(*(events[index] for index in order))

    assert (desk.payment.amount, desk.payment.currency, desk.payment.unapplied_code) == (2000, "USD", None)
    assert desk.invoice.amount_paid == 2000


# --- Bank transfers in parts ---------------------------------------------------------------------------------------


def test_a_transfer_that_came_in_part_is_under_way_with_what_came() -> None:
    event = stripe.payment_intent_processing(payment_intent="pi_a", **OURS) | {
        "type": "payment_intent.partially_funded"
    }
    event["data"]["object"]["next_action"] = {"display_bank_transfer_instructions": {"amount_remaining": 1400}}
    desk = Desk(open_invoice(), [active_link()])

    desk.take(event)
    partly = desk.payment
    desk.take(paid())

    assert (partly.status, partly.amount, partly.amount_received) == (PaymentStatus.PENDING, 2000, 600)
    assert (desk.payment.status, desk.payment.amount_received) == (PaymentStatus.SUCCEEDED, None)
    assert desk.invoice.status is InvoiceStatus.PAID


def test_a_stripe_invoice_is_paid_once_by_both_events_that_say_so() -> None:
    event = stripe.stripe_invoice_paid(**OURS, invoice="in_a")
    desk = Desk(open_invoice())

    desk.take(event, event | {"type": "invoice.paid", "id": "evt_other"})

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert len(desk.payments) == 1
