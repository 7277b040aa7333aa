"""What a Stripe event does to the books: the rule at the heart of the product, pure and total.

`settle` looks at an event, the invoice it names, that invoice's payments and links, and says what changes. It reads
no clock and does no I/O. Whatever the order and number in which the events of a payment arrive, the books end the
same: success is final, before it the latest by Stripe's clock is kept, and everything that is derived is recomputed
from all of the invoice's payments.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from models.ids import Prefix, is_id
from models.instant import from_epoch
from models.invoice import COLLECTING, InvoiceState, MarkedPaid
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from models.money_back import Dispute, Refund, Refunds, disputes_of_both
from models.order import Order
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact, Presentment
from models.payment_link import LIVE, LinkState


class Case(NamedTuple):
    """All that is looked at. `payments` are the invoice's and those known under the event's ids, each once.

    `invoice_id` is the event's own or, where it carries none, that of the link or payment it belongs to; `invoice` is
    None when this workspace has no such invoice. `link_invoice_id` is whose link the event names, if one of ours.
    `new_payment_id` and `new_link_id` are for what has to be made.
    """

    event: PaymentFact
    workspace_id: str
    mode: Mode
    received_at: datetime
    invoice_id: str | None
    invoice: InvoiceState | None
    customer_id: str | None
    payments: Sequence[PaymentState]
    links: Sequence[LinkState]
    link_invoice_id: str | None
    new_payment_id: str
    new_link_id: str


class Verdict(NamedTuple):
    """What changes. `payments` and `links` hold only those that changed or are new; `absorbed` maps the id of a
    payment that turned out to be another one to that other's id. `log` is in order, with the invoice's status before
    and after where it changed.
    """

    status: WebhookEventStatus
    code: str | None = None
    invoice: InvoiceState | None = None
    payments: tuple[PaymentState, ...] = ()
    payment_id: str | None = None
    absorbed: tuple[tuple[str, str], ...] = ()
    links: tuple[LinkState, ...] = ()
    log: tuple[tuple[EventType, InvoiceStatus | None, InvoiceStatus | None], ...] = ()


_PROVES = {
    Evidence.PAID: PaymentStatus.SUCCEEDED,
    Evidence.PENDING: PaymentStatus.PENDING,
    Evidence.FAILED: PaymentStatus.FAILED,
    Evidence.REFUNDED: PaymentStatus.SUCCEEDED,
}
_MONEY = frozenset({Evidence.PAID, Evidence.REFUNDED})
_ABOUT_A_PAYMENT = frozenset({Evidence.REFUND, Evidence.DISPUTED, Evidence.DISPUTE_CLOSED})
_REFUNDS = frozenset({Evidence.REFUNDED, Evidence.REFUND})


def settle(case: Case) -> Verdict:
    """What an event does to the books."""
    ignored = _why_ignored(case)
    if ignored is not None:
        return Verdict(status=WebhookEventStatus.IGNORED, code=ignored)
    misfit = _why_unapplied(case)
    if case.event.evidence is Evidence.OUT_OF_BAND:
        return _settle_out_of_band(case, misfit)
    case, known = _without_others_names(case)
    if not case.event.provider_ids:
        return Verdict(status=WebhookEventStatus.PROCESSED)
    order = Order.among(case.payments, case.event.order_id or next((each.order_id for each in known), None))
    if case.event.is_whole:
        told = order.told_whole(case.event, case.invoice.currency if case.invoice else None)
        if told is None:
            return Verdict(status=WebhookEventStatus.PROCESSED, payment_id=order.foremost.id)
        case, known = case._replace(event=told[0]), told[1]
    if misfit is not None and not known and case.event.evidence not in _MONEY:
        return Verdict(status=WebhookEventStatus.IGNORED, code=misfit)
    before, absorbed = _one_payment(known, case.invoice)
    payment = _learn(case, before, misfit)
    if order.replaces_rest(known, payment):
        known = [*known, *([order.rest] if order.rest else [])]
        before, absorbed = _one_payment(known, case.invoice)
        payment = _learn(case, before, misfit)
    others = [other for other in case.payments if other not in known]
    if order.rest is not None and order.rest in others:
        others[others.index(order.rest)] = order.rest._replace(amount=order.left(known, payment))
        payment = _applied_as(payment, order.rest)
    invoice, recounted = _recount(case.invoice, [*others, payment])
    links: list[LinkState] = []
    if invoice is not None:
        links = _links(case.links, invoice, recounted, case.new_link_id, used=case.event.payment_link_id)
    changed = _changed(case.payments, recounted)
    tells_of_money = case.event.evidence in _MONEY or before is None
    unapplied = payment.unapplied_code if tells_of_money else None
    if _is_in_another_currency(case.event, payment):
        unapplied = "CURRENCY_MISMATCH"
    settled = next(entry for entry in recounted if entry.id == payment.id)
    return Verdict(
        status=WebhookEventStatus.UNAPPLIED if unapplied else WebhookEventStatus.PROCESSED,
        code=unapplied,
        invoice=invoice if invoice != case.invoice else None,
        payments=tuple(changed),
        payment_id=payment.id,
        absorbed=absorbed,
        links=tuple(link for link in links if link not in case.links),
        log=tuple(
            _log(before, settled, (case.invoice, invoice), (case.links, links), _went_back(case.event, before, settled))
        ),
    )


def _settle_out_of_band(case: Case, misfit: str | None) -> Verdict:
    """What was marked as paid outside Stripe there is paid out of band here, as far as it was lacking then."""
    invoice = case.invoice
    if invoice is None or misfit is not None:
        return Verdict(status=WebhookEventStatus.UNAPPLIED, code=misfit)
    payments = [payment for payment in case.payments if payment.invoice_id == invoice.id]
    marked = invoice._replace(marked_paid=_marked_anew(invoice.marked_paid, case.event))
    return _counted_anew(invoice, marked, payments, case.links, case.new_link_id)


def _marked_anew(marked: Iterable[MarkedPaid], event: PaymentFact) -> tuple[MarkedPaid, ...]:
    """A Stripe invoice's events tell all that was marked of it so far, so the largest holds the others."""
    marks = {mark.order_id: mark for mark in marked}
    told = MarkedPaid(event.order_id or event.provider_ids[0], event.amount, from_epoch(event.created))
    known = marks.get(told.order_id, told)
    marks[told.order_id] = known._replace(amount=max(known.amount, told.amount), at=min(known.at, told.at))
    return tuple(sorted(marks.values()))


def recount(
    invoice: InvoiceState, payments: Sequence[PaymentState], links: Sequence[LinkState], new_link_id: str
) -> Verdict:
    """What it does to an invoice that its payments have changed by an event for another one."""
    return _counted_anew(invoice, invoice, payments, links, new_link_id)


def _counted_anew(
    before: InvoiceState,
    changed: InvoiceState,
    payments: Sequence[PaymentState],
    links: Sequence[LinkState],
    new_link_id: str,
) -> Verdict:
    counted, recounted = _recount(changed, payments)
    assert counted is not None  # noqa: S101  (there is an invoice)
    after = _links(links, counted, recounted, new_link_id, used=None)
    return Verdict(
        status=WebhookEventStatus.PROCESSED,
        invoice=counted if counted != before else None,
        payments=tuple(_changed(payments, recounted)),
        links=tuple(link for link in after if link not in links),
        log=tuple(_log_invoice((before, counted), (links, after))),
    )


def allocate(
    payment: PaymentState,
    invoice: InvoiceState,
    payments: Sequence[PaymentState],
    links: Sequence[LinkState],
    new_link_id: str,
) -> Verdict:
    """What it does to the books that an unapplied payment is applied to an invoice by hand.

    `payments` and `links` are the invoice's. Whether it may be is asked of `why_not_allocated` before.
    """
    applied = payment._replace(
        invoice_id=invoice.id, customer_id=invoice.customer_id, allocation=Allocation.APPLIED, unapplied_code=None
    )
    others = [other for other in payments if other.id != payment.id]
    counted, recounted = _recount(invoice, [*others, applied])
    assert counted is not None  # noqa: S101  (there is an invoice)
    after = _links(links, counted, recounted, new_link_id, used=None)
    settled = next(entry for entry in recounted if entry.id == payment.id)
    return Verdict(
        status=WebhookEventStatus.PROCESSED,
        invoice=counted if counted != invoice else None,
        payments=tuple(_changed([*others, payment], recounted)),
        payment_id=payment.id,
        links=tuple(link for link in after if link not in links),
        log=tuple(_log(payment, settled, (invoice, counted), (links, after))),
    )


def why_not_allocated(payment: PaymentState, invoice: InvoiceState) -> str | None:
    """The code of why a payment can't be applied to an invoice by hand, but for the invoice's own state."""
    if payment.status is not PaymentStatus.SUCCEEDED:
        return "PAYMENT_NOT_SUCCEEDED"
    if payment.counts:
        return "ALREADY_APPLIED"
    if payment.unapplied_code == "LIVEMODE_MISMATCH":
        return payment.unapplied_code
    if payment.amount_refunded == payment.amount > 0:
        return "PAYMENT_REFUNDED"
    return None if payment.currency == invoice.currency else "CURRENCY_MISMATCH"


def _why_ignored(case: Case) -> str | None:
    event = case.event
    if event.evidence is None:
        return "NOTHING_PAID" if event.is_handled else "EVENT_TYPE_NOT_HANDLED"
    names_ours = event.metadata_invoice_id is not None or case.link_invoice_id is not None
    if not names_ours and (event.is_whole or event.evidence is Evidence.OUT_OF_BAND):
        return "NO_METADATA"
    known = any(_is_named(payment, event) for payment in case.payments)
    if event.evidence in _ABOUT_A_PAYMENT:
        return None if known else "PAYMENT_UNKNOWN"
    foreign = _why_foreign(case)
    if event.evidence is Evidence.REFUNDED and not known and (foreign is not None or case.invoice_id is None):
        return "PAYMENT_UNKNOWN"
    if foreign is not None:
        return None if _is_by_our_link(case) else foreign
    if case.invoice_id is not None or known:
        return None
    pays_for = event.order_id is not None or len(event.provider_ids) > 1  # what may carry metadata
    return "PAYMENT_UNKNOWN" if pays_for and event.type.startswith("payment_intent.") else "NO_METADATA"


def _is_named(payment: PaymentState, event: PaymentFact) -> bool:
    """Whether an event tells of a payment, or of its Stripe invoice."""
    if event.order_id is not None and event.order_id == payment.order_id:
        return True
    return not payment.provider_ids.isdisjoint(event.provider_ids)


def _why_foreign(case: Case) -> str | None:
    if case.event.metadata_workspace_id not in {None, case.workspace_id}:
        return "ANOTHER_WORKSPACE"
    named = case.event.metadata_invoice_id  # not the case's, which is the payment's once that was applied by hand
    return None if named is None or is_id(named, Prefix.INVOICE) else "FOREIGN_INVOICE_ID"


def _is_by_our_link(case: Case) -> bool:
    """Whether the money came by a link that we made: it is ours then, whatever its metadata says."""
    own = {link.provider_id for link in case.links} - {None}
    return case.link_invoice_id is not None or case.event.payment_link_id in own


def _why_unapplied(case: Case) -> str | None:
    if case.event.livemode is not (case.mode is Mode.LIVE):
        return "LIVEMODE_MISMATCH"
    if case.event.evidence not in _ABOUT_A_PAYMENT and _why_foreign(case) is not None:
        return "METADATA_MISMATCH"
    if case.invoice is None:
        return "INVOICE_NOT_FOUND"
    if case.link_invoice_id not in {None, case.invoice.id}:
        return "METADATA_MISMATCH"
    if case.invoice.currency != case.event.currency:
        return "CURRENCY_MISMATCH"
    if case.invoice.status is InvoiceStatus.DRAFT:
        return "INVOICE_DRAFT"
    if case.invoice.status is InvoiceStatus.VOID:
        return "INVOICE_VOID"
    return None


def _without_others_names(case: Case) -> tuple[Case, list[PaymentState]]:
    """The case without payments that aren't the event's and their names, and those that its names mean.

    A payment that counts for another invoice stays where it counts and as it is, whatever a later event says that its
    names are. A payment of another intent is another one: several can pay one Stripe invoice, and one has its name.
    """
    own = case.invoice.id if case.invoice else None
    named = [payment for payment in case.payments if not payment.provider_ids.isdisjoint(case.event.provider_ids)]
    known = [
        payment
        for payment in named
        if (not payment.counts or payment.invoice_id == own) and not _is_of_another_intent(payment, case.event)
    ]
    others = [payment for payment in named if payment not in known]
    if not others:
        return case, known
    taken = frozenset[str]().union(*(payment.provider_ids for payment in others))
    names = tuple(name for name in case.event.provider_ids if name not in taken)
    payments = [payment for payment in case.payments if payment not in others or payment.invoice_id == own]
    return case._replace(event=case.event._replace(provider_ids=names), payments=payments), known


def _is_of_another_intent(payment: PaymentState, event: PaymentFact) -> bool:
    own = _intents(event.provider_ids)
    return bool(own) and bool(_intents(payment.provider_ids)) and own.isdisjoint(_intents(payment.provider_ids))


def _intents(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith("pi_"))


def _one_payment(
    known: Sequence[PaymentState], invoice: InvoiceState | None
) -> tuple[PaymentState | None, tuple[tuple[str, str], ...]]:
    """What the event's ids name, as one payment: the oldest of them takes over what the others know."""
    if not known:
        return None, ()
    first, *rest = sorted(known, key=lambda payment: payment.id)
    for other in rest:
        first = _merged(first, other, invoice.currency if invoice else None)
    return first, tuple((other.id, first.id) for other in rest)


def _merged(kept: PaymentState, other: PaymentState, wanted: str | None) -> PaymentState:
    """Two payments as the one that they turned out to be; of two currencies the wanted one decides."""
    both = kept, other
    order_id = kept.order_id or other.order_id
    if kept.is_whole is other.is_whole:
        decided = _both_decided(kept, other, wanted)
    else:
        decided = _own_decided(*sorted(both, key=lambda payment: payment.is_whole))
    refunds = [payment.refunds for payment in both if payment.currency == decided.currency]
    return decided._replace(
        id=kept.id,
        provider_payment_id=_principal(kept.provider_payment_id, other.provider_payment_id),
        provider_ids=_own_names(kept.provider_ids | other.provider_ids, order_id),
        order_id=order_id,
        refunds=refunds[0].merged(refunds[-1]),
        disputes=disputes_of_both(kept.disputes, other.disputes),
        presentment=_presentment_of_both(kept.presentment, other.presentment),
    )


def _both_decided(kept: PaymentState, other: PaymentState, wanted: str | None) -> PaymentState:
    both = kept, other
    further = max(both, key=_standing)
    if not kept.status is other.status is PaymentStatus.SUCCEEDED:
        return further
    amount, currency = _amount_of_both((kept.amount, kept.currency), (other.amount, other.currency), wanted)
    telling = [payment for payment in both if payment.decided_by] or both
    return further._replace(
        amount=amount,
        currency=currency,
        occurred_at=min(payment.occurred_at for payment in telling),
        decided_by=max(kept.decided_by, other.decided_by),
    )


def _own_decided(own: PaymentState, rest: PaymentState) -> PaymentState:
    """A payment that turned out to be the rest of its Stripe invoice: its own events decide, but for what it pays."""
    if rest.status is not PaymentStatus.SUCCEEDED:
        return own
    if own.status is not PaymentStatus.SUCCEEDED:
        return rest
    return _applied_as(own, rest)


def _applied_as(own: PaymentState, rest: PaymentState) -> PaymentState:
    """A payment that fits no invoice by itself stays where it was counted as a part of the rest."""
    is_money = own.status is PaymentStatus.SUCCEEDED and own.currency == rest.currency
    if own.counts or not rest.counts or not is_money:
        return own
    return own._replace(
        invoice_id=rest.invoice_id, customer_id=rest.customer_id, allocation=rest.allocation, unapplied_code=None
    )


def _own_names(names: frozenset[str], order_id: str | None) -> frozenset[str]:
    """A payment's names: its Stripe invoice's is one only while nothing else names it."""
    return names - {order_id} or names


def _amount_of_both(one: tuple[int, str], other: tuple[int, str], wanted: str | None) -> tuple[int, str]:
    """What came, by two events: the larger amount, but amounts of two currencies don't compare.

    Of two currencies the invoice's decides, in which the link was made; without it the books stay as they are in
    whatever order by the code that is first in the alphabet.
    """
    if one[1] == other[1]:
        return max(one, other)
    return min(one, other, key=lambda told: (told[1] != wanted, told[1]))


def _standing(payment: PaymentState) -> tuple[bool, bool, str]:
    """What orders payments by which of them knows more: money, that counts, told last."""
    return payment.status is PaymentStatus.SUCCEEDED, payment.counts, payment.decided_by


def _principal(*names: str) -> str:
    """Which name a payment goes by: the payment intent's before the session's before any other."""
    order = ("pi_", "cs_", "")  # a Stripe invoice's comes last
    return min(names, key=lambda name: (name.startswith("in_"), *(not name.startswith(each) for each in order), name))


def _presentment_of_both(one: Presentment | None, other: Presentment | None) -> Presentment | None:
    """What the customer saw. All events of a payment tell the same; should they not, the larger amount."""
    return max((told for told in (one, other) if told), key=lambda told: (told.amount, told.currency), default=None)


def _learn(case: Case, before: PaymentState | None, misfit: str | None) -> PaymentState:
    """The payment after the event. Of refunds and disputes the latest by Stripe's clock is kept."""
    event = case.event
    payment = before
    if payment is None or event.evidence in _PROVES:
        payment = _learn_status(case, before, misfit)
    refunds = payment.refunds if before is None or before.currency == payment.currency else Refunds()
    order_id = payment.order_id or event.order_id
    return payment._replace(
        provider_ids=_own_names(payment.provider_ids.union(event.provider_ids), order_id),
        order_id=order_id,
        refunds=refunds if _is_in_another_currency(event, payment) else refunds.merged(_refunds_told(event)),
        disputes=disputes_of_both(payment.disputes, _disputes_told(event)) if event.dispute else payment.disputes,
        presentment=_presentment_of_both(payment.presentment, event.presentment),
    )


def _is_in_another_currency(event: PaymentFact, payment: PaymentState) -> bool:
    """Whether an event tells of a refund that can't be taken off the payment's amount."""
    return event.evidence in _REFUNDS and event.currency != payment.currency


def _refunds_told(event: PaymentFact) -> Refunds:
    if event.evidence is Evidence.REFUNDED:
        return Refunds(event.refunded, event.order)
    if event.refund is None:
        return Refunds()
    told = event.refund
    return Refunds(each=(Refund(told.id, event.amount, told.created, told.is_gone, event.order),))


def _disputes_told(event: PaymentFact) -> tuple[Dispute, ...]:
    told = event.dispute
    if told is None:
        return ()
    closed_at = from_epoch(event.created) if event.evidence is Evidence.DISPUTE_CLOSED else None
    return (Dispute(event.order, told.status, told.reason, told.amount, from_epoch(told.opened), closed_at, told.id),)


def _learn_status(case: Case, before: PaymentState | None, misfit: str | None) -> PaymentState:
    """The payment's status after the event: success is final, until then the latest of Stripe's clock is kept."""
    event = case.event
    assert event.evidence is not None  # noqa: S101  (settled by _why_ignored)
    proven = _PROVES[event.evidence]
    if before is None:
        return _first_known(case, proven, misfit)
    known = before._replace(provider_payment_id=_principal(before.provider_payment_id, event.provider_ids[0]))
    if proven is PaymentStatus.SUCCEEDED:
        return _learn_success(case, known, misfit)
    if before.status is PaymentStatus.SUCCEEDED:
        return known
    is_news = event.order > before.decided_by or _is_first_of_its_own(event, before)
    return _with_status(known, event, proven) if is_news else known


def _is_first_of_its_own(event: PaymentFact, before: PaymentState) -> bool:
    """Whether an event is the first that tells of the payment itself and not of its whole Stripe invoice."""
    return before.is_whole and not event.is_whole


def _learn_success(case: Case, known: PaymentState, misfit: str | None) -> PaymentState:
    """What an event that proves success adds: the larger amount, and when the money came first.

    A charge tells its own beginning, days before a debit is paid: that counts only while nothing else tells.
    """
    event = case.event
    if known.status is not PaymentStatus.SUCCEEDED:
        return _allocated(_with_status(known, event, PaymentStatus.SUCCEEDED), case, misfit)
    is_larger_whole = event.is_whole and known.is_whole and event.amount > known.amount
    is_larger_whole &= event.currency == known.currency
    if is_larger_whole or _is_first_of_its_own(event, known):
        same = _with_status(known, event, PaymentStatus.SUCCEEDED)
    elif event.is_whole and not known.is_whole:
        same = known
    else:
        same = _told_again(known, event, case.invoice)
    return _allocated(same, case, misfit) if _is_looked_at_again(known, case) else same


def _told_again(known: PaymentState, event: PaymentFact, invoice: InvoiceState | None) -> PaymentState:
    told, telling = bool(known.decided_by), event.evidence is Evidence.PAID
    at = min(known.occurred_at, _paid_at(event)) if told is telling else known.occurred_at
    if telling and not told:
        at = _paid_at(event)
    amount, currency = _amount_of_both(
        (known.amount, known.currency), (event.amount, event.currency), invoice.currency if invoice else None
    )
    return known._replace(
        amount=amount, currency=currency, occurred_at=at, decided_by=known.decided_by or _decided_by(event)
    )


def _with_status(payment: PaymentState, event: PaymentFact, status: PaymentStatus) -> PaymentState:
    failed = event if status is PaymentStatus.FAILED else None
    decided = payment._replace(
        status=status,
        amount=event.amount,
        currency=event.currency,
        occurred_at=_paid_at(event),
        decided_by=_decided_by(event),
        amount_received=event.amount_received,
        is_whole=payment.is_whole and event.is_whole,
    )
    return _with_failure(decided, failed)


def _decided_by(event: PaymentFact) -> str:
    """What orders an event among others of its payment; nothing where a charge alone tells when the money came."""
    return "" if event.evidence is Evidence.REFUNDED else event.order


def _is_looked_at_again(payment: PaymentState, case: Case) -> bool:
    """Whether an event decides anew on a payment: on unapplied money, unless it can't know which invoice is meant."""
    if payment.allocation is Allocation.APPLIED or case.invoice is None:
        return False
    names_one = case.event.metadata_invoice_id is not None or case.link_invoice_id is not None
    return names_one or payment.unapplied_code != "METADATA_MISMATCH"


def _first_known(case: Case, status: PaymentStatus, misfit: str | None) -> PaymentState:
    event = case.event
    payment = PaymentState(
        id=case.new_payment_id,
        provider_payment_id=event.provider_ids[0],
        provider_ids=frozenset(event.provider_ids),
        invoice_id=None,
        customer_id=None,
        status=status,
        amount=event.amount,
        currency=event.currency,
        refunds=Refunds(),
        overpaid=0,
        allocation=Allocation.UNAPPLIED,
        unapplied_code=misfit,
        failure_code=None,
        failure_message=None,
        decided_by=_decided_by(event),
        occurred_at=_paid_at(event),
        amount_received=event.amount_received,
        order_id=event.order_id,
        is_whole=event.is_whole,
    )
    failed = event if status is PaymentStatus.FAILED else None
    return _allocated(_with_failure(payment, failed), case, misfit)


def _paid_at(event: PaymentFact) -> datetime:
    return from_epoch(event.created if event.paid_at is None else event.paid_at)


def _with_failure(payment: PaymentState, event: PaymentFact | None) -> PaymentState:
    code, message = (event.failure_code, event.failure_message) if event else (None, None)
    return payment._replace(failure_code=code, failure_message=message)


def _allocated(payment: PaymentState, case: Case, misfit: str | None) -> PaymentState:
    invoice = case.invoice
    customer_id = invoice.customer_id if invoice else case.customer_id
    return payment._replace(
        invoice_id=invoice.id if invoice else None,
        customer_id=customer_id,
        allocation=Allocation.APPLIED if misfit is None else Allocation.UNAPPLIED,
        unapplied_code=misfit,
    )


def _recount(
    invoice: InvoiceState | None, payments: Iterable[PaymentState]
) -> tuple[InvoiceState | None, list[PaymentState]]:
    """The invoice and its payments with all that is derived computed anew, in the order of Stripe's clock.

    What was marked as paid in Stripe fills what is lacking at its instant; money that comes later is overpaid then.
    """
    ordered = sorted(payments, key=lambda payment: (payment.occurred_at, payment.provider_payment_id))
    if invoice is None:
        return None, ordered
    by_hand = invoice.amount_paid_out_of_band - sum(mark.applied for mark in invoice.marked_paid)
    due = max(0, invoice.total - by_hand)
    paid, received, covered_at, recounted, marked = 0, 0, invoice.paid_at, [], []
    for each in _by_time(ordered, invoice.marked_paid):
        before = received
        if isinstance(each, MarkedPaid):
            marked.append(each._replace(applied=min(each.amount, max(0, due - received))))
            received += marked[-1].applied
        elif each.counts and each.invoice_id == invoice.id:
            received += each.amount
            paid += each.amount
            recounted.append(each._replace(overpaid=max(0, received - due) - max(0, before - due)))
        else:
            is_others = each.invoice_id not in {None, invoice.id}
            recounted.append(each if is_others else each._replace(overpaid=0))
        if before < due <= received and by_hand == 0:
            covered_at = each.at if isinstance(each, MarkedPaid) else each.occurred_at
    counted = invoice._replace(
        amount_paid=paid,
        amount_refunded=sum(
            each.amount_refunded for each in recounted if each.counts and each.invoice_id == invoice.id
        ),
    )
    if marked:
        applied = sum(mark.applied for mark in marked)
        counted = counted._replace(amount_paid_out_of_band=by_hand + applied, marked_paid=tuple(sorted(marked)))
    if received >= due and invoice.status in COLLECTING:
        counted = counted._replace(status=InvoiceStatus.PAID)
    if counted.status is InvoiceStatus.PAID:
        counted = counted._replace(paid_at=covered_at or max(payment.occurred_at for payment in ordered))
    return counted, recounted


def _by_time(
    payments: Sequence[PaymentState], marked: Sequence[MarkedPaid]
) -> Sequence[PaymentState] | Sequence[PaymentState | MarkedPaid]:
    """What came, in the order of Stripe's clock; money before what was marked within the same second."""
    if not marked:
        return payments
    together: list[PaymentState | MarkedPaid] = [*payments, *marked]
    return sorted(together, key=lambda each: each.at if isinstance(each, MarkedPaid) else each.occurred_at)


def _links(
    before: Sequence[LinkState],
    invoice: InvoiceState,
    payments: Sequence[PaymentState],
    new_link_id: str,
    *,
    used: str | None,
) -> list[LinkState]:
    """The invoice's links afterwards, with a new one for what remains when the last one is spent.

    `used` is Stripe's id of the link that was paid. None is live while payments that are under way cover what remains.
    """
    under_way = sum(payment.amount for payment in payments if payment.status is PaymentStatus.PENDING)
    payable = invoice.status is InvoiceStatus.OPEN and under_way < invoice.amount_remaining
    links = [_link(link, used, invoice, payable=payable) for link in before]
    wanted = bool(links) and payable and not any(link.status in LIVE for link in links)
    if wanted and invoice.integration_id is not None:
        links.append(
            LinkState(
                id=new_link_id,
                integration_id=invoice.integration_id,
                status=PaymentLinkStatus.PENDING,
                provider_id=None,
                amount=invoice.amount_remaining,
            )
        )
    return links


def _link(link: LinkState, used: str | None, invoice: InvoiceState, *, payable: bool) -> LinkState:
    if used is not None and used == link.provider_id:
        return link._replace(status=PaymentLinkStatus.COMPLETED, stop=False)  # Stripe did so itself
    if link.status not in LIVE:
        return link
    if invoice.status is InvoiceStatus.PAID:
        was_active = link.status is PaymentLinkStatus.ACTIVE
        spent = PaymentLinkStatus.COMPLETED if was_active else PaymentLinkStatus.DEACTIVATED
        return link._replace(status=spent, stop=True)
    if not payable or link.amount != invoice.amount_remaining:
        return link._replace(status=PaymentLinkStatus.DEACTIVATED, stop=True)
    return link


def _changed(before: Sequence[PaymentState], after: Sequence[PaymentState]) -> list[PaymentState]:
    known = {payment.id: payment for payment in before}
    return [payment for payment in after if known.get(payment.id) != payment]


def _log(
    before: PaymentState | None,
    payment: PaymentState,
    invoice: tuple[InvoiceState | None, InvoiceState | None],
    links: tuple[Sequence[LinkState], Sequence[LinkState]],
    went_back: EventType | None = None,
) -> Iterable[tuple[EventType, InvoiceStatus | None, InvoiceStatus | None]]:
    """What happened: to the payment, to the invoice, to its links; each as it was and as it is."""
    happened = _payment_happened(before, payment)
    if happened is not None:
        yield happened, None, None
    if went_back is not None:
        yield went_back, None, None
    yield from _log_invoice(invoice, links)


def _log_invoice(
    invoice: tuple[InvoiceState | None, InvoiceState | None],
    links: tuple[Sequence[LinkState], Sequence[LinkState]],
) -> Iterable[tuple[EventType, InvoiceStatus | None, InvoiceStatus | None]]:
    earlier, now = invoice
    if earlier is not None and now is not None:
        if now.status is not earlier.status:
            yield EventType.INVOICE_PAID, earlier.status, now.status
        elif now.received > earlier.received and now.status in COLLECTING:
            yield EventType.INVOICE_PARTIALLY_PAID, now.status, now.status
    was = {link.id: link.status for link in links[0]}
    for link in links[1]:
        if link.status is PaymentLinkStatus.DEACTIVATED and was.get(link.id) is not link.status:
            yield EventType.PAYMENT_LINK_DEACTIVATED, None, None


def _went_back(event: PaymentFact, before: PaymentState | None, payment: PaymentState) -> EventType | None:
    """What an event told anew of a refund or a dispute."""
    refunds = before.refunds if before else Refunds()
    if event.evidence in _REFUNDS and payment.refunds.gone != refunds.gone:
        return EventType.PAYMENT_REFUND_FAILED
    if event.evidence in _REFUNDS and payment.amount_refunded != (before.amount_refunded if before else 0):
        return EventType.PAYMENT_REFUNDED
    if payment.disputes == (before.disputes if before else ()):
        return None
    closed = event.evidence is Evidence.DISPUTE_CLOSED
    return EventType.PAYMENT_DISPUTE_CLOSED if closed else EventType.PAYMENT_DISPUTED


def _payment_happened(before: PaymentState | None, payment: PaymentState) -> EventType | None:
    if before is not None and before.status is payment.status:
        if before.allocation is Allocation.UNAPPLIED and payment.counts:
            return EventType.PAYMENT_APPLIED
        failed_anew = payment.status is PaymentStatus.FAILED and before.decided_by != payment.decided_by
        return EventType.PAYMENT_FAILED if failed_anew else None
    if payment.status is PaymentStatus.PENDING:
        return EventType.PAYMENT_PENDING
    if payment.status is PaymentStatus.FAILED:
        return EventType.PAYMENT_FAILED
    return EventType.PAYMENT_SUCCEEDED if payment.counts else EventType.PAYMENT_UNAPPLIED
