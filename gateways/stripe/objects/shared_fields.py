"""Reads fields that several of Stripe's objects have: a payment's ids, our metadata, failures, converted amounts."""

from collections.abc import Callable
from typing import Final, NamedTuple

from gateways.stripe.fields import (
    MAX_ID,
    Facts,
    StripeObject,
    currency_of,
    integer,
    optional_id,
    prose,
    reference,
    required_id,
)
from models.money import MAX_MINOR_UNITS
from models.payment_fact import Presentment, UnreadableError

MAX_METADATA: Final = 500
"""The most characters of a value of Stripe's metadata."""

MAX_MESSAGE: Final = 2000
"""How many characters of a failure's message are stored."""


class Handled(NamedTuple):
    """A handled type of event: how to read it, and when Stripe sends it. Source: Stripe, "Types of events".

    `is_needed`: without it invoices are not marked as paid; the others are about bank debits, refunds, disputes and
    payments outside of Stripe. Of two events of a payment in the same second, the one with more `weight` is later.
    """

    read: Callable[[StripeObject], Facts]
    when_sent: str
    is_needed: bool = False
    weight: int = 0


def payment_names(subject: StripeObject) -> Facts:
    """Read a payment's ids (the intent's, the object's own, then the session's), and that of its Stripe invoice.

    A session with a Stripe invoice and no intent, as a subscription's, is about that whole invoice.
    """
    intent, own_id = reference(subject, "payment_intent"), required_id(subject, "id", "data.object.id")
    order_id, behind = reference(subject, "invoice"), _order_reference(subject)
    names = (intent, own_id, behind if behind and behind.startswith("cs_") else None)
    if order_id is None and behind and behind.startswith("in_"):
        order_id = behind
    if order_id is not None and intent is None and own_id.startswith("cs_"):
        return {"provider_ids": (order_id,), "order_id": order_id, "is_whole": True}
    return {"provider_ids": tuple(dict.fromkeys(name for name in names if name)), "order_id": order_id}


def _order_reference(subject: StripeObject) -> str | None:
    """Read the invoice or session that an intent pays for, since basil; merchants may write any text there."""
    details = subject.get("payment_details")
    named = details.get("order_reference") if isinstance(details, dict) else None
    if not isinstance(named, str) or not named.startswith(("in_", "cs_")) or len(named) > MAX_ID:
        return None
    return named


def our_metadata(subject: StripeObject) -> Facts:
    metadata = subject.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise UnreadableError("data.object.metadata is not an object")
    return {
        f"metadata_{name}": _trimmed(optional_id(metadata, name, f"data.object.metadata.{name}", MAX_METADATA))
        for name in ("invoice_id", "customer_id", "workspace_id")
    }


def _trimmed(value: str | None) -> str | None:
    """Strip blanks: people sometimes type metadata by hand."""
    return (value and value.strip()) or None


def failure_of(error: object) -> Facts:
    if not isinstance(error, dict):
        return {}
    code = error.get("decline_code") or error.get("code")
    return {
        "failure_code": prose(code, MAX_ID),
        "failure_message": prose(error.get("message"), MAX_MESSAGE),
    }


def presentment_of(subject: StripeObject) -> Presentment | None:
    """Read the amount in the customer's currency; nothing depends on it, so an unreadable one is left out."""
    details = subject.get("presentment_details")
    if not isinstance(details, dict):
        return None
    try:
        amount = integer(details, "presentment_amount", MAX_MINOR_UNITS)
        return Presentment(amount, currency_of(details, "presentment_currency"))
    except UnreadableError:
        return None
