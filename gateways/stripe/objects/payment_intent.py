"""Payment intents: an attempt to pay, from its beginning to its success, failure or cancellation."""

from typing import Final

from gateways.stripe.fields import MAX_ID, Facts, StripeObject, amount_of, currency_of, integer, prose
from gateways.stripe.objects.shared_fields import Handled, failure_of, payment_names, presentment_of
from models.money import MAX_MINOR_UNITS
from models.payment_fact import Evidence, UnreadableError


def succeeded(intent: StripeObject) -> Facts:
    return _intent(intent, Evidence.PAID) | {"amount": amount_of(intent, "amount_received")}


def processing(intent: StripeObject) -> Facts:
    return _intent(intent, Evidence.PENDING)


def partially_funded(intent: StripeObject) -> Facts:
    """Read a bank transfer that came in part: the customer's instructions contain the missing amount."""
    facts = _intent(intent, Evidence.PENDING)
    action = intent.get("next_action")
    instructions = action.get("display_bank_transfer_instructions") if isinstance(action, dict) else None
    if not isinstance(instructions, dict):
        raise UnreadableError("data.object.next_action does not describe the bank transfer")
    missing = integer(instructions, "amount_remaining", MAX_MINOR_UNITS)
    return facts | {"amount_received": max(0, facts["amount"] - missing)}


def failed(intent: StripeObject) -> Facts:
    return _intent(intent, Evidence.FAILED) | failure_of(intent.get("last_payment_error"))


def canceled(intent: StripeObject) -> Facts:
    reason = prose(intent.get("cancellation_reason"), MAX_ID)
    because = f" ({reason})" if reason else ""
    return failed(intent) | {
        "failure_code": "canceled",
        "failure_message": f"The payment was canceled at Stripe{because}.",
    }


def _intent(intent: StripeObject, evidence: Evidence) -> Facts:
    return {
        **payment_names(intent),
        "evidence": evidence,
        "amount": amount_of(intent, "amount"),
        "currency": currency_of(intent),
        "presentment": presentment_of(intent),
    }


HANDLED: Final = {
    "payment_intent.succeeded": Handled(succeeded, "a payment succeeded", is_needed=True),
    "payment_intent.payment_failed": Handled(failed, "an attempt to pay failed", is_needed=True),
    "payment_intent.processing": Handled(processing, "a bank debit is under way, so nobody should pay again", weight=1),
    "payment_intent.canceled": Handled(canceled, "a payment was canceled, so the invoice can be paid again", weight=2),
    "payment_intent.partially_funded": Handled(partially_funded, "a part of a bank transfer arrived", weight=1),
}
