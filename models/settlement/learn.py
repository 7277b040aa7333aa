"""Adds an event to what is known of its payment.

Success is final; before that, the latest event by Stripe's clock decides. For each refund and dispute, its latest event
counts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from models.instant import from_epoch
from models.kinds import Allocation, PaymentStatus
from models.money_back import Dispute, Refund, Refunds, disputes_of_both
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.reason import Reason
from models.settlement.case import Absorbed, Case
from models.settlement.identity import (
    Amount,
    amount_of_both,
    merged,
    own_names,
    presentment_of_both,
    principal_name,
)
from models.settlement.refusal import is_applied_again

PROVES: Final = {
    Evidence.PAID: PaymentStatus.SUCCEEDED,
    Evidence.PENDING: PaymentStatus.PENDING,
    Evidence.FAILED: PaymentStatus.FAILED,
    Evidence.REFUNDED: PaymentStatus.SUCCEEDED,
}
"""The status that each evidence proves; a charge that was refunded was paid."""

REFUNDS: Final = frozenset({Evidence.REFUNDED, Evidence.REFUND})


class Learned(NamedTuple):
    """A payment before and after an event.

    `known` are the payments that the event is about; one of them stays, and the `absorbed` ones become that one.
    """

    before: PaymentState | None
    after: PaymentState
    known: Sequence[PaymentState]
    absorbed: tuple[Absorbed, ...]


def learn(case: Case, known: Sequence[PaymentState], misfit: Reason | None) -> Learned:
    """Merge the payments that an event is about and add the event. `misfit` is why its money fits no invoice."""
    before, absorbed = merged(known, case.wanted_currency)
    return Learned(before, _after(case, before, misfit), known, absorbed)


def _after(case: Case, before: PaymentState | None, misfit: Reason | None) -> PaymentState:
    event = case.event
    if before is None:
        payment = _first_known(case, misfit)
    else:
        payment = _with_news(case, before, misfit) if event.evidence in PROVES else before
    refunds = payment.refunds if before is None or before.currency == payment.currency else Refunds()
    order_id = payment.order_id or event.order_id
    return payment._replace(
        provider_ids=own_names(payment.provider_ids.union(event.provider_ids), order_id),
        order_id=order_id,
        refunds=refunds if is_in_another_currency(event, payment) else refunds.merged(_refunds_in(event)),
        disputes=_disputes_after(payment, event),
        presentment=presentment_of_both(payment.presentment, event.presentment),
    )


# --- Its status, amount and time -------------------------------------------------------------------------------


def _first_known(case: Case, misfit: Reason | None) -> PaymentState:
    event = case.event
    status = _proven(event)
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
        failure_code=event.failure_code if status is PaymentStatus.FAILED else None,
        failure_message=event.failure_message if status is PaymentStatus.FAILED else None,
        decided_by=_decided_by(event),
        occurred_at=paid_at(event),
        amount_received=event.amount_received,
        order_id=event.order_id,
        is_whole=event.is_whole,
    )
    return _allocated(payment, case, misfit)


def _with_news(case: Case, before: PaymentState, misfit: Reason | None) -> PaymentState:
    event = case.event
    status = _proven(event)
    named = before._replace(provider_payment_id=principal_name(before.provider_payment_id, event.provider_ids[0]))
    if status is PaymentStatus.SUCCEEDED:
        return _with_success(case, named, misfit)
    if before.status is PaymentStatus.SUCCEEDED:
        return named
    is_news = event.order > before.decided_by or _is_first_of_its_own(event, before)
    return _with_status(named, event, status) if is_news else named


def _proven(event: PaymentFact) -> PaymentStatus:
    assert event.evidence is not None  # noqa: S101  (settled by why_ignored)
    return PROVES[event.evidence]


def _with_success(case: Case, known: PaymentState, misfit: Reason | None) -> PaymentState:
    """Add an event that proves success; the larger amount and the earlier time count."""
    event = case.event
    if known.status is not PaymentStatus.SUCCEEDED:
        return _allocated(_with_status(known, event, PaymentStatus.SUCCEEDED), case, misfit)
    if _is_further_whole(event, known, case.wanted_currency) or _is_first_of_its_own(event, known):
        payment = _with_status(known, event, PaymentStatus.SUCCEEDED)
    elif event.is_whole and not known.is_whole:
        payment = known
    else:
        payment = _with_second_success(known, event, case.wanted_currency)
    return _allocated(payment, case, misfit) if is_applied_again(payment, case) else payment


def _is_further_whole(event: PaymentFact, known: PaymentState, wanted_currency: str | None) -> bool:
    """Whether an event reports a larger total of a Stripe invoice, or the total in the currency that decides."""
    if not (event.is_whole and known.is_whole):
        return False
    before, told = Amount(known.amount, known.currency), Amount(event.amount, event.currency)
    return before != told == amount_of_both(before, told, wanted_currency)


def _is_first_of_its_own(event: PaymentFact, before: PaymentState) -> bool:
    """Whether an event is the first about the payment itself, after events about its whole Stripe invoice."""
    return before.is_whole and not event.is_whole


def _with_second_success(known: PaymentState, event: PaymentFact, wanted_currency: str | None) -> PaymentState:
    """Add another proof of success.

    A charge's time is when it was made, days before a bank debit is paid: it counts only until an event reports the
    success.
    """
    is_known, is_reported = bool(known.decided_by), event.evidence is Evidence.PAID
    occurred_at = known.occurred_at
    if is_known is is_reported:
        occurred_at = min(known.occurred_at, paid_at(event))
    elif is_reported:
        occurred_at = paid_at(event)
    amount, currency = amount_of_both(
        Amount(known.amount, known.currency), Amount(event.amount, event.currency), wanted_currency
    )
    decided_by = known.decided_by or _decided_by(event)
    return known._replace(amount=amount, currency=currency, occurred_at=occurred_at, decided_by=decided_by)


def _with_status(payment: PaymentState, event: PaymentFact, status: PaymentStatus) -> PaymentState:
    is_failed = status is PaymentStatus.FAILED
    return payment._replace(
        status=status,
        amount=event.amount,
        currency=event.currency,
        occurred_at=paid_at(event),
        decided_by=_decided_by(event),
        amount_received=event.amount_received,
        is_whole=payment.is_whole and event.is_whole,
        failure_code=event.failure_code if is_failed else None,
        failure_message=event.failure_message if is_failed else None,
    )


def _decided_by(event: PaymentFact) -> str:
    """Return the event's place in Stripe's order; empty for a refunded charge, which can't say when it was paid."""
    return "" if event.evidence is Evidence.REFUNDED else event.order


def paid_at(event: PaymentFact) -> datetime:
    """Return when an event's money came in, by Stripe's clock."""
    return from_epoch(event.created if event.paid_at is None else event.paid_at)


def _allocated(payment: PaymentState, case: Case, misfit: Reason | None) -> PaymentState:
    invoice = case.invoice
    return payment._replace(
        invoice_id=invoice.id if invoice else None,
        customer_id=invoice.customer_id if invoice else case.customer_id,
        allocation=Allocation.APPLIED if misfit is None else Allocation.UNAPPLIED,
        unapplied_code=misfit,
    )


# --- What went back --------------------------------------------------------------------------------------------


def is_in_another_currency(event: PaymentFact, payment: PaymentState) -> bool:
    """Whether a refund is in another currency than its payment, so that it can't be subtracted."""
    return event.evidence in REFUNDS and event.currency != payment.currency


def _refunds_in(event: PaymentFact) -> Refunds:
    if event.evidence is Evidence.REFUNDED:
        return Refunds(event.refunded, event.order)
    if event.refund is None:
        return Refunds()
    refund = event.refund
    return Refunds(each=(Refund(refund.id, event.amount, refund.created, refund.is_gone, event.order),))


def _disputes_after(payment: PaymentState, event: PaymentFact) -> tuple[Dispute, ...]:
    fact = event.dispute
    if fact is None:
        return payment.disputes
    closed_at = from_epoch(event.created) if event.evidence is Evidence.DISPUTE_CLOSED else None
    told = Dispute(event.order, fact.status, fact.reason, fact.amount, from_epoch(fact.opened), closed_at, fact.id)
    return disputes_of_both(payment.disputes, [told])
