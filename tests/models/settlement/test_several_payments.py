"""Stripe invoices with several payments, and those that were paid out of band."""

from typing import Any, Final

import pytest

from models.instant import from_epoch
from models.kinds import (
    EventType,
    InvoiceStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from tests.models.settlement.telling import ORDERS_OF_3, OURS, in_parts
from tests.world import stripe_payloads as stripe
from tests.world.desk import Desk, active_link, open_invoice
from tests.world.stripe_payloads import Event


@pytest.mark.parametrize("order", ORDERS_OF_3)
@pytest.mark.parametrize("told", [OURS, {}, {"order": "in_a"}])
def test_each_payment_of_a_stripe_invoice_is_its_own(order: tuple[int, int, int], told: Any) -> None:
    events = [
        in_parts(pi_a=20_000, pi_b=30_000),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=20_000, **told),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=30_000, **told),
    ]
    desk = Desk(open_invoice(total=50_000))

    desk.take(*(events[index] for index in order))

    amounts = {payment.provider_payment_id: payment.amount for payment in desk.payments}
    assert amounts == {"pi_a": 20_000, "pi_b": 30_000}
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 50_000)
    assert desk.log.count(EventType.PAYMENT_SUCCEEDED) == 2
    assert desk.log.count(EventType.INVOICE_PAID) == 1


def test_a_refund_of_one_of_several_payments_lowers_that_one() -> None:
    desk = Desk(open_invoice(total=50_000))

    desk.take(
        in_parts(pi_a=20_000, pi_b=30_000),
        stripe.charge_refunded(payment_intent="pi_b", amount=30_000, refunded=500),
    )

    assert {payment.provider_payment_id: payment.refunds.amount for payment in desk.payments} == {
        "pi_a": 0,
        "pi_b": 500,
    }


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_an_invoice_that_lists_no_payments_is_not_counted_beside_them(order: tuple[int, int, int]) -> None:
    """Since basil the list has to be asked for: an event tells of the whole amount alone."""
    events = [
        stripe.stripe_invoice_paid(**OURS, invoice="in_a", amount=50_000),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=20_000, order="in_a", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=30_000, order="in_a", **OURS),
    ]
    desk = Desk(open_invoice(total=50_000))

    desk.take(*(events[index] for index in order))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 50_000)
    assert sorted(payment.amount for payment in desk.payments) == [20_000, 30_000]


@pytest.mark.parametrize("order", ORDERS_OF_3)
@pytest.mark.parametrize("carrying", [{0, 1, 2}, {0, 1}, {1, 2}, {1}])
def test_a_subscriptions_session_invoice_and_intent_are_one_payment(
    carrying: set[int], order: tuple[int, int, int]
) -> None:
    """Whichever carries the metadata and whichever comes first; what waits for its payment is tried again."""
    carried: list[Any] = [OURS if index in carrying else {} for index in range(3)]
    events = [
        stripe.checkout_session_completed(**carried[0], payment_intent=None, session="cs_a", invoice="in_a"),
        stripe.stripe_invoice_paid(**carried[1], invoice="in_a"),
        stripe.payment_intent_succeeded(**carried[2], payment_intent="pi_a", order="in_a"),
    ]
    desk = Desk(open_invoice(), [active_link()])

    waiting = [events[index] for index in order if desk.take(events[index]).code == "PAYMENT_UNKNOWN"]
    for event in waiting:
        desk.take(event)

    assert (desk.payment.order_id, desk.payment.provider_payment_id) == ("in_a", "pi_a")
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert desk.log.count(EventType.PAYMENT_SUCCEEDED) == 1
    assert desk.log.count(EventType.INVOICE_PAID) == 1


def test_an_intent_that_was_given_up_lends_its_name_to_no_other() -> None:
    desk = Desk(open_invoice())

    desk.take(
        stripe.payment_intent_canceled(payment_intent="pi_a", **OURS),
        stripe.stripe_invoice_failed(**OURS, invoice="in_a", payment_intent="pi_a"),
        stripe.stripe_invoice_paid(**OURS, invoice="in_a", payment_intent="pi_b"),
    )

    assert {payment.provider_payment_id: payment.status for payment in desk.payments} == {
        "pi_a": PaymentStatus.FAILED,
        "pi_b": PaymentStatus.SUCCEEDED,
    }


OUT_OF_BAND: Final = (
    stripe.stripe_invoice_paid(**OURS, invoice="in_a", created=77, shape=stripe.OLD, payment_intent=None),
    stripe.stripe_invoice_paid(**OURS, invoice="in_a", created=77, payments={"": 2000}),
)
OUT_OF_BAND[0]["data"]["object"] |= {"paid_out_of_band": True, "amount_paid": 0, "amount_remaining": 2000}
"""Before 2025-03-31.basil the amount that was paid is what was paid through Stripe."""


@pytest.mark.parametrize("event", OUT_OF_BAND)
def test_what_was_paid_out_of_band_at_stripe_is_so_here(event: Event) -> None:
    desk = Desk(open_invoice(), [active_link()])

    verdict = desk.take(event, event | {"type": "invoice.paid", "id": "evt_other"})

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert not desk.payments
    assert (desk.invoice.status, desk.invoice.amount_paid_out_of_band) == (InvoiceStatus.PAID, 2000)
    assert desk.invoice.paid_at == from_epoch(77)
    assert (desk.log.count(EventType.INVOICE_PAID), desk.live_links) == (1, [])


def test_a_stripe_invoice_that_was_paid_in_part_out_of_band_is_paid_by_both() -> None:
    desk = Desk(open_invoice())

    desk.take(stripe.stripe_invoice_paid(**OURS, invoice="in_a", payments={"pi_a": 500, "": 1500}))

    assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band) == (500, 1500)
    assert desk.invoice.status is InvoiceStatus.PAID


def test_less_than_what_remains_paid_out_of_band_leaves_the_rest_to_pay() -> None:
    desk = Desk(open_invoice(), [active_link()])
    event = stripe.stripe_invoice_paid(**OURS, invoice="in_a", amount=500, payments={"": 500})

    verdict = desk.take(event, event | {"type": "invoice.paid", "id": "evt_other"})

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert (desk.invoice.status, desk.invoice.amount_paid_out_of_band) == (InvoiceStatus.OPEN, 500)
    assert [link.amount for link in desk.live_links] == [1500]
    assert desk.log.count(EventType.INVOICE_PARTIALLY_PAID) == 1
