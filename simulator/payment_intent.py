"""PaymentIntents and their charges: the money side of a session."""

import copy
from typing import Any, Final

from simulator.account import Account
from simulator.call import Call
from simulator.errors import Payload, no_such
from simulator.ids import new_id

CARD: Final[Payload] = {
    "brand": "visa",
    "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
    "country": "US",
    "exp_month": 12,
    "exp_year": 2034,
    "funding": "credit",
    "last4": "4242",
    "network": "visa",
}
BANK: Final[Payload] = {
    "account_holder_type": "individual",
    "account_type": "checking",
    "bank_name": "STRIPE TEST BANK",
    "last4": "6789",
    "routing_number": "110000000",
}
METHODS: Final = {"card": CARD, "us_bank_account": BANK}

CARD_DECLINED: Final[Payload] = {
    "code": "card_declined",
    "decline_code": "generic_decline",
    "doc_url": "https://docs.stripe.com/error-codes#card-declined",
    "message": "Your card was declined.",
    "type": "card_error",
}
DEBIT_FAILED: Final[Payload] = {
    "code": "payment_method_provider_decline",
    "decline_code": "insufficient_funds",
    "doc_url": "https://docs.stripe.com/error-codes#payment-method-provider-decline",
    "message": "The customer's account has insufficient funds to cover this payment.",
    "type": "card_error",
}


def new_payment_intent(account: Account, link: Payload, amount: int, created: int) -> Payload:
    """Make a PaymentIntent; its metadata comes from the link's `payment_intent_data`, not from the link's own."""
    intent_id = new_id("pi")
    given: dict[str, Any] = link["payment_intent_data"] or {}
    intent: Payload = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": given.get("capture_method") or "automatic_async",
        "client_secret": f"{intent_id}_{new_id('secret')}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": link["currency"],
        "customer": None,
        "description": given.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": dict(given.get("metadata", {})),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": link["payment_method_types"] or ["card", "us_bank_account"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": given.get("setup_future_usage"),
        "shipping": None,
        "source": None,
        "statement_descriptor": given.get("statement_descriptor"),
        "statement_descriptor_suffix": given.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": given.get("transfer_group"),
    }
    account.payment_intents[intent_id] = intent
    return intent


def new_charge(account: Account, intent: Payload, method: str, email: str, created: int) -> Payload:
    """Make a charge: one attempt to take the money, by card or bank debit."""
    charge: Payload = {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": email, "name": "Simulated Customer", "phone": None},
        "captured": False,
        "created": created,
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "dispute": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": new_id("pm"),
        "payment_method_details": {"type": method, method: copy.deepcopy(METHODS[method])},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "shipping": None,
        "statement_descriptor": intent["statement_descriptor"],
        "status": "pending",
        "transfer_group": intent["transfer_group"],
    }
    account.charges[charge["id"]] = charge
    intent.update(latest_charge=charge["id"], payment_method=charge["payment_method"], last_payment_error=None)
    return charge


def succeed(intent: Payload, charge: Payload) -> None:
    """Mark an intent and its charge as succeeded."""
    charge.update(
        amount_captured=charge["amount"],
        balance_transaction=new_id("txn"),
        captured=True,
        outcome={
            "network_status": "approved_by_network",
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        paid=True,
        status="succeeded",
    )
    intent.update(amount_received=intent["amount"], status="succeeded")


def fail(intent: Payload, charge: Payload, reason: Payload) -> None:
    """Mark a charge as failed; its intent waits for another payment method."""
    charge.update(failure_code=reason["code"], failure_message=reason["message"], status="failed")
    details = charge["payment_method_details"]
    payment_method = {
        "id": charge["payment_method"],
        "object": "payment_method",
        "billing_details": charge["billing_details"],
        "created": charge["created"],
        "customer": None,
        "livemode": False,
        "metadata": {},
        **details,
    }
    intent.update(
        last_payment_error={**reason, "charge": charge["id"], "payment_method": payment_method},
        payment_method=None,
        status="requires_payment_method",
    )


def retrieve_payment_intent(call: Call) -> Payload:
    """Give one PaymentIntent."""
    call.takes_nothing()
    if call.object_id not in call.account.payment_intents:
        raise no_such("payment_intent", call.object_id, "intent")
    return call.account.payment_intents[call.object_id]
