"""Stripe invoices: whatever pays one, each payment counts once and in whatever order it is told."""

from itertools import permutations
from typing import Any, Final

import pytest

from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.kinds import Allocation, EventType, InvoiceStatus, PaymentStatus, WebhookEventStatus
from models.reason import Reason
from models.settlement.stripe_invoice import StripeInvoice
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE, Desk, active_link, open_invoice, payment

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}


def test_an_attempt_that_was_given_up_does_not_lend_its_name_to_another_payment() -> None:
    events = [
        stripe.payment_intent_failed(payment_intent="pi_a", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_b", order="in_1", **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", **OURS),
    ]
    events[0]["data"]["object"]["payment_details"] = {"order_reference": "in_1"}

    for order in permutations(events):
        desk = Desk(open_invoice(total=4000))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.OPEN, 2000)
        assert {payment.provider_payment_id: payment.status for payment in desk.payments} == {
            "pi_a": PaymentStatus.FAILED,
            "pi_b": PaymentStatus.SUCCEEDED,
        }


def test_payments_without_a_stripe_invoice_are_no_parts_of_one() -> None:
    assert StripeInvoice.among([payment(order_id=None), payment(order_id="in_1")], None) == StripeInvoice()


@pytest.mark.parametrize("left", [1, 3000])
def test_what_the_known_payments_leave_of_a_stripe_invoice_counts_besides(left: int) -> None:
    total = 2000 + left
    events = [
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=total, **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=total))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, total)
        assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {
            "pi_a": 2000,
            "in_1": left,
        }


def test_a_payment_of_the_same_stripe_invoice_for_another_invoice_stays_as_it_is() -> None:
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice())
    desk.add_invoice(open_invoice(id=other, total=1000))
    desk.take(
        stripe.payment_intent_succeeded(
            payment_intent="pi_b", amount=1500, order="in_1", **(OURS | {"invoice_id": other})
        )
    )

    verdict = desk.take(stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS))

    assert [payment.provider_payment_id for payment in verdict.payments] == ["pi_a"]
    assert {payment.provider_payment_id: payment.overpaid for payment in desk.payments} == {"pi_a": 0, "pi_b": 500}


def test_what_is_told_again_of_a_payment_takes_nothing_from_the_rest() -> None:
    payment = stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS)
    desk = Desk(open_invoice(total=5000))

    desk.take(payment, stripe.stripe_invoice_paid(invoice="in_1", amount=5000, **OURS), payment | {"id": "evt_again"})

    assert {each.provider_payment_id: each.amount for each in desk.payments} == {"pi_a": 2000, "in_1": 3000}


def test_a_stripe_invoice_that_was_paid_further_is_told_as_a_larger_whole() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=2000, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=5000, **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=3000, order="in_1", **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000), [active_link(amount=5000)])
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid, desk.live_links) == (InvoiceStatus.PAID, 5000, [])
        assert {payment.provider_payment_id for payment in desk.payments} == {"pi_a", "pi_b"}
        assert desk.log.count(EventType.INVOICE_PAID) == 1


def test_of_totals_in_two_currencies_the_one_in_the_invoices_says_when() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=2000, created=20, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=1850, currency="eur", created=10, **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice())
        desk.take(*order)

        assert (desk.payment.amount, desk.payment.currency) == (2000, "USD")
        assert (desk.invoice.status, desk.invoice.paid_at) == (InvoiceStatus.PAID, from_epoch(20))


def test_a_total_that_counts_does_so_when_its_payment_was_told_in_another_currency_first() -> None:
    """Although its invoice is void by then."""
    desk = Desk(open_invoice())
    told: Any = {"payment_intent": "pi_a", "order": "in_1", **OURS}
    desk.take(
        stripe.stripe_invoice_paid(invoice="in_1", amount=2000, **OURS),
        stripe.payment_intent_succeeded(amount=1850, currency="eur", **told),
    )
    desk.invoice = desk.invoice._replace(status=InvoiceStatus.VOID)

    desk.take(stripe.payment_intent_succeeded(amount=2000, **told))

    assert (desk.payment.provider_payment_id, desk.payment.amount, desk.payment.currency) == ("pi_a", 2000, "USD")
    assert (desk.payment.allocation, desk.invoice.amount_paid) == (Allocation.APPLIED, 2000)


def test_amounts_of_two_currencies_are_not_compared_when_payments_turn_out_to_be_one() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=2000, **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=3100, currency="jpy", **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", payment_intent="pi_a", amount=2000, **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=3100))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.OPEN, 2000)
        assert (desk.payment.amount, desk.payment.currency) == (2000, "USD")


def test_names_that_are_tied_later_in_two_currencies_are_one_payment_of_the_invoices() -> None:
    events = [
        stripe.checkout_session_completed(session="cs_a", payment_intent=None, amount=3100, currency="jpy", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, **OURS),
        stripe.checkout_session_async_failed(session="cs_a", payment_intent="pi_a", amount=2000, **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice())
        desk.take(*order)

        assert (desk.payment.amount, desk.payment.currency) == (2000, "USD")
        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)


def test_what_went_back_in_another_currency_is_not_taken_over_when_payments_turn_out_to_be_one() -> None:
    desk = Desk(open_invoice())

    desk.take(
        stripe.checkout_session_completed(session="cs_a", payment_intent=None, amount=2000, created=1, **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=3100, currency="jpy", created=2, **OURS),
        stripe.charge_refunded(payment_intent="pi_a", amount=3100, refunded=1500, currency="jpy", created=3, **OURS),
        stripe.checkout_session_completed(session="cs_a", payment_intent="pi_a", amount=2000, created=4, **OURS),
    )

    assert (desk.payment.amount, desk.payment.currency, desk.payment.amount_refunded) == (2000, "USD", 0)


# --- Several payments in one event -----------------------------------------------------------------------------


def test_several_parts_paid_out_of_band_are_one_amount() -> None:
    event = stripe.stripe_invoice_paid(invoice="in_1", payments={"pi_a": 1000, "": 600}, **OURS)
    listed = event["data"]["object"]["payments"]["data"]
    listed.append(listed[1] | {"id": "inpay_other", "amount_paid": 400})
    desk = Desk(open_invoice())

    verdict = desk.take(event)

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert desk.invoice.status is InvoiceStatus.PAID
    assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band) == (1000, 1000)


def test_what_a_list_leaves_out_is_counted_all_the_same() -> None:
    listed = stripe.stripe_invoice_paid(invoice="in_1", payments={"pi_a": 1000, "": 600}, **OURS)
    listed["data"]["object"]["payments"]["has_more"] = True
    unlisted = stripe.payment_intent_succeeded(payment_intent="pi_b", amount=400, order="in_1", **OURS)

    for order in permutations([listed, unlisted]):
        desk = Desk(open_invoice())
        desk.take(*order)

        assert desk.invoice.status is InvoiceStatus.PAID
        assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band) == (1400, 600)
        assert {payment.provider_payment_id for payment in desk.payments} == {"pi_a", "pi_b"}
    desk = Desk(open_invoice())
    desk.take(listed)
    assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {"pi_a": 1000, "in_1": 400}


# --- Out of band -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("paid_at", "out_of_band", "overpaid"), [(10, 500, 0), (30, 2000, 1500)])
def test_what_was_marked_in_stripe_fills_what_was_lacking_then(paid_at: int, out_of_band: int, overpaid: int) -> None:
    marked = stripe.stripe_invoice_paid(invoice="in_1", payment_intent=None, shape=stripe.OLD, created=20, **OURS)
    marked["data"]["object"]["paid_out_of_band"] = True
    events = [stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1500, created=paid_at, **OURS), marked]

    for order in permutations(events):
        desk = Desk(open_invoice(), [active_link()])
        desk.take(*order, *order)

        assert (desk.invoice.status, desk.invoice.paid_at) == (InvoiceStatus.PAID, from_epoch(20))
        assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band) == (1500, out_of_band)
        assert (desk.payment.overpaid, desk.live_links) == (overpaid, [])


def test_what_was_marked_in_stripe_though_nothing_was_lacking_adds_nothing() -> None:
    desk = Desk(open_invoice())

    desk.take(
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, created=10, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=500, payments={"": 500}, created=20, **OURS),
    )

    assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band, desk.payment.overpaid) == (2000, 0, 0)


def test_of_what_was_marked_in_stripe_the_largest_amount_and_the_first_instant_count() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=amount, payments={"": amount}, created=at, **OURS)
        for amount, at in ((1200, 20), (500, 10), (800, 30))
    ]
    money = stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1500, created=15, **OURS)

    for order in permutations(events):
        desk = Desk(open_invoice())
        desk.take(money, *order)

        assert (desk.invoice.amount_paid_out_of_band, desk.payment.overpaid) == (1200, 700)


def test_what_was_marked_by_hand_stays_beside_what_was_marked_in_stripe() -> None:
    desk = Desk(open_invoice())
    part = stripe.stripe_invoice_paid(invoice="in_1", amount=500, payments={"": 500}, **OURS)
    desk.take(part)

    by_hand = desk.invoice.amount_paid_out_of_band + desk.invoice.amount_remaining
    desk.invoice = desk.invoice._replace(
        amount_paid_out_of_band=by_hand, status=InvoiceStatus.PAID, paid_at=from_epoch(99)
    )
    desk.take(part | {"id": "evt_again"}, stripe.payment_intent_succeeded(payment_intent="pi_a", amount=700, **OURS))

    assert (desk.invoice.amount_paid_out_of_band, desk.invoice.paid_at) == (2000, from_epoch(99))
    assert (desk.payment.amount, desk.payment.overpaid) == (700, 700)


# --- Which invoice ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [stripe.payment_intent_failed, stripe.payment_intent_processing])
def test_an_attempt_for_one_invoice_does_not_keep_the_money_that_names_another(attempt: Any) -> None:
    other = new_id(Prefix.INVOICE)
    tried = attempt(payment_intent="pi_a", created=1, **OURS)
    paid = stripe.payment_intent_succeeded(payment_intent="pi_a", created=2, **(OURS | {"invoice_id": other}))

    for order in permutations([tried, paid]):
        desk = Desk(open_invoice(), [active_link()])
        desk.add_invoice(open_invoice(id=other))
        desk.take(*order)

        assert (desk.invoice.status, [link.amount for link in desk.live_links]) == (InvoiceStatus.OPEN, [2000])
        assert desk.invoice_named(other).status is InvoiceStatus.PAID
        assert desk.payment.invoice_id == other


def test_payments_of_one_stripe_invoice_pay_the_invoices_that_they_name_each() -> None:
    other = new_id(Prefix.INVOICE)
    events = [
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS),
        stripe.payment_intent_succeeded(
            payment_intent="pi_b", amount=3000, order="in_1", **(OURS | {"invoice_id": other})
        ),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.add_invoice(open_invoice(id=other, total=5000))
        desk.take(*order)

        assert (desk.invoice.amount_paid, desk.invoice_named(other).amount_paid) == (2000, 3000)


def test_what_is_under_way_for_another_invoice_takes_no_link_from_this_one() -> None:
    other = new_id(Prefix.INVOICE)
    debit = stripe.payment_intent_processing(
        payment_intent="pi_b", amount=3000, created=1, **(OURS | {"invoice_id": other})
    )
    debit["data"]["object"]["payment_details"] = {"order_reference": "in_1"}
    money = stripe.payment_intent_succeeded(payment_intent="pi_a", amount=500, order="in_1", created=2, **OURS)

    for order in permutations([debit, money]):
        desk = Desk(open_invoice(), [active_link()])
        desk.add_invoice(open_invoice(id=other, total=5000))
        desk.take(*order)

        assert [link.amount for link in desk.live_links] == [1500]


def test_an_invoice_whose_payment_an_event_for_another_one_changes_is_counted_again() -> None:
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice(total=5000))
    desk.add_invoice(open_invoice(id=other, total=5000))

    desk.take(
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=500, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=1000, **(OURS | {"invoice_id": other})),
        stripe.checkout_session_completed(session="cs_a", payment_intent="pi_a", invoice="in_1", amount=500, **OURS),
    )

    assert (desk.invoice.amount_paid, desk.invoice_named(other).amount_paid) == (500, 500)
    assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {"pi_a": 500, "in_1": 500}


# --- Wholes ----------------------------------------------------------------------------------------------------


def test_wholes_in_two_currencies_are_not_compared() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=2000, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=9000, currency="jpy", **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.OPEN, 2000)
        assert (desk.payment.amount, desk.payment.currency, desk.payment.unapplied_code) == (2000, "USD", None)


@pytest.mark.parametrize("marked", [False, True])
def test_a_stripe_invoice_that_carries_nothing_of_ours_teaches_nothing_in_either_order(marked: bool) -> None:
    whole = stripe.stripe_invoice_paid(invoice="in_1", amount=5000, shape=stripe.OLD, payment_intent=None)
    whole["data"]["object"]["paid_out_of_band"] = marked
    events = [whole, stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS)]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.take(*order)

        assert (desk.invoice.amount_paid, desk.invoice.amount_paid_out_of_band) == (2000, 0)


def test_a_debit_that_is_known_by_its_charge_alone_takes_the_wholes_place() -> None:
    events = [
        stripe.stripe_invoice_paid(invoice="in_1", amount=1000, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=1000, payments={"pi_x": 1000}, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=1700, **OURS),
    ]
    events[1]["data"]["object"]["payments"]["data"][0]["payment"] = {"type": "charge", "charge": "py_1"}

    for order in permutations(events):
        desk = Desk(open_invoice())
        desk.take(*order)

        assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {
            "py_1": 1000,
            "in_1": 700,
        }


# --- Subscriptions ---------------------------------------------------------------------------------------------


def test_a_subscriptions_session_lends_its_name_to_no_attempt() -> None:
    session: Any = {"session": "cs_1", "payment_intent": None, "invoice": "in_1", **OURS}
    declined = stripe.payment_intent_failed(payment_intent="pi_a", amount=5000, **OURS)
    declined["data"]["object"]["payment_details"] = {"order_reference": "in_1"}
    events = [
        stripe.checkout_session_completed(payment_status="unpaid", amount=5000, **session),
        declined,
        stripe.checkout_session_async_succeeded(amount=5000, **session),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=5000, order="in_1", **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 5000)
        assert {payment.provider_payment_id: payment.status for payment in desk.payments} == {
            "pi_a": PaymentStatus.FAILED,
            "pi_b": PaymentStatus.SUCCEEDED,
        }
        assert desk.log.count(EventType.PAYMENT_SUCCEEDED) == 1


def test_a_subscription_that_two_payments_paid_is_counted_once() -> None:
    session: Any = {"session": "cs_1", "payment_intent": None, "invoice": "in_1", "amount": 5000, **OURS}
    under_way = stripe.payment_intent_processing(payment_intent="pi_a", amount=2000, **OURS)
    under_way["data"]["object"]["payment_details"] = {"order_reference": "in_1"}
    events = [
        stripe.checkout_session_completed(payment_status="unpaid", **session),
        under_way,
        stripe.checkout_session_async_succeeded(**session),
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=2000, order="in_1", **OURS),
        stripe.payment_intent_succeeded(payment_intent="pi_b", amount=3000, order="in_1", **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(total=5000))
        desk.take(*order)

        assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 5000)
        assert {payment.provider_payment_id: payment.amount for payment in desk.payments} == {
            "pi_a": 2000,
            "pi_b": 3000,
        }


def test_the_parts_of_a_whole_that_was_applied_by_hand_stay_where_it_is() -> None:
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice(status=InvoiceStatus.DRAFT, total=3000))
    desk.add_invoice(open_invoice(id=other, total=3000))
    desk.take(stripe.stripe_invoice_paid(invoice="in_1", amount=3000, **OURS))
    desk.apply(desk.payment, other)
    desk.invoice = open_invoice(total=3000)

    desk.take(stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1000, order="in_1", **OURS))

    assert (desk.invoice.amount_paid, desk.invoice_named(other).amount_paid) == (0, 3000)
    assert desk.invoice_named(other).status is InvoiceStatus.PAID


# --- The rest --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "is_replaced"), [(499, False), (500, True), (501, True)])
def test_the_rest_is_replaced_only_once_nothing_is_left_of_it(amount: int, is_replaced: bool) -> None:
    rest = payment(id="pay_2", provider_payment_id="in_1", order_id="in_1", is_whole=True)
    now = payment(order_id="in_1", amount=amount)

    assert StripeInvoice.among([rest], "in_1").replaces_rest([], now) == is_replaced
    assert not StripeInvoice.among([rest], "in_1").replaces_rest([rest], now)


@pytest.mark.parametrize("amounts", [(2000, 1500), (1500, 2000)])
def test_the_largest_whole_that_was_paid_holds_the_others(amounts: tuple[int, int]) -> None:
    desk = Desk(open_invoice(total=2000), [active_link()])

    desk.take(*(stripe.stripe_invoice_paid(invoice="in_1", amount=amount, **OURS) for amount in amounts))

    assert (desk.invoice.amount_paid, desk.payment.amount) == (2000, 2000)


def test_a_whole_that_was_paid_counts_after_an_attempt_that_failed() -> None:
    desk = Desk(open_invoice(total=2000), [active_link()])

    desk.take(
        stripe.stripe_invoice_failed(invoice="in_1", amount=2000, **OURS),
        stripe.stripe_invoice_paid(invoice="in_1", amount=1500, **OURS),
    )

    assert (desk.invoice.amount_paid, desk.payment.status) == (1500, PaymentStatus.SUCCEEDED)


@pytest.mark.parametrize(
    "unfit", [{"currency": "EUR"}, {"status": InvoiceStatus.VOID}], ids=["another currency", "void"]
)
def test_what_was_marked_in_stripe_changes_nothing_of_an_invoice_that_it_does_not_fit(unfit: dict[str, Any]) -> None:
    desk = Desk(open_invoice(total=2000, **unfit), [active_link()])
    marked = stripe.stripe_invoice_paid(invoice="in_1", amount=2000, **OURS)
    marked["data"]["object"] |= {"paid_out_of_band": True, "amount_paid": 0, "amount_remaining": 2000}
    before = desk.invoice

    verdict = desk.take(marked)

    assert (verdict.status, desk.invoice, desk.payments) == (WebhookEventStatus.UNAPPLIED, before, [])


# --- What no event ties together yet ---------------------------------------------------------------------------


def half_of_an_invoice() -> list[stripe.Event]:
    """A payment of 10.00 by a link that has a Stripe invoice made afterwards: only the session names both."""
    return [
        stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1000, order="cs_a", created=1, **OURS),
        stripe.stripe_invoice_paid(invoice="in_a", amount=1000, created=1, **OURS),
        stripe.checkout_session_completed(
            session="cs_a", payment_intent="pi_a", invoice="in_a", amount=1000, created=1, **OURS
        ),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_money_that_two_events_tell_under_different_names_pays_no_invoice_twice(order: tuple[int, ...]) -> None:
    events = half_of_an_invoice()
    desk = Desk(open_invoice())

    verdicts = [desk.take(events[number], is_patient=True) for number in order]
    waiting = [number for number, verdict in zip(order, verdicts, strict=True) if verdict.code is not None]
    desk.take(*(events[number] for number in waiting or order))

    assert {verdict.code for verdict in verdicts} <= {None, Reason.PAYMENT_UNCLEAR}
    assert (desk.invoice.status, desk.invoice.amount_paid, desk.payment.amount) == (InvoiceStatus.OPEN, 1000, 1000)
    assert desk.log.count(EventType.PAYMENT_SUCCEEDED) == 1


def test_a_refund_that_overtakes_its_payment_pays_no_invoice_twice() -> None:
    desk = Desk(open_invoice())
    refunded = stripe.charge_refunded(payment_intent="pi_a", amount=1000, refunded=600, **OURS)
    whole = stripe.stripe_invoice_paid(invoice="in_a", amount=1500, **OURS)
    payment = stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1000, order="in_a", **OURS)

    waited = [desk.take(event, is_patient=True).code for event in (refunded, whole, payment)]
    desk.take(whole)

    assert waited == [None, Reason.PAYMENT_UNCLEAR, None]
    assert (desk.invoice.status, desk.invoice.amount_paid, desk.invoice.amount_refunded) == (
        InvoiceStatus.OPEN,
        1500,
        600,
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_nothing_ties_together_in_time_counts_as_two(order: tuple[int, ...]) -> None:
    events = half_of_an_invoice()
    desk = Desk(open_invoice())

    first, second = (desk.take(events[number], is_patient=True).code for number in order)
    again = desk.take(events[order[1]])

    assert (first, second, again.code) == (None, Reason.PAYMENT_UNCLEAR, None)
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)


def test_a_stripe_invoice_waits_for_one_payment_that_may_be_its_own_though_others_are_not() -> None:
    desk = Desk(open_invoice(total=3000))

    first, second, whole = (
        desk.take(event, is_patient=True).code
        for event in (
            stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1000, order="in_b", **OURS),
            stripe.payment_intent_succeeded(payment_intent="pi_b", amount=1000, **OURS),
            stripe.stripe_invoice_paid(invoice="in_a", amount=1000, **OURS),
        )
    )

    assert (first, second, whole) == (None, None, Reason.PAYMENT_UNCLEAR)


def test_a_stripe_invoice_beside_which_nothing_is_counted_does_not_wait() -> None:
    desk = Desk(open_invoice())

    verdict = desk.take(stripe.stripe_invoice_paid(invoice="in_a", amount=2000, **OURS), is_patient=True)

    assert (verdict.code, desk.invoice.status) == (None, InvoiceStatus.PAID)


def test_what_pays_no_invoice_by_being_counted_does_not_wait() -> None:
    desk = Desk(open_invoice(total=5000))
    paid = Desk(open_invoice(total=1000))

    codes = [each.take(*half_of_an_invoice()[:2], is_patient=True).code for each in (desk, paid)]

    assert codes == [None, None]
    assert (desk.invoice.amount_paid, sum(payment.overpaid for payment in paid.payments)) == (2000, 1000)


@pytest.mark.parametrize(
    ("counted", "paying"),
    [
        (
            stripe.payment_intent_succeeded(payment_intent="pi_a", amount=1500, **OURS),
            stripe.stripe_invoice_paid(invoice="in_a", amount=500, **OURS),
        ),
        (
            stripe.stripe_invoice_paid(invoice="in_a", amount=1000, **OURS),
            stripe.payment_intent_succeeded(payment_intent="pi_b", amount=1000, order="in_b", **OURS),
        ),
        (
            stripe.stripe_invoice_paid(invoice="in_a", amount=500, **OURS),
            stripe.payment_intent_succeeded(payment_intent="pi_b", amount=1500, **OURS),
        ),
        (
            stripe.payment_intent_processing(payment_intent="pi_a", amount=500, **OURS),
            stripe.stripe_invoice_paid(invoice="in_a", amount=2000, **OURS),
        ),
        (
            stripe.payment_intent_succeeded(payment_intent="pi_a", amount=500, **OURS),
            stripe.stripe_invoice_paid(invoice="in_a", amount=1500, payments={"": 1500}, **OURS),
        ),
    ],
    ids=["more than the whole", "another Stripe invoice's", "less than the payment", "under way", "not by Stripe"],
)
def test_money_that_can_not_be_the_same_does_not_wait(counted: stripe.Event, paying: stripe.Event) -> None:
    desk = Desk(open_invoice())

    codes = [desk.take(event, is_patient=True).code for event in (counted, paying)]

    assert codes == [None, None]
    assert desk.invoice.status is InvoiceStatus.PAID
    assert desk.invoice.amount_paid + desk.invoice.amount_paid_out_of_band == 2000
