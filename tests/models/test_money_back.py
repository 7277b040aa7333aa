"""Refunds and disputes live on the payment: the latest by Stripe's clock wins, whatever the order of arrival."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any, Final

import pytest

from gateways.stripe.events import read
from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.kinds import Allocation, EventType, InvoiceStatus, PaymentStatus, WebhookEventStatus
from models.payment import PaymentState
from models.payment_fact import UnreadableError
from models.settlement import Ledger, allocate
from tests.world import stripe_payloads as stripe
from tests.world.desk import INVOICE, WORKSPACE, Desk, active_link, open_invoice

PAID_AT: Final = 1_700_000_000
OURS: Final[Any] = {"invoice_id": INVOICE, "workspace_id": WORKSPACE}


def paid(**told: Any) -> stripe.Event:
    """The payment that covers the invoice."""
    return stripe.payment_intent_succeeded(**({"payment_intent": "pi_a", "created": PAID_AT} | OURS | told))


def refunded(amount: int, at: int) -> stripe.Event:
    """So much was refunded in all."""
    return stripe.charge_refunded(payment_intent="pi_a", charge="ch_a", refunded=amount, created=PAID_AT + at, **OURS)


def failed(refund: str, amount: int, at: int) -> stripe.Event:
    """A refund came back."""
    return stripe.refund_failed(payment_intent="pi_a", refund=refund, amount=amount, created=PAID_AT + at)


def disputed(status: str, at: int) -> stripe.Event:
    """A dispute by its status."""
    return stripe.dispute(
        payment_intent="pi_a", dispute="dp_a", status=status, opened=PAID_AT + 5, created=PAID_AT + at
    )


def settled(events: Sequence[stripe.Event]) -> tuple[Desk, PaymentState]:
    """The books after events, of which what waits for its payment is tried again at the end."""
    desk = Desk(open_invoice(), [active_link()])
    waiting = [event for event in events if desk.take(event).code == "PAYMENT_UNKNOWN"]
    for event in waiting:
        desk.take(event)
    return desk, desk.payment


def test_a_refund_lives_on_the_payment_and_paid_stays_paid() -> None:
    desk, payment = settled([paid(), refunded(500, 10)])

    assert (payment.refunds.amount, payment.status, payment.allocation) == (
        500,
        PaymentStatus.SUCCEEDED,
        Allocation.APPLIED,
    )
    assert (desk.invoice.status, desk.invoice.amount_paid, desk.invoice.amount_refunded) == (
        InvoiceStatus.PAID,
        2000,
        500,
    )
    assert desk.log[-1] is EventType.PAYMENT_REFUNDED


def test_a_refund_alone_proves_its_payment() -> None:
    desk, payment = settled([refunded(2000, 10)])

    assert (payment.status, payment.amount, payment.refunds.amount) == (PaymentStatus.SUCCEEDED, 2000, 2000)
    assert desk.invoice.status is InvoiceStatus.PAID
    assert EventType.PAYMENT_REFUNDED in desk.log


@pytest.mark.parametrize(
    ("events", "amount"),
    [
        ([paid(), refunded(500, 10), refunded(1500, 20)], 1500),
        ([paid(), refunded(500, 10), failed("re_a", 500, 20)], 0),
        ([paid(), refunded(1500, 10), failed("re_a", 500, 20), failed("re_a", 500, 21)], 1000),
        ([paid(), refunded(500, 10), failed("re_a", 500, 20), refunded(700, 30)], 700),
        ([paid(), refunded(1500, 10), failed("re_a", 500, 20), failed("re_b", 300, 25)], 700),
    ],
    ids=["twice", "came back", "came back, told twice", "refunded again", "two came back"],
)
def test_what_is_refunded_is_the_same_in_every_order(events: list[stripe.Event], amount: int) -> None:
    ends = set()

    for order in permutations(events):
        desk, payment = settled([*order, *order])
        ends.add((payment.refunds.amount, payment.occurred_at, desk.invoice.amount_refunded, desk.invoice.status))

    assert {(refunds, total, status) for refunds, _, total, status in ends} == {(amount, amount, InvoiceStatus.PAID)}
    assert len(ends) == 1


def test_a_dispute_is_the_same_in_every_order() -> None:
    events = [paid(), disputed("needs_response", 10), disputed("lost", 20), refunded(100, 15)]

    ends = {settled([*order, *order])[1]._replace(id="", decided_by="") for order in permutations(events)}

    (payment,) = ends
    assert payment.dispute is not None
    assert (payment.dispute.status, payment.dispute.reason, payment.dispute.amount) == ("lost", "fraudulent", 2000)
    assert payment.dispute.closed_at is not None
    assert payment.status is PaymentStatus.SUCCEEDED


def test_what_is_told_of_a_dispute_is_logged() -> None:
    desk, _ = settled([paid(), disputed("needs_response", 10), disputed("won", 20)])

    assert desk.log[-2:] == [EventType.PAYMENT_DISPUTED, EventType.PAYMENT_DISPUTE_CLOSED]
    assert desk.invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize("event", [disputed("lost", 1), failed("re_a", 5, 1)], ids=["dispute", "refund"])
def test_what_is_about_an_unknown_payment_waits_for_it(event: stripe.Event) -> None:
    verdict = Desk(open_invoice()).take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, "PAYMENT_UNKNOWN")
    assert verdict.payments == ()


def test_a_failed_refund_is_logged_once() -> None:
    desk, _ = settled([paid(), refunded(500, 10), failed("re_a", 500, 20), failed("re_a", 500, 20)])

    assert desk.log.count(EventType.PAYMENT_REFUND_FAILED) == 1


OLD: Final[Any] = {"shape": stripe.OLD}


@pytest.mark.parametrize("capture", [{"captured": False, "amount_captured": None}, {"amount_captured": 0}])
def test_a_released_authorisation_is_no_payment_and_no_refund(capture: dict[str, Any]) -> None:
    """API versions before basil tell of it as a refund of all that was held."""
    released = stripe.charge_refunded(payment_intent="pi_a", amount=2000, refunded=2000, **OURS, **OLD)
    released["data"]["object"] |= capture
    desk = Desk(open_invoice())

    verdict = desk.take(released)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, "NOTHING_PAID")
    assert (desk.payments, desk.invoice) == ([], open_invoice())


@pytest.mark.parametrize(
    ("shape", "told", "refunded"),
    [(stripe.OLD, 30_000, 0), (stripe.OLD, 35_000, 5000), (stripe.NEW, 5000, 5000), (stripe.NEW, 30_000, 0)],
)
def test_what_was_never_captured_was_not_refunded(shape: stripe.Shape, told: int, refunded: int) -> None:
    event = stripe.charge_refunded(payment_intent="pi_a", amount=50_000, refunded=told, shape=shape, **OURS)
    event["data"]["object"] |= {"captured": True, "amount_captured": 20_000}
    desk = Desk(open_invoice(total=20_000))

    desk.take(event)

    assert (desk.payment.amount, desk.payment.refunds.amount) == (20_000, refunded)


def test_a_charge_that_does_not_say_what_was_captured_proves_nothing() -> None:
    event = stripe.charge_refunded(payment_intent="pi_a", **OURS)
    del event["data"]["object"]["amount_captured"]

    with pytest.raises(UnreadableError, match="amount_captured"):
        read(stripe.body(event))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_refund_never_moves_when_the_money_came(order: tuple[int, int, int]) -> None:
    """A charge begins when a debit does, days before it is paid."""
    events = [
        paid(created=500),
        stripe.charge_refunded(payment_intent="pi_a", refunded=10, paid_at=100, created=600, **OURS),
        stripe.charge_refunded(payment_intent="pi_a", refunded=20, paid_at=90, created=700, **OURS),
    ]
    desk = Desk(open_invoice())

    desk.take(*(events[index] for index in order))

    assert desk.payment.occurred_at == desk.invoice.paid_at == from_epoch(500)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("cause", "consequence", "refunds"),
    [
        (
            stripe.charge_refunded(payment_intent="pi_a", refunded=100, created=5, event_id="evt_z", **OURS),
            stripe.charge_refunded(payment_intent="pi_a", refunded=300, created=5, event_id="evt_a", **OURS),
            300,
        ),
        (
            stripe.charge_refunded(payment_intent="pi_a", refunded=300, created=5, event_id="evt_z", **OURS),
            stripe.refund_failed(payment_intent="pi_a", amount=300, created=5, event_id="evt_a"),
            0,
        ),
    ],
)
def test_within_one_second_money_going_back_is_ordered_by_what_is_told(
    cause: stripe.Event, consequence: stripe.Event, refunds: int, *, swapped: bool
) -> None:
    desk = Desk(open_invoice())
    desk.take(paid(created=1))

    desk.take(*((consequence, cause) if swapped else (cause, consequence)))

    assert desk.payment.refunds.amount == refunds


@pytest.mark.parametrize("swapped", [False, True])
def test_within_one_second_a_disputes_end_is_later_than_its_beginning(*, swapped: bool) -> None:
    told: Any = {"payment_intent": "pi_a", "dispute": "dp_a", "created": 5, "opened": 5}
    events: list[stripe.Event] = [
        stripe.dispute(status="needs_response", event_id="evt_z", **told),
        stripe.dispute(status="won", event_id="evt_a", **told),
    ]
    desk = Desk(open_invoice())
    desk.take(paid(created=1))

    desk.take(*(reversed(events) if swapped else events))

    assert desk.payment.dispute is not None
    assert desk.payment.dispute.status == "won"


FOREIGN: Final[Any] = {"invoice_id": "order_77", "workspace_id": "acme"}


@pytest.mark.parametrize("told", [FOREIGN, {}, OURS, {"invoice_id": new_id(Prefix.INVOICE)}])
def test_a_refund_is_known_by_its_payment_whatever_its_metadata_says(told: Any) -> None:
    """Money by our own link is ours, also when another system wrote over the metadata of its charge."""
    session = stripe.checkout_session_completed(payment_intent="pi_a", payment_link="plink_a", **FOREIGN)
    desk = Desk(open_invoice(), [active_link()])
    desk.take(session)
    assert desk.payment.unapplied_code == "METADATA_MISMATCH"

    desk.take(stripe.charge_refunded(payment_intent="pi_a", refunded=2000, **told))

    assert desk.payment.refunds.amount == 2000


@pytest.mark.parametrize("told", [FOREIGN, {}])
def test_a_refund_with_anothers_metadata_waits_for_its_payment(told: Any) -> None:
    desk = Desk(open_invoice(), [active_link()])
    refund = stripe.charge_refunded(payment_intent="pi_a", refunded=500, **told)

    overtaking = desk.take(refund)
    desk.take(paid())
    desk.take(refund)

    assert (overtaking.status, overtaking.code) == (WebhookEventStatus.IGNORED, "PAYMENT_UNKNOWN")
    assert desk.payment.refunds.amount == 500


@pytest.mark.parametrize("told", [FOREIGN, {}])
def test_a_refund_of_money_that_was_applied_by_hand_counts(told: Any) -> None:
    desk = Desk(open_invoice(), [active_link()])
    desk.take(stripe.checkout_session_completed(payment_intent="pi_a", payment_link="plink_a", **FOREIGN))
    applied = allocate(desk.payment, Ledger(desk.invoice, [], desk.links), new_id(Prefix.PAYMENT_LINK))
    desk.enter(applied)

    verdict = desk.take(stripe.charge_refunded(payment_intent="pi_a", refunded=700, **told))

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert desk.invoice.amount_refunded == 700


@pytest.mark.parametrize("swapped", [False, True])
def test_amounts_of_two_currencies_are_never_compared(*, swapped: bool) -> None:
    events = [paid(amount=15_400, currency="jpy"), paid(amount=2000, currency="usd")]
    desk = Desk(open_invoice())

    desk.take(*(reversed(events) if swapped else events))

    assert (desk.payment.amount, desk.payment.currency, desk.payment.unapplied_code) == (2000, "USD", None)
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)


@pytest.mark.parametrize("swapped", [False, True])
def test_money_in_currencies_that_are_not_the_invoices_stays_unapplied(*, swapped: bool) -> None:
    events = [paid(amount=15_400, currency="jpy"), paid(amount=900, currency="eur")]
    desk = Desk(open_invoice())

    desk.take(*(reversed(events) if swapped else events))

    assert (desk.payment.amount, desk.payment.currency) == (900, "EUR")
    assert desk.payment.unapplied_code == "CURRENCY_MISMATCH"
    assert desk.invoice == open_invoice()


def test_a_refund_in_another_currency_is_left_to_a_person() -> None:
    desk = Desk(open_invoice())
    desk.take(paid())

    verdict = desk.take(stripe.charge_refunded(payment_intent="pi_a", amount=15_400, refunded=15_400, currency="jpy"))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.UNAPPLIED, "CURRENCY_MISMATCH")
    assert (desk.payment.amount, desk.payment.refunds.amount) == (2000, 0)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_winning_one_of_two_disputes_leaves_the_other_open(order: tuple[int, int, int]) -> None:
    told: Any = {"payment_intent": "pi_a", "opened": 5}
    events = [
        stripe.dispute(status="needs_response", dispute="dp_a", created=5, **told),
        stripe.dispute(status="needs_response", dispute="dp_b", created=6, **told),
        stripe.dispute(status="won", dispute="dp_a", created=7, **told),
    ]
    desk = Desk(open_invoice())
    desk.take(paid(created=1))

    desk.take(*(events[index] for index in order))

    assert {(dispute.id, dispute.status) for dispute in desk.payment.disputes} == {
        ("dp_a", "won"),
        ("dp_b", "needs_response"),
    }
    assert desk.payment.dispute is not None
    assert (desk.payment.dispute.id, desk.payment.dispute.closed_at) == ("dp_b", None)


TOTAL: Final = stripe.charge_refunded(payment_intent="pi_a", refunded=300, created=10, **OURS)
FIRST: Final = stripe.refund(payment_intent="pi_a", refund="re_a", amount=300, refunded_at=10, created=10)
AGAIN: Final = stripe.refund(
    "refund.updated", payment_intent="pi_a", refund="re_a", amount=300, refunded_at=10, created=11
)
SECOND: Final = stripe.refund(payment_intent="pi_a", refund="re_b", amount=200, refunded_at=20, created=20)
CANCELED: Final = stripe.refund(
    "refund.updated", payment_intent="pi_a", refund="re_a", amount=300, status="canceled", refunded_at=10, created=30
)


@pytest.mark.parametrize(
    ("events", "amount", "logged"),
    [
        ([FIRST], 300, 1),
        ([TOTAL, FIRST, AGAIN], 300, 1),
        ([TOTAL, SECOND], 500, 2),
        ([FIRST, SECOND], 500, 2),
        ([TOTAL, FIRST, SECOND], 500, 2),
    ],
)
def test_each_refund_counts_once_whichever_events_an_account_chose(
    events: list[stripe.Event], amount: int, logged: int
) -> None:
    for order in permutations(events):
        desk = Desk(open_invoice())
        desk.take(paid(created=1), *order, *order)

        assert desk.payment.refunds.amount == amount
        assert desk.log.count(EventType.PAYMENT_REFUNDED) == logged


@pytest.mark.parametrize("events", [[FIRST, CANCELED], [TOTAL, CANCELED], [TOTAL, FIRST, CANCELED]])
def test_a_canceled_refund_is_not_refunded(events: list[stripe.Event]) -> None:
    for order in permutations(events):
        desk = Desk(open_invoice())

        desk.take(paid(created=1), *order)

        assert desk.payment.refunds.amount == 0


@pytest.mark.parametrize("swapped", [False, True])
def test_no_more_goes_back_than_came(*, swapped: bool) -> None:
    events = [paid(), stripe.refund(payment_intent="pi_a", refund="re_a", amount=2500)]
    desk = Desk(open_invoice())

    waiting = [event for event in (reversed(events) if swapped else events) if desk.take(event).code]
    desk.take(*waiting or events)

    assert (desk.payment.amount_refunded, desk.invoice.amount_refunded) == (2000, 2000)
