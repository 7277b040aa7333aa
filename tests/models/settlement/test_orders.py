"""What random histories once found, each as the shortest history that shows it."""

from itertools import permutations
from typing import Any, Final

from models.ids import Prefix, new_id
from models.kinds import InvoiceStatus, WebhookEventStatus
from models.settlement import settle
from tests.world import stripe_payloads as stripe
from tests.world.desk import INVOICE, WORKSPACE, Desk, active_link, open_invoice

OURS: Final[Any] = {"invoice_id": INVOICE, "workspace_id": WORKSPACE}


def test_a_refund_without_metadata_that_overtakes_its_payment_waits_for_it() -> None:
    desk = Desk(open_invoice(), [active_link()])
    refund = stripe.charge_refunded(payment_intent="pi_a", refunded=500)

    overtaking = desk.take(refund)
    desk.take(stripe.payment_intent_succeeded(payment_intent="pi_a", **OURS))
    desk.take(refund)

    assert (overtaking.status, overtaking.code) == (WebhookEventStatus.IGNORED, "PAYMENT_UNKNOWN")
    assert (desk.payment.refunds.amount, desk.invoice.status) == (500, InvoiceStatus.PAID)


def test_an_event_without_metadata_does_not_settle_which_invoice_was_meant() -> None:
    desk = Desk(open_invoice(), [active_link()])
    session = stripe.checkout_session_completed(payment_intent="pi_a", payment_link="plink_b", **OURS)
    torn = desk.case(session)._replace(link_invoice_id=new_id(Prefix.INVOICE))
    payment = settle(torn).payments[0]
    bare = desk.case(stripe.payment_intent_succeeded(payment_intent="pi_a"))

    verdict = settle(bare._replace(invoice_id=INVOICE, invoice=desk.invoice, payments=[payment]))

    assert (verdict.status, verdict.code) == (WebhookEventStatus.UNAPPLIED, "METADATA_MISMATCH")
    assert verdict.invoice is None


def test_what_tells_of_unapplied_money_stays_unapplied_however_often_and_in_whatever_order_it_comes() -> None:
    events = [
        stripe.payment_intent_succeeded(payment_intent="pi_a", **OURS),
        stripe.charge_refunded(payment_intent="pi_a", refunded=1, **OURS),
    ]

    for order in permutations(events):
        desk = Desk(open_invoice(status=InvoiceStatus.DRAFT))

        assert {desk.take(event).status for event in [*order, *order]} == {WebhookEventStatus.UNAPPLIED}
