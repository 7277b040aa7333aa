"""Histories that are judged wrongly still. Each test fails once its fault is mended: then it loses its mark."""

from itertools import permutations
from typing import Any, Final

import pytest

from tests.support import stripe_payloads as stripe
from tests.support.desk import CUSTOMER, INVOICE, WORKSPACE, Desk, open_invoice

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}


@pytest.mark.xfail(strict=True, reason="a declined intent keeps the name of the Stripe invoice that another one pays")
def test_an_attempt_that_was_given_up_does_not_lend_its_name_to_another_payment() -> None:
    events = [
        stripe.payment_intent_failed(payment_intent="pi_a", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_b", order="in_1", **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", **OURS),
    ]
    events[0]["data"]["object"]["payment_details"] = {"order_reference": "in_1"}

    paid = set()
    for order in permutations(events):
        desk = Desk(open_invoice(total=4000))
        desk.take(*order)
        paid.add((desk.invoice.amount_paid, desk.invoice.status.value))

    assert paid == {(2000, "OPEN")}


@pytest.mark.xfail(strict=True, reason="the amount of a part takes the place of the whole Stripe invoice's")
def test_a_part_and_the_whole_are_the_same_in_either_order() -> None:
    events = [
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=5000, **OURS),
    ]

    seen = set()
    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.take(*order)
        seen.add((desk.invoice.status.value, desk.invoice.amount_paid))

    assert len(seen) == 1
