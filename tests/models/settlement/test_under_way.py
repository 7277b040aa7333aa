"""Money that fails or is under way: Stripe's clock decides between the two, and success is final."""

from typing import Any

import pytest

from models.instant import from_epoch
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from tests.models.settlement.telling import (
    ORDERS_OF_2,
    ORDERS_OF_3,
    OURS,
    canceled,
    completed,
    failed,
    later_failed,
    later_succeeded,
    paid,
    processing,
)
from tests.world import stripe_payloads as stripe
from tests.world.desk import INVOICE, Desk, active_link, open_invoice
from tests.world.stripe_payloads import Event

# --- Attempts that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [failed(), later_failed(), stripe.stripe_invoice_failed(**OURS)])
def test_a_failed_attempt_is_recorded_and_changes_no_invoice(event: Event) -> None:
    desk = Desk(open_invoice())

    verdict = desk.take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert verdict.invoice is None
    assert verdict.log == ((EventType.PAYMENT_FAILED, None, None),)
    assert (desk.payment.status, desk.payment.invoice_id) == (PaymentStatus.FAILED, INVOICE)


def test_a_failed_attempt_tells_stripes_code_and_message() -> None:
    desk = Desk(open_invoice())

    desk.take(failed())

    assert desk.payment.failure_code == "insufficient_funds"
    assert desk.payment.failure_message == "Your card has insufficient funds."


@pytest.mark.parametrize("order", ORDERS_OF_2)
@pytest.mark.parametrize("success", [paid, completed, later_succeeded])
def test_money_counts_whether_the_failure_comes_before_it_or_after(success: Any, order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice())
    events = [failed(created=20), success(created=10)]

    desk.take(*(events[position] for position in order))

    assert (desk.payment.status, desk.payment.occurred_at) == (PaymentStatus.SUCCEEDED, from_epoch(10))
    assert (desk.payment.failure_code, desk.payment.failure_message) == (None, None)
    assert desk.invoice.status is InvoiceStatus.PAID


def failures(first: dict[str, Any], second: dict[str, Any]) -> list[Event]:
    """Two attempts of one payment that failed."""
    return [
        failed(error={"code": "first", "message": "First."}, amount=1000, **first),
        failed(error={"code": "second", "message": "Second."}, amount=2000, **second),
    ]


@pytest.mark.parametrize("order", ORDERS_OF_2)
@pytest.mark.parametrize(
    "events",
    [
        failures({"created": 9}, {"created": 10}),
        failures({"created": 10, "event_id": "evt_a"}, {"created": 10, "event_id": "evt_b"}),
        failures({"created": 9, "event_id": "evt_b"}, {"created": 10, "event_id": "evt_a"}),
    ],
    ids=["by the clock", "by the id in a tie", "by the clock before the id"],
)
def test_of_two_failures_the_later_at_stripe_counts(events: list[Event], order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice())

    desk.take(*(events[position] for position in order))

    assert (desk.payment.failure_code, desk.payment.failure_message) == ("second", "Second.")
    assert (desk.payment.amount, desk.payment.occurred_at) == (2000, from_epoch(10))


# --- Money under way -------------------------------------------------------------------------------------------


def test_money_under_way_is_not_money_yet() -> None:
    desk = Desk(open_invoice())

    verdict = desk.take(completed("unpaid"))

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert verdict.log == ((EventType.PAYMENT_PENDING, None, None),)
    assert desk.payment.status is PaymentStatus.PENDING
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.OPEN, 0)


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_money_under_way_comes(order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [completed("unpaid", created=10), later_succeeded(created=20), paid(created=20)]

    desk.take(*(events[position] for position in order))

    assert (desk.payment.status, desk.payment.occurred_at) == (PaymentStatus.SUCCEEDED, from_epoch(20))
    assert desk.invoice.status is InvoiceStatus.PAID
    assert [link.status for link in desk.links] == [PaymentLinkStatus.COMPLETED]
    assert desk.log.count(EventType.INVOICE_PAID) == desk.log.count(EventType.PAYMENT_SUCCEEDED) == 1


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_money_under_way_fails_and_a_new_link_asks_for_it(order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [completed("unpaid", created=10), later_failed(created=21), failed(created=20)]

    desk.take(*(events[position] for position in order))

    assert (desk.payment.status, desk.payment.failure_code) == (PaymentStatus.FAILED, "async_payment_failed")
    assert desk.invoice.status is InvoiceStatus.OPEN
    assert [link.status for link in desk.links] == [PaymentLinkStatus.COMPLETED, PaymentLinkStatus.PENDING]
    assert desk.links[-1].amount == 2000


def test_money_under_way_that_fails_after_the_invoice_was_voided_is_not_under_way_for_ever() -> None:
    desk = Desk(open_invoice())
    desk.take(completed("unpaid"))
    desk.invoice = desk.invoice._replace(status=InvoiceStatus.VOID)

    verdict = desk.take(later_failed())

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert (desk.payment.status, desk.payment.unapplied_code) == (PaymentStatus.FAILED, None)
    assert desk.log[-1] is EventType.PAYMENT_FAILED


def test_money_under_way_that_comes_after_the_invoice_was_voided_is_unapplied() -> None:
    desk = Desk(open_invoice())
    desk.take(completed("unpaid"))
    desk.invoice = desk.invoice._replace(status=InvoiceStatus.VOID)

    verdict = desk.take(later_succeeded())

    assert (verdict.status, verdict.code) == (WebhookEventStatus.UNAPPLIED, "INVOICE_VOID")
    assert (desk.payment.status, desk.payment.allocation) == (PaymentStatus.SUCCEEDED, Allocation.UNAPPLIED)
    assert desk.invoice.amount_paid == 0


def test_a_late_failure_of_unapplied_money_changes_nothing() -> None:
    desk = Desk(open_invoice(status=InvoiceStatus.VOID))
    desk.take(paid())

    verdict = desk.take(failed())

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert (desk.payment.status, desk.payment.unapplied_code) == (PaymentStatus.SUCCEEDED, "INVOICE_VOID")


def test_a_session_that_needed_no_payment_is_paid_with_nothing() -> None:
    desk = Desk(open_invoice(), [active_link()])

    verdict = desk.take(completed("no_payment_required", payment_intent=None, session="cs_a"))

    assert verdict.status is WebhookEventStatus.PROCESSED
    assert (desk.payment.status, desk.payment.amount) == (PaymentStatus.SUCCEEDED, 0)
    assert (desk.payment.provider_payment_id, desk.invoice.amount_paid) == ("cs_a", 0)
    assert desk.invoice.status is InvoiceStatus.OPEN


# --- Under way or failed: Stripe's clock decides ------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS_OF_2)
@pytest.mark.parametrize("under_way", [completed("unpaid", created=20), processing(created=20)])
def test_a_debit_after_a_declined_card_is_under_way_and_leaves_no_live_link(
    under_way: Event, order: tuple[int, int]
) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [failed(created=10), under_way]

    desk.take(*(events[index] for index in order))

    assert (desk.payment.status, desk.payment.failure_code) == (PaymentStatus.PENDING, None)
    assert not desk.live_links


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_a_canceled_debit_leaves_the_invoice_payable_again(order: tuple[int, int, int]) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [processing(created=10), completed("unpaid", created=11), canceled(created=20, reason="abandoned")]

    desk.take(*(events[index] for index in order))

    assert (desk.payment.status, desk.payment.failure_code) == (PaymentStatus.FAILED, "canceled")
    assert "abandoned" in (desk.payment.failure_message or "")
    assert [link.amount for link in desk.live_links] == [2000]


@pytest.mark.parametrize("order", ORDERS_OF_2)
@pytest.mark.parametrize(
    ("cause", "consequence", "status"),
    [
        (failed(created=5, event_id="evt_z"), completed("unpaid", created=5, event_id="evt_a"), PaymentStatus.PENDING),
        (failed(created=5, event_id="evt_z"), processing(created=5, event_id="evt_a"), PaymentStatus.PENDING),
        (processing(created=5, event_id="evt_z"), later_failed(created=5, event_id="evt_a"), PaymentStatus.FAILED),
        (processing(created=5, event_id="evt_z"), canceled(created=5, event_id="evt_a"), PaymentStatus.FAILED),
    ],
)
def test_within_one_second_the_consequence_is_later_than_its_cause(
    cause: Event, consequence: Event, status: PaymentStatus, order: tuple[int, int]
) -> None:
    desk = Desk(open_invoice(), [active_link()])
    events = [cause, consequence]

    desk.take(*(events[index] for index in order))

    assert desk.payment.status is status


@pytest.mark.parametrize("later", [failed(created=99), canceled(created=99), processing(created=99)])
def test_success_is_final(later: Event) -> None:
    desk = Desk(open_invoice(), [active_link()])

    desk.take(paid(created=10), later)

    assert (desk.payment.status, desk.invoice.status) == (PaymentStatus.SUCCEEDED, InvoiceStatus.PAID)
