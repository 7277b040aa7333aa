"""What becomes of an invoice's Payment Links when money comes."""

from typing import Any

import pytest

from models.kinds import (
    EventType,
    InvoiceStatus,
    PaymentLinkStatus,
    PaymentStatus,
)
from tests.models.settlement.telling import OURS, completed, failed, later_failed, paid
from tests.world import stripe_payloads as stripe
from tests.world.desk import Desk, active_link, open_invoice
from tests.world.stripe_payloads import Event


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
