"""Stripe's own invoices, paid by one or several payments, some of them outside of Stripe."""

from typing import Any, Final, NamedTuple

from gateways.stripe.fields import Facts, StripeObject, amount_of, currency_of, integer, reference, required_id
from gateways.stripe.objects.shared_fields import Handled, failure_of
from models.money import MAX_MINOR_UNITS
from models.payment_fact import Evidence


def paid(invoice: StripeObject) -> Facts:
    """Read what was paid: one payment, unless Stripe lists several.

    Since basil an invoice can be paid in parts, some out of band. If the list lacks some of it, one more part is
    the whole invoice, under its own id.
    """
    facts = _whole(invoice, Evidence.PAID, "amount_paid")
    if invoice.get("paid_out_of_band") is True:  # before basil, and amount_paid is only what came through Stripe
        return facts | {"evidence": Evidence.OUT_OF_BAND, "amount": integer(invoice, "amount_due", MAX_MINOR_UNITS)}
    old_intent = reference(invoice, "payment_intent")
    entries = [entry for entry in _listed(invoice) if entry.get("status") == "paid"]
    if old_intent is not None or not entries:
        return facts | _by_intent(old_intent)
    payments = [_listed_payment(entry, facts["amount"] if len(entries) == 1 else None) for entry in entries]
    outside = sum(payment.amount for payment in payments if not payment.name)
    parts = [facts | _by_intent(name) | {"amount": amount} for name, amount in sorted(payments) if name]
    if facts["amount"] > sum(payment.amount for payment in payments):
        parts.append(facts | {"amount": facts["amount"] - outside})
    if outside:
        parts.append(facts | {"evidence": Evidence.OUT_OF_BAND, "amount": outside})
    return parts[0] | ({"parts": parts} if len(parts) > 1 else {})


def payment_failed(invoice: StripeObject) -> Facts:
    """Read the attempt that is open, never one that was given up: that is not the one that pays in the end."""
    facts = _whole(invoice, Evidence.FAILED, "amount_due")
    intent = reference(invoice, "payment_intent")
    if intent is None:
        tried = [entry for entry in _listed(invoice) if entry.get("status") not in ("paid", "canceled")]
        tried.sort(key=lambda entry: entry.get("is_default") is not True)
        payment = tried[0].get("payment") if tried else None
        intent = reference(payment, "payment_intent") if isinstance(payment, dict) else None
    return facts | failure_of(invoice.get("last_finalization_error")) | _by_intent(intent)


def _whole(invoice: StripeObject, evidence: Evidence, amount: str) -> Facts:
    own_id = required_id(invoice, "id", "data.object.id")
    return {
        "evidence": evidence,
        "provider_ids": (own_id,),
        "order_id": own_id,
        "is_whole": True,
        "amount": amount_of(invoice, amount),
        "currency": currency_of(invoice),
    }


def _by_intent(name: str | None) -> Facts:
    return {"provider_ids": (name,), "is_whole": False} if name else {}


class _Listed(NamedTuple):
    """A payment that a Stripe invoice lists. The id is empty if it was made outside of Stripe."""

    name: str
    amount: int


def _listed_payment(entry: StripeObject, only_amount: int | None) -> _Listed:
    """Read a payment of the list. `only_amount` replaces a missing amount if the list has only one payment."""
    amount = integer(entry, "amount_paid", MAX_MINOR_UNITS, default=only_amount)
    payment = entry.get("payment")
    if not isinstance(payment, dict):
        return _Listed("", amount)
    return _Listed(reference(payment, "payment_intent") or reference(payment, "charge") or "", amount)


def _listed(invoice: StripeObject) -> list[dict[str, Any]]:
    """Read the list of the invoice's payments, which Stripe sends since 2025-03-31.basil if it is expanded."""
    payments = invoice.get("payments")
    entries = payments.get("data") if isinstance(payments, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


HANDLED: Final = {
    "invoice.payment_succeeded": Handled(paid, "a Stripe invoice was paid", is_needed=True),
    "invoice.payment_failed": Handled(payment_failed, "an attempt to pay a Stripe invoice failed", is_needed=True),
    "invoice.paid": Handled(paid, "a Stripe invoice was paid, perhaps outside of Stripe"),
}
