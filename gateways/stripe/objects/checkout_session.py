"""Checkout Sessions: what a customer did on a Payment Link's page."""

from typing import Final

from gateways.stripe.fields import Facts, StripeObject, amount_of, currency_of, integer, reference
from gateways.stripe.objects.shared_fields import Handled, payment_names, presentment_of
from models.money import MAX_MINOR_UNITS
from models.payment_fact import Evidence, Presentment, UnreadableError


def completed(session: StripeObject) -> Facts:
    if session.get("mode") == "setup":
        return {}  # a card was saved, nothing was paid
    status = session.get("payment_status")
    if status is None or status == "paid":  # None: before Stripe had this field, a completed session was a paid one
        return _session(session, Evidence.PAID)
    if status == "unpaid":
        return _session(session, Evidence.PENDING)
    if status == "no_payment_required":
        is_trial = session.get("mode") == "subscription"  # events of its Stripe invoices say what is paid later
        if is_trial or session.get("currency") is None:
            return {}
        return {**_session(session, Evidence.PAID), "amount": 0}
    raise UnreadableError("data.object.payment_status is none that Stripe documents")


def async_payment_succeeded(session: StripeObject) -> Facts:
    return _session(session, Evidence.PAID)


def async_payment_failed(session: StripeObject) -> Facts:
    return {**_session(session, Evidence.FAILED), "failure_code": "async_payment_failed"}


def _session(session: StripeObject, evidence: Evidence) -> Facts:
    facts: Facts = {
        **payment_names(session),
        "evidence": evidence,
        "amount": amount_of(session, "amount_total"),
        "currency": currency_of(session),
        "payment_link_id": reference(session, "payment_link"),
        "presentment": presentment_of(session),
    }
    conversion = session.get("currency_conversion")
    if conversion is None:
        return facts
    if not isinstance(conversion, dict):
        raise UnreadableError("data.object.currency_conversion is not an object")
    return facts | {  # made before 2025-03-31: the session's own currency is the customer's
        "amount": integer(conversion, "amount_total", MAX_MINOR_UNITS),
        "currency": currency_of(conversion, "source_currency"),
        "presentment": Presentment(facts["amount"], facts["currency"]),
    }


HANDLED: Final = {
    "checkout.session.completed": Handled(completed, "a customer completed a Payment Link", is_needed=True, weight=1),
    "checkout.session.async_payment_succeeded": Handled(
        async_payment_succeeded, "a bank debit succeeded after the customer completed the Payment Link"
    ),
    "checkout.session.async_payment_failed": Handled(async_payment_failed, "a bank debit failed", weight=2),
}
