"""Three decisions: about an event, a recount, and an application by hand. Each compares the books before and after."""

from collections.abc import Iterable
from typing import Final

from models.instant import from_epoch
from models.invoice import InvoiceState, MarkedPaid
from models.kinds import Allocation, InvoiceStatus, WebhookEventStatus
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.reason import Reason
from models.settlement.case import Case, Ledger, LogEntry, Verdict
from models.settlement.identity import Subject, applied_as, may_be_counted_already, subject_of
from models.settlement.learn import Learned, is_in_another_currency, learn
from models.settlement.log import log_of_invoice, log_of_money_back, log_of_payment
from models.settlement.plain import settle_plainly
from models.settlement.refusal import why_ignored, why_unapplied
from models.settlement.tally import recounted

_MONEY: Final = frozenset({Evidence.PAID, Evidence.REFUNDED})


def settle(case: Case) -> Verdict:
    """Decide what an event does to the books."""
    verdict = settle_plainly(case) or settle_at_length(case)
    if case.is_patient and _pays(case.invoice, verdict.invoice) and may_be_counted_already(case):
        return Verdict(WebhookEventStatus.IGNORED, Reason.PAYMENT_UNCLEAR)
    return verdict


def _pays(before: InvoiceState | None, after: InvoiceState | None) -> bool:
    is_paid = after is not None and after.status is InvoiceStatus.PAID
    return is_paid and (before is None or before.status is not InvoiceStatus.PAID)


def settle_at_length(case: Case) -> Verdict:
    """Decide about any event, plain or not."""
    ignored = why_ignored(case)
    if ignored is not None:
        return Verdict(WebhookEventStatus.IGNORED, ignored)
    misfit = why_unapplied(case)
    if case.event.evidence is Evidence.OUT_OF_BAND:
        return _settle_out_of_band(case, misfit)
    subject = subject_of(case)
    if not subject.case.event.provider_ids:
        return Verdict(WebhookEventStatus.PROCESSED)
    news = _news(subject)
    if news is None:
        return Verdict(WebhookEventStatus.PROCESSED, payment_id=subject.stripe_invoice.foremost.id)
    if misfit is not None and not news.known and case.event.evidence not in _MONEY:
        return Verdict(WebhookEventStatus.IGNORED, misfit)
    return _settle_payment(news, misfit)


def recount(ledger: Ledger, new_link_id: str) -> Verdict:
    """Recount an invoice after an event for another one changed its payments."""
    after = recounted(ledger, new_link_id)
    return _verdict(ledger, after, log_of_invoice(ledger, after))


def allocate(payment: PaymentState, ledger: Ledger, new_link_id: str) -> Verdict:
    """Apply an unapplied payment to the ledger's invoice by hand; call `why_not_allocated` before."""
    invoice = ledger.invoice
    assert invoice is not None  # noqa: S101  (one is chosen)
    applied = payment._replace(
        invoice_id=invoice.id, customer_id=invoice.customer_id, allocation=Allocation.APPLIED, unapplied_code=None
    )
    others = [other for other in ledger.payments if other.id != payment.id]
    before = ledger._replace(payments=[*others, payment])
    after = recounted(ledger._replace(payments=[*others, applied]), new_link_id)
    log = [*log_of_payment(payment, _payment(payment.id, after)), *log_of_invoice(before, after)]
    return _verdict(before, after, log)._replace(payment_id=payment.id)


def _settle_out_of_band(case: Case, misfit: Reason | None) -> Verdict:
    """Record what was marked as paid in Stripe as paid out of band, up to what the invoice lacked at that time."""
    invoice = case.invoice
    if invoice is None or misfit is not None:
        return Verdict(WebhookEventStatus.UNAPPLIED, misfit)
    before = case.ledger._replace(payments=[each for each in case.payments if each.invoice_id == invoice.id])
    marked = invoice._replace(marked_paid=_with_mark(invoice.marked_paid, case.event))
    after = recounted(before._replace(invoice=marked), case.new_link_id)
    return _verdict(before, after, log_of_invoice(before, after))


def _with_mark(marked: Iterable[MarkedPaid], event: PaymentFact) -> tuple[MarkedPaid, ...]:
    """Add a mark, or raise the one of the same Stripe invoice: each event reports all that was marked so far."""
    marks = {mark.order_id: mark for mark in marked}
    mark = MarkedPaid(event.provider_ids[0], event.amount, from_epoch(event.created))
    known = marks.get(mark.order_id, mark)
    marks[mark.order_id] = known._replace(amount=max(known.amount, mark.amount), at=min(known.at, mark.at))
    return tuple(sorted(marks.values()))


def _news(subject: Subject) -> Subject | None:
    """Reduce an event about a whole Stripe invoice to what it adds; None when that is nothing."""
    case = subject.case
    if not case.event.is_whole:
        return subject
    news = subject.stripe_invoice.news(case.event, case.wanted_currency)
    return None if news is None else subject._replace(case=case._replace(event=news.event), known=news.known)


def _settle_payment(subject: Subject, misfit: Reason | None) -> Verdict:
    case = subject.case
    learned = _learned(subject, misfit)
    payments = _with_the_rest(subject, learned)
    after = recounted(
        Ledger(case.invoice, payments, case.links), case.new_link_id, used_link=case.event.payment_link_id
    )
    payment = _payment(learned.after.id, after)
    log = [
        *log_of_payment(learned.before, payment),
        *log_of_money_back(case.event, learned.before, payment),
        *log_of_invoice(case.ledger, after),
    ]
    unapplied = _unapplied_code(case.event, learned.before, payment)
    return _verdict(case.ledger, after, log)._replace(
        status=WebhookEventStatus.UNAPPLIED if unapplied else WebhookEventStatus.PROCESSED,
        code=unapplied,
        payment_id=payment.id,
        absorbed=learned.absorbed,
    )


def _learned(subject: Subject, misfit: Reason | None) -> Learned:
    """Add the event to its payment; if that turns out to be the rest of its Stripe invoice, merge the two."""
    learned = learn(subject.case, subject.known, misfit)
    stripe_invoice = subject.stripe_invoice
    if stripe_invoice.rest is None or not stripe_invoice.replaces_rest(subject.known, learned.after):
        return learned
    return learn(subject.case, [*subject.known, stripe_invoice.rest], misfit)


def _with_the_rest(subject: Subject, learned: Learned) -> list[PaymentState]:
    """Replace the known payments by the one after the event, and lower the rest of its Stripe invoice accordingly."""
    others = [other for other in subject.case.payments if other not in learned.known]
    rest = subject.stripe_invoice.rest
    if rest is None:
        return [*others, learned.after]
    left = rest._replace(amount=subject.stripe_invoice.left(learned.known, learned.after))
    return [*(left if other is rest else other for other in others), applied_as(learned.after, rest)]


def _unapplied_code(event: PaymentFact, before: PaymentState | None, payment: PaymentState) -> str | None:
    """Say why a person has to look at the event; None if nobody has to."""
    if is_in_another_currency(event, payment):
        return Reason.CURRENCY_MISMATCH
    is_about_money = event.evidence in _MONEY or before is None
    return payment.unapplied_code if is_about_money else None


def _payment(id_: str, ledger: Ledger) -> PaymentState:
    return next(payment for payment in ledger.payments if payment.id == id_)


def _verdict(before: Ledger, after: Ledger, log: Iterable[LogEntry]) -> Verdict:
    """List the differences between the books before and after."""
    known = {payment.id: payment for payment in before.payments}
    return Verdict(
        status=WebhookEventStatus.PROCESSED,
        invoice=_changed_invoice(before, after),
        payments=tuple(payment for payment in after.payments if known.get(payment.id) != payment),
        links=tuple(link for link in after.links if link not in before.links),
        log=tuple(log),
    )


def _changed_invoice(before: Ledger, after: Ledger) -> InvoiceState | None:
    return after.invoice if after.invoice != before.invoice else None
