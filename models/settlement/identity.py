"""Finds the payments that an event is about, and merges payments that turn out to be one.

Stripe names a payment by its payment intent, its Checkout Session, its charge or its Stripe invoice, and no event
carries all of these names. Two payments stay separate until an event shows that they are one.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.kinds import PaymentStatus
from models.money_back import disputes_of_both
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact, Presentment
from models.settlement.case import Absorbed, Case
from models.settlement.stripe_invoice import StripeInvoice


class Subject(NamedTuple):
    """What an event is about: the payments `known` under its names, and their Stripe invoice.

    Its case leaves out payments that count for other invoices, and their names.
    """

    case: Case
    known: Sequence[PaymentState]
    stripe_invoice: StripeInvoice


def subject_of(case: Case) -> Subject:
    """Find what an event is about.

    A payment that counts for another invoice stays unchanged, even if an event names it. Nor is a payment of another
    intent meant: a Stripe invoice can have several payments, and one of them may be known by its id.
    """
    own_invoice = case.invoice.id if case.invoice else None
    named = [payment for payment in case.payments if not payment.provider_ids.isdisjoint(case.event.provider_ids)]
    known = [
        payment
        for payment in named
        if (not payment.counts or payment.invoice_id == own_invoice) and not _is_of_another_intent(payment, case.event)
    ]
    others = [payment for payment in named if payment not in known]
    own = _without(others, case, own_invoice) if others else case
    order_id = own.event.order_id or next((payment.order_id for payment in known), None)
    return Subject(own, known, StripeInvoice.among(own.payments, order_id))


def may_be_counted_already(case: Case) -> bool:
    """Whether an event's money may be counted already, as a payment with other names.

    One of the two is known by its Stripe invoice, the other by its payment intent, and the event that names both has
    not come yet.
    """
    event = case.event
    if event.evidence not in {Evidence.PAID, Evidence.REFUNDED}:
        return False
    counted = [each for each in case.payments if each.counts and each.currency == event.currency]
    if event.is_whole:
        return any(payment.order_id is None and payment.amount <= event.amount for payment in counted)
    return event.order_id is None and any(each.is_whole and each.amount >= event.amount for each in counted)


def _without(others: Sequence[PaymentState], case: Case, own_invoice: str | None) -> Case:
    """Remove the names of other payments from the event, and the payments that count elsewhere from the case."""
    taken = frozenset[str]().union(*(payment.provider_ids for payment in others))
    names = tuple(name for name in case.event.provider_ids if name not in taken)
    payments = [payment for payment in case.payments if payment not in others or payment.invoice_id == own_invoice]
    return case._replace(event=case.event._replace(provider_ids=names), payments=payments)


def _is_of_another_intent(payment: PaymentState, event: PaymentFact) -> bool:
    asked, own = _intents(event.provider_ids), _intents(payment.provider_ids)
    return bool(asked) and bool(own) and asked.isdisjoint(own)


def _intents(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith("pi_"))


# --- Several payments as one -----------------------------------------------------------------------------------


class Merged(NamedTuple):
    """The payment that several turned out to be, None if there was none; and those that it absorbed."""

    payment: PaymentState | None
    absorbed: tuple[Absorbed, ...] = ()


def merged(known: Sequence[PaymentState], wanted_currency: str | None) -> Merged:
    """Merge payments into the oldest of them; if they have two currencies, the wanted one decides."""
    if not known:
        return Merged(None)
    kept, *rest = sorted(known, key=lambda payment: payment.id)
    for other in rest:
        kept = _merged(kept, other, wanted_currency)
    return Merged(kept, tuple(Absorbed(other.id, kept.id) for other in rest))


def _merged(kept: PaymentState, other: PaymentState, wanted_currency: str | None) -> PaymentState:
    both = kept, other
    order_id = kept.order_id or other.order_id
    if kept.is_whole is other.is_whole:
        decided = _further(kept, other, wanted_currency)
    else:
        decided = _own_or_rest(*sorted(both, key=lambda payment: payment.is_whole))
    refunds = [payment.refunds for payment in both if payment.currency == decided.currency]
    return decided._replace(
        id=kept.id,
        provider_payment_id=principal_name(kept.provider_payment_id, other.provider_payment_id),
        provider_ids=own_names(kept.provider_ids | other.provider_ids, order_id),
        order_id=order_id,
        refunds=refunds[0].merged(refunds[-1]),
        disputes=disputes_of_both(kept.disputes, other.disputes),
        presentment=presentment_of_both(kept.presentment, other.presentment),
    )


def _further(kept: PaymentState, other: PaymentState, wanted_currency: str | None) -> PaymentState:
    """Take the payment that is further; of two that succeeded, the larger amount and the earlier time."""
    both = kept, other
    further = max(both, key=_standing)
    if not kept.status is other.status is PaymentStatus.SUCCEEDED:
        return further
    amount, currency = amount_of_both(
        Amount(kept.amount, kept.currency), Amount(other.amount, other.currency), wanted_currency
    )
    dated = [payment for payment in both if payment.decided_by] or both
    return further._replace(
        amount=amount,
        currency=currency,
        occurred_at=min(payment.occurred_at for payment in dated),
        decided_by=max(kept.decided_by, other.decided_by),
    )


def _standing(payment: PaymentState) -> tuple[bool, bool, str]:
    """Rank payments: one that succeeded is first, then one that counts, then the latest."""
    return payment.status is PaymentStatus.SUCCEEDED, payment.counts, payment.decided_by


def _own_or_rest(own: PaymentState, rest: PaymentState) -> PaymentState:
    """Merge a payment with the rest of its Stripe invoice: its own events decide, except where it applies."""
    if rest.status is not PaymentStatus.SUCCEEDED:
        return own
    if own.status is not PaymentStatus.SUCCEEDED:
        return rest
    return applied_as(own, rest)


def applied_as(own: PaymentState, rest: PaymentState) -> PaymentState:
    """Apply a payment that fits no invoice to the invoice that the rest, of which it was a part, is applied to."""
    is_money = own.status is PaymentStatus.SUCCEEDED and own.currency == rest.currency
    if own.counts or not rest.counts or not is_money:
        return own
    return own._replace(
        invoice_id=rest.invoice_id, customer_id=rest.customer_id, allocation=rest.allocation, unapplied_code=None
    )


# --- What two sources say of one payment -----------------------------------------------------------------------


class Amount(NamedTuple):
    """An amount in minor units and its currency, as an event or payment states it."""

    amount: int
    currency: str


def amount_of_both(one: Amount, other: Amount, wanted_currency: str | None) -> Amount:
    """Choose between two amounts of one payment: the larger one.

    Amounts of two currencies can't be compared: then the wanted currency decides, which is the invoice's, or else the
    first code in the alphabet, so that the books end the same in every order.
    """
    if one.currency == other.currency:
        return max(one, other)
    return min(one, other, key=lambda each: (each.currency != wanted_currency, each.currency))


def presentment_of_both(one: Presentment | None, other: Presentment | None) -> Presentment | None:
    """Choose the amount that the customer saw: the larger one, should the events of a payment differ."""
    return max((seen for seen in (one, other) if seen), key=lambda seen: (seen.amount, seen.currency), default=None)


def own_names(names: frozenset[str], order_id: str | None) -> frozenset[str]:
    """Drop a Stripe invoice's id, unless it is the only name."""
    return names - {order_id} or names


def principal_name(*names: str) -> str:
    """Choose the name to show: the intent's, then the session's, then any other; a Stripe invoice's is last."""
    ranks = ("pi_", "cs_", "")
    return min(names, key=lambda name: (name.startswith("in_"), *(not name.startswith(each) for each in ranks), name))
