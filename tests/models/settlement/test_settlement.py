"""What money does to an invoice, line by line of the rule; whole histories are in test_histories."""

from typing import Any

import pytest

from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentStatus,
    WebhookEventStatus,
)
from tests.models.settlement.telling import (
    ORDERS_OF_2,
    ORDERS_OF_3,
    OURS,
    completed,
    failed,
    later_failed,
    later_succeeded,
    paid,
)
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, NOW, Desk, active_link, open_invoice
from tests.world.stripe_payloads import Event


@pytest.mark.parametrize(
    "event",
    [
        paid(created=1_790_000_000),
        completed(created=1_790_000_000),
        later_succeeded(created=1_790_000_000),
        stripe.stripe_invoice_paid(**OURS, created=1_790_000_000),
        stripe.stripe_invoice_paid(**OURS, created=1_790_000_000, payment_intent="pi_a"),
    ],
)
@pytest.mark.parametrize("status", [InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE])
def test_money_that_covers_an_invoice_makes_it_paid(event: Event, status: InvoiceStatus) -> None:
    desk = Desk(open_invoice(status=status))

    verdict = desk.take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert desk.invoice.paid_at == from_epoch(1_790_000_000)
    assert (desk.payment.status, desk.payment.allocation) == (PaymentStatus.SUCCEEDED, Allocation.APPLIED)
    assert (desk.payment.amount, desk.payment.overpaid, desk.payment.currency) == (2000, 0, "USD")
    assert (desk.payment.invoice_id, desk.payment.customer_id) == (INVOICE, CUSTOMER)
    assert verdict.log == (
        (EventType.PAYMENT_SUCCEEDED, None, None),
        (EventType.INVOICE_PAID, status, InvoiceStatus.PAID),
    )


@pytest.mark.parametrize("status", [InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE])
def test_money_that_is_less_leaves_an_invoice_as_it_is(status: InvoiceStatus) -> None:
    desk = Desk(open_invoice(status=status))

    verdict = desk.take(paid(500))

    assert (desk.invoice.status, desk.invoice.amount_paid, desk.invoice.amount_remaining) == (status, 500, 1500)
    assert desk.invoice.paid_at is None
    assert verdict.log == (
        (EventType.PAYMENT_SUCCEEDED, None, None),
        (EventType.INVOICE_PARTIALLY_PAID, status, status),
    )


def test_an_invoice_that_was_partly_paid_by_hand_is_paid_when_the_last_money_came() -> None:
    """Nobody knows when that was, so it is what Stripe says last."""
    desk = Desk(open_invoice(amount_paid_out_of_band=500))

    desk.take(paid(500, "pi_a", created=30), paid(500, "pi_b", created=10), paid(500, "pi_c", created=20))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 1500)
    assert desk.invoice.paid_at == from_epoch(30)


def test_several_payments_cover_an_invoice_together() -> None:
    desk = Desk(open_invoice())

    desk.take(paid(500, "pi_a", created=30), paid(1000, "pi_b", created=10), paid(500, "pi_c", created=20))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert desk.invoice.paid_at == from_epoch(30)
    assert [payment.overpaid for payment in desk.payments] == [0, 0, 0]
    assert desk.log.count(EventType.INVOICE_PARTIALLY_PAID) == 2
    assert desk.log.count(EventType.INVOICE_PAID) == 1


def test_money_that_is_more_stands_as_excess_on_the_payment() -> None:
    desk = Desk(open_invoice())

    desk.take(paid(2300))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2300)
    assert (desk.payment.allocation, desk.payment.overpaid) == (Allocation.APPLIED, 300)


@pytest.mark.parametrize("order", ORDERS_OF_3)
def test_the_excess_stands_on_the_payments_that_were_later_at_stripe(order: tuple[int, ...]) -> None:
    desk = Desk(open_invoice())
    events = [paid(1500, "pi_a", created=10), paid(800, "pi_b", created=20), paid(2000, "pi_c", created=30)]

    desk.take(*(events[position] for position in order))

    assert desk.invoice.paid_at == from_epoch(20)
    assert {payment.provider_payment_id: payment.overpaid for payment in desk.payments} == {
        "pi_a": 0,
        "pi_b": 300,
        "pi_c": 2000,
    }


def test_money_for_a_paid_invoice_is_applied_as_excess() -> None:
    desk = Desk(open_invoice())
    desk.take(paid(2000, "pi_a", created=10))

    verdict = desk.take(paid(2000, "pi_b", created=20))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert verdict.log == ((EventType.PAYMENT_SUCCEEDED, None, None),)
    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 4000)
    assert [(payment.allocation, payment.overpaid) for payment in desk.payments] == [
        (Allocation.APPLIED, 0),
        (Allocation.APPLIED, 2000),
    ]


def test_money_for_an_invoice_marked_paid_is_excess_and_keeps_its_date() -> None:
    desk = Desk(open_invoice(status=InvoiceStatus.PAID, amount_paid_out_of_band=2000, paid_at=NOW))

    desk.take(paid(700))

    assert (desk.invoice.status, desk.invoice.amount_paid, desk.invoice.paid_at) == (InvoiceStatus.PAID, 700, NOW)
    assert desk.payment.overpaid == 700


def test_money_for_an_invoice_over_nothing_is_excess() -> None:
    desk = Desk(open_invoice(status=InvoiceStatus.PAID, total=0, paid_at=NOW))

    desk.take(paid(700))

    assert (desk.invoice.amount_paid, desk.invoice.paid_at, desk.payment.overpaid) == (700, NOW, 700)


@pytest.mark.parametrize(
    ("invoice", "event", "code"),
    [
        (open_invoice(), paid(currency="eur"), "CURRENCY_MISMATCH"),
        (open_invoice(currency="JPY", total=800), paid(800, currency="usd"), "CURRENCY_MISMATCH"),
        (open_invoice(status=InvoiceStatus.VOID), paid(), "INVOICE_VOID"),
        (open_invoice(status=InvoiceStatus.DRAFT), paid(), "INVOICE_DRAFT"),
        (None, paid(), "INVOICE_NOT_FOUND"),
        (open_invoice(), paid(invoice_id=new_id(Prefix.INVOICE)), "INVOICE_NOT_FOUND"),
        (open_invoice(), paid(livemode=True), "LIVEMODE_MISMATCH"),
    ],
)
def test_money_that_fits_no_invoice_is_kept_unapplied(invoice: Any, event: Event, code: str) -> None:
    links = [active_link(amount=invoice.total)] if invoice and invoice.status is InvoiceStatus.OPEN else []
    desk = Desk(invoice, links)

    verdict = desk.take(event)

    assert (verdict.status, verdict.code) == (WebhookEventStatus.UNAPPLIED, code)
    assert verdict.payment_id == desk.payment.id
    assert verdict.log == ((EventType.PAYMENT_UNAPPLIED, None, None),)
    assert verdict.invoice is None
    assert verdict.links == ()
    assert (desk.payment.status, desk.payment.allocation) == (PaymentStatus.SUCCEEDED, Allocation.UNAPPLIED)
    assert (desk.payment.unapplied_code, desk.payment.overpaid) == (code, 0)
    assert desk.payment.amount == event["data"]["object"]["amount"]


@pytest.mark.parametrize(
    ("mode", "livemode", "status"),
    [
        (Mode.TEST, False, WebhookEventStatus.PROCESSED),
        (Mode.TEST, True, WebhookEventStatus.UNAPPLIED),
        (Mode.LIVE, True, WebhookEventStatus.PROCESSED),
        (Mode.LIVE, False, WebhookEventStatus.UNAPPLIED),
    ],
)
def test_money_counts_in_its_own_mode_only(mode: Mode, livemode: bool, status: WebhookEventStatus) -> None:
    desk = Desk(open_invoice(), mode=mode)

    assert desk.take(paid(livemode=livemode)).status is status


@pytest.mark.parametrize(
    ("invoice", "told", "code"),
    [
        (open_invoice(), {"currency": "eur"}, "CURRENCY_MISMATCH"),
        (open_invoice(status=InvoiceStatus.VOID), {}, "INVOICE_VOID"),
        (open_invoice(status=InvoiceStatus.DRAFT), {}, "INVOICE_DRAFT"),
        (None, {}, "INVOICE_NOT_FOUND"),
        (open_invoice(), {"livemode": True}, "LIVEMODE_MISMATCH"),
    ],
)
@pytest.mark.parametrize("make", [failed, later_failed, lambda **told: completed("unpaid", **told)])
def test_what_is_no_money_and_fits_no_invoice_is_ignored(make: Any, invoice: Any, told: Any, code: str) -> None:
    desk = Desk(invoice, [active_link()])

    verdict = desk.take(make(**told))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.IGNORED, code)
    assert not desk.payments
    assert not desk.log


def test_money_that_came_too_early_is_applied_by_the_payments_next_event() -> None:
    desk = Desk(open_invoice(status=InvoiceStatus.DRAFT))
    desk.take(paid())
    desk.invoice = open_invoice()

    verdict = desk.take(completed())

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert verdict.log == (
        (EventType.PAYMENT_APPLIED, None, None),
        (EventType.INVOICE_PAID, InvoiceStatus.OPEN, InvoiceStatus.PAID),
    )
    assert (desk.payment.allocation, desk.payment.unapplied_code) == (Allocation.APPLIED, None)


@pytest.mark.parametrize("order", ORDERS_OF_2)
@pytest.mark.parametrize(
    ("status", "code"), [(InvoiceStatus.DRAFT, "INVOICE_DRAFT"), (InvoiceStatus.VOID, "INVOICE_VOID")]
)
def test_why_money_fits_no_invoice_is_said_of_the_currency_that_decides(
    status: InvoiceStatus, code: str, order: tuple[int, ...]
) -> None:
    desk = Desk(open_invoice(status=status))
    events = [paid(), completed(amount=1850, currency="eur")]

    desk.take(*(events[position] for position in order))

    assert (desk.payment.currency, desk.payment.unapplied_code) == ("USD", code)


def test_money_that_is_applied_by_hand_is_added_to_what_its_invoice_has() -> None:
    other = new_id(Prefix.INVOICE)
    desk = Desk(open_invoice())
    desk.take(paid(500, "pi_a"), paid(1500, "pi_b", invoice_id=other))

    desk.apply(next(payment for payment in desk.payments if not payment.counts), INVOICE)

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 2000)


@pytest.mark.parametrize(
    "clear", [paid(), completed(invoice_id=None, workspace_id=None)], ids=["by its metadata", "by its link"]
)
def test_money_whose_metadata_was_not_its_links_is_applied_once_an_event_is_clear(clear: Event) -> None:
    desk = Desk(open_invoice(), [active_link()])
    unclear = desk.take(completed(workspace_id="acme"))

    verdict = desk.take(clear)

    assert (unclear.code, verdict.code) == ("METADATA_MISMATCH", None)
    assert (desk.payment.allocation, desk.invoice.status) == (Allocation.APPLIED, InvoiceStatus.PAID)


def test_money_that_was_applied_stays_so_when_the_invoice_is_void() -> None:
    desk = Desk(open_invoice())
    desk.take(paid(500))
    desk.invoice = desk.invoice._replace(status=InvoiceStatus.VOID)

    verdict = desk.take(completed(amount=500))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.PROCESSED, None)
    assert (desk.payment.allocation, desk.invoice.amount_paid) == (Allocation.APPLIED, 500)
    assert desk.invoice.status is InvoiceStatus.VOID


def test_the_last_and_largest_amount_is_counted_exactly() -> None:
    desk = Desk(open_invoice(total=10**15))

    desk.take(paid(10**15 - 1, "pi_a"), paid(1, "pi_b"))

    assert (desk.invoice.status, desk.invoice.amount_paid) == (InvoiceStatus.PAID, 10**15)
