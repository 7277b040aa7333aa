"""Payment intents: an attempt to pay, from its beginning to its success, failure or cancellation."""

from gateways.stripe.fields import MAX_ID, Facts, StripeObject, amount_of, currency_of, integer, prose
from gateways.stripe.objects.common import failure_of, payment_names, presentment_of
from models.money import MAX_MINOR_UNITS
from models.payment_fact import Evidence, UnreadableError


def succeeded(intent: StripeObject) -> Facts:
    return _intent(intent, Evidence.PAID) | {"amount": amount_of(intent, "amount_received")}


def processing(intent: StripeObject) -> Facts:
    return _intent(intent, Evidence.PENDING)


def partially_funded(intent: StripeObject) -> Facts:
    """Read a bank transfer that came in part: what is missing stands in the instructions that the customer got."""
    told = _intent(intent, Evidence.PENDING)
    action = intent.get("next_action")
    instructions = action.get("display_bank_transfer_instructions") if isinstance(action, dict) else None
    if not isinstance(instructions, dict):
        raise UnreadableError("data.object.next_action tells nothing of the bank transfer")
    missing = integer(instructions, "amount_remaining", MAX_MINOR_UNITS)
    return told | {"amount_received": max(0, told["amount"] - missing)}


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
