"""A short way for nearly all events: the first money for an OPEN invoice, which covers it exactly.

Nothing has to be looked up or added up then. The general way (`settle_at_length`) would come to the same verdict.
"""

from models.invoice import InvoiceState
from models.kinds import Allocation, InvoiceStatus, PaymentStatus, WebhookEventStatus
from models.money_back import Refunds
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.settlement.case import Case, Ledger, Verdict
from models.settlement.learn import paid_at
from models.settlement.links import links_after
from models.settlement.log import log_of_invoice, log_of_payment
from models.settlement.refusal import why_unapplied


def settle_plainly(case: Case) -> Verdict | None:
    """Decide about a plain event; None if it isn't one."""
    event, invoice = case.event, case.invoice
    if invoice is None or case.payments:
        return None
    if not _is_plain(event) or not _asks_for_all_of(invoice, event.amount) or why_unapplied(case) is not None:
        return None
    payment = _payment(case, invoice)
    paid = invoice._replace(
        status=InvoiceStatus.PAID, amount_paid=event.amount, amount_refunded=0, paid_at=payment.occurred_at
    )
    links = links_after(case.links, paid, [payment], case.new_link_id, used=event.payment_link_id)
    return Verdict(
        status=WebhookEventStatus.PROCESSED,
        invoice=paid,
        payments=(payment,),
        payment_id=payment.id,
        links=tuple(link for link in links if link not in case.links),
        log=(*log_of_payment(None, payment), *log_of_invoice(case.ledger, Ledger(paid, (payment,), links))),
    )


def _is_plain(event: PaymentFact) -> bool:
    """Whether an event reports only that one payment succeeded."""
    is_one = bool(event.provider_ids) and event.order_id is None and not event.is_whole
    return event.evidence is Evidence.PAID and is_one and event.refund is None and event.dispute is None


def _asks_for_all_of(invoice: InvoiceState, amount: int) -> bool:
    is_untouched = invoice.status is InvoiceStatus.OPEN and invoice.paid_at is None
    is_by_payments = invoice.amount_paid_out_of_band == 0 and not invoice.marked_paid
    return is_untouched and is_by_payments and invoice.total == amount > 0


def _payment(case: Case, invoice: InvoiceState) -> PaymentState:
    event = case.event
    return PaymentState(
        id=case.new_payment_id,
        provider_payment_id=event.provider_ids[0],
        provider_ids=frozenset(event.provider_ids),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        status=PaymentStatus.SUCCEEDED,
        amount=event.amount,
        currency=event.currency,
        refunds=Refunds(),
        overpaid=0,
        allocation=Allocation.APPLIED,
        unapplied_code=None,
        failure_code=None,
        failure_message=None,
        decided_by=event.order,
        occurred_at=paid_at(event),
        presentment=event.presentment,
        amount_received=event.amount_received,
    )
