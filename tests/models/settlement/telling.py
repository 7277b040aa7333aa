"""Stripe's events about the payment of one invoice of ours, for the tests of settlement."""

from itertools import permutations
from typing import Any, Final

from tests.world import stripe_payloads as stripe
from tests.world.desk import CUSTOMER, INVOICE, WORKSPACE
from tests.world.stripe_payloads import Event

OURS: Final[Any] = {"invoice_id": INVOICE, "customer_id": CUSTOMER, "workspace_id": WORKSPACE}
"""The metadata of the links that we make."""

ORDERS_OF_2: Final = list(permutations(range(2)))
ORDERS_OF_3: Final = list(permutations(range(3)))


def paid(amount: int = 2000, payment_intent: str = "pi_a", **told: Any) -> Event:
    """Money came for the invoice."""
    return stripe.payment_intent_succeeded(**(OURS | {"amount": amount, "payment_intent": payment_intent} | told))


def failed(payment_intent: str = "pi_a", **told: Any) -> Event:
    """Money did not come for the invoice."""
    return stripe.payment_intent_failed(**(OURS | {"payment_intent": payment_intent} | told))


def completed(payment_status: str = "paid", payment_intent: str | None = "pi_a", **told: Any) -> Event:
    """The customer is through with our link."""
    standard = {"payment_status": payment_status, "payment_intent": payment_intent, "payment_link": "plink_a"}
    return stripe.checkout_session_completed(**(OURS | standard | told))


def trial() -> Event:
    """A customer subscribed, and pays nothing yet."""
    event = completed("no_payment_required", None, invoice="in_a", amount=0)
    event["data"]["object"] |= {"mode": "subscription", "subscription": "sub_a"}
    return event


def later_succeeded(**told: Any) -> Event:
    """A bank debit through our link came."""
    return stripe.checkout_session_async_succeeded(
        **(OURS | {"payment_intent": "pi_a", "payment_link": "plink_a"} | told)
    )


def later_failed(**told: Any) -> Event:
    """A bank debit through our link did not come."""
    return stripe.checkout_session_async_failed(**(OURS | {"payment_intent": "pi_a", "payment_link": "plink_a"} | told))


def processing(**told: Any) -> Event:
    """A bank debit of the payment is under way."""
    return stripe.payment_intent_processing(**(OURS | {"payment_intent": "pi_a"} | told))


def canceled(**told: Any) -> Event:
    """The payment was given up at Stripe."""
    return stripe.payment_intent_canceled(**(OURS | {"payment_intent": "pi_a"} | told))


def in_parts(**parts: int) -> Event:
    """A Stripe invoice that several payments paid."""
    return stripe.stripe_invoice_paid(**OURS, invoice="in_a", amount=sum(parts.values()), payments=parts)
