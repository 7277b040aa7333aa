"""What a Stripe event does to the books, line by line of the rule; whole histories are in test_settlement_histories."""

from itertools import permutations
from typing import Any, Final

import pytest

from models.diagnosis import diagnose
from models.ids import Prefix, new_id
from models.instant import from_epoch
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from models.reason import Reason
from models.settlement import Verdict, settle
from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, NOW, WORKSPACE, Desk, active_link, open_invoice, payment
from tests.world.stripe_payloads import Event

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}
"""The metadata of the links that we make."""

ORDERS_OF_2: Final = list(permutations(range(2)))
ORDERS_OF_3: Final = list(permutations(range(3)))


def paid(amount: int = 2000, payment_intent: str = "pi_a", **told: Any) -> Event:
    """Money came for the invoice."""
    return stripe.payment_intent_succeeded(**(OURS | {"amount": amount, "payment_intent": payment_intent} | told))


def failed(payment_intent: str = "pi_a", **told: Any) -> Event:
    """Money did not come for the invoice."""
    return stripe.payment_intent_failed(**(OURS | {"payment_intent": payment_intent} | told))


def completed(payment_status: str = "paid", payment_intent: str | None = "pi_a", **told: Any) -> Event:
    """The customer is through with our link."""
    standard = {"payment_status": payment_status, "payment_intent": payment_intent, "payment_link": "plink_a"}
    return stripe.checkout_session_completed(**(OURS | standard | told))


def trial() -> Event:
    """A customer subscribed, and pays nothing yet."""
    event = completed("no_payment_required", None, invoice="in_a", amount=0)
    event["data"]["object"] |= {"mode": "subscription", "subscription": "sub_a"}
    return event


def later_succeeded(**told: Any) -> Event:
    """A bank debit through our link came."""
    return stripe.checkout_session_async_succeeded(
        **(OURS | {"payment_intent": "pi_a", "payment_link": "plink_a"} | told)
    )


def later_failed(**told: Any) -> Event:
    """A bank debit through our link did not come."""
    return stripe.checkout_session_async_failed(**(OURS | {"payment_intent": "pi_a", "payment_link": "plink_a"} | told))


# --- Money for an invoice --------------------------------------------------------------------------------------


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


# --- Whose it is -----------------------------------------------------------------------------------------------


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


# --- Links -----------------------------------------------------------------------------------------------------


def test_the_link_through_which_an_invoice_was_paid_is_completed() -> None:
    desk = Desk(open_invoice(), [active_link()])

    verdict = desk.take(completed())

    assert [link.status for link in desk.links] == [PaymentLinkStatus.COMPLETED]
    assert EventType.PAYMENT_LINK_DEACTIVATED not in {entry.type for entry in verdict.log}


def test_an_active_link_is_completed_and_stopped_at_stripe_when_its_invoice_is_paid() -> None:
    """Mostly it is how the invoice was paid, and the event that says so comes next."""
    desk = Desk(open_invoice(), [active_link()])

    desk.take(paid())

    assert [(link.status, link.stop) for link in desk.links] == [(PaymentLinkStatus.COMPLETED, True)]
    assert EventType.PAYMENT_LINK_DEACTIVATED not in desk.log


@pytest.mark.parametrize("status", [PaymentLinkStatus.PENDING, PaymentLinkStatus.FAILED])
def test_a_link_that_was_not_made_yet_is_deactivated_when_its_invoice_is_paid(status: PaymentLinkStatus) -> None:
    desk = Desk(open_invoice(), [active_link(status=status, provider_id=None)])

    desk.take(paid())

    assert [link.status for link in desk.links] == [PaymentLinkStatus.DEACTIVATED]
    assert desk.log[-1] is EventType.PAYMENT_LINK_DEACTIVATED


@pytest.mark.parametrize("events", [[completed(amount=500)], [paid(500)], [paid(500), completed(amount=500)]])
def test_after_less_money_a_new_link_asks_for_the_rest(events: list[Event]) -> None:
    desk = Desk(open_invoice(), [active_link()])

    desk.take(*events)

    assert [(link.status, link.amount) for link in desk.live_links] == [(PaymentLinkStatus.PENDING, 1500)]
    assert len(desk.links) == 2


def test_money_in_another_currency_spends_the_link_and_a_new_one_asks_for_all() -> None:
    desk = Desk(open_invoice(), [active_link()])

    desk.take(completed(currency="eur"))

    assert [link.status for link in desk.links] == [PaymentLinkStatus.COMPLETED, PaymentLinkStatus.PENDING]
    assert desk.links[-1].amount == 2000


@pytest.mark.parametrize(
    "invoice",
    [open_invoice(), open_invoice(status=InvoiceStatus.UNCOLLECTIBLE), open_invoice(status=InvoiceStatus.VOID)],
    ids=["no link", "written off", "void"],
)
def test_no_link_is_made_where_none_is_wanted(invoice: Any) -> None:
    links = [] if invoice.status is InvoiceStatus.OPEN else [active_link(status=PaymentLinkStatus.DEACTIVATED)]
    desk = Desk(invoice, links)

    desk.take(paid(500))

    assert not desk.live_links


@pytest.mark.parametrize("event", [failed(), later_failed(payment_link=None)])
def test_a_failed_attempt_leaves_an_active_link_alone(event: Event) -> None:
    link = active_link()
    desk = Desk(open_invoice(), [link])

    desk.take(event)

    assert list(desk.links) == [link]


def test_no_link_is_live_while_money_under_way_covers_the_rest() -> None:
    """Whether the money under way was seen before the rest was asked for or after."""
    pending, part = completed("unpaid"), paid(500, "pi_b")
    before, after = Desk(open_invoice(), [active_link()]), Desk(open_invoice(), [active_link()])

    before.take(pending, part)
    after.take(part, pending)

    assert not before.live_links
    assert not after.live_links


def test_no_link_is_live_while_money_is_under_way_in_the_customers_currency() -> None:
    """As before 2025-03-31: nobody can say how much of the rest it covers, and both could be paid."""
    desk = Desk(open_invoice(), [active_link()])
    session = completed("unpaid", amount=1850, currency="eur", created=1)
    session["data"]["object"]["currency_conversion"] = {"amount_total": 2000, "source_currency": "usd"}

    desk.take(
        session,
        stripe.payment_intent_processing(**OURS, payment_intent="pi_a", amount=1850, currency="eur", created=2),
    )

    assert desk.payment.status is PaymentStatus.PENDING
    assert not desk.live_links


def test_money_under_way_for_a_part_leaves_the_link() -> None:
    desk = Desk(open_invoice(), [active_link()])

    desk.take(completed("unpaid", amount=100, payment_link="plink_by_hand"))

    assert [link.status for link in desk.links] == [PaymentLinkStatus.ACTIVE]


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


# --- Under way or failed: Stripe's clock decides ------------------------------------------------------------------


def processing(**told: Any) -> Event:
    """A bank debit of the payment is under way."""
    return stripe.payment_intent_processing(**(OURS | {"payment_intent": "pi_a"} | told))


def canceled(**told: Any) -> Event:
    """The payment was given up at Stripe."""
    return stripe.payment_intent_canceled(**(OURS | {"payment_intent": "pi_a"} | told))


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


# --- Stripe invoices with several payments -------------------------------------------------------------------------


def in_parts(**parts: int) -> Event:
    """A Stripe invoice that several payments paid."""
    return stripe.stripe_invoice_paid(**OURS, invoice="in_a", amount=sum(parts.values()), payments=parts)


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
