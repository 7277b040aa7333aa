"""Reading a Stripe event: what a verified body says about a payment.

Source: Stripe, "Event object" and the objects it carries, API versions 2020-08-27 to 2026-10-28.
"""

from typing import Final

from gateways.stripe.decoding import decoded
from gateways.stripe.fields import MAX_EPOCH, MAX_ID, Facts, StripeObject, boolean, integer, optional_id, required_id
from gateways.stripe.objects import checkout_session, money_back, payment_intent, stripe_invoice
from gateways.stripe.objects.shared_fields import Handled, our_metadata
from models.payment_fact import PaymentFact, UnreadableError

READER_VERSION: Final = 3
"""Grows with every change that reads more: events that an older reader could not read are then tried again."""

_THIN: Final = "v2.core.event"


def read(body: bytes) -> PaymentFact:
    """Read a verified body.

    Raises:
        UnreadableError: It is not a Stripe event, or a field that decides has another type than documented.
    """
    try:
        event = decoded(body)
    except ValueError as error:
        text = f"the body is not JSON in UTF-8 ({error})"
        raise UnreadableError(text, is_money=_may_be_money(body)) from None
    if not isinstance(event, dict):
        raise UnreadableError("the body is not a JSON object", is_money=_may_be_money(body))
    handled = HANDLED.get(event["type"]) if isinstance(event.get("type"), str) else None
    try:
        return _read(event, handled)
    except UnreadableError as error:
        told_id, told_type = (
            value if isinstance(value := event.get(name), str) and 0 < len(value) <= MAX_ID else None
            for name in ("id", "type")
        )
        raise UnreadableError(str(error), told_id, told_type, is_money=handled is not None) from None


def _may_be_money(body: bytes) -> bool:
    """Whether a body that has no type which could be read names one that we handle."""
    return any(f'"{name}"'.encode() in body for name in HANDLED)


def _read(event: StripeObject, handled: Handled | None) -> PaymentFact:
    if event.get("object") == _THIN:
        raise UnreadableError(
            "it is a thin event, which only names its object: choose the snapshot payload style in Stripe"
        )
    envelope: Facts = {
        "id": required_id(event, "id"),
        "type": required_id(event, "type"),
        "created": integer(event, "created", MAX_EPOCH, default=0),
        "livemode": boolean(event, "livemode"),
        "api_version": optional_id(event, "api_version"),
    }
    if handled is None:
        return PaymentFact(**envelope)
    subject = _subject(event)
    subject["api_version"] = envelope["api_version"]  # what some fields mean depends on it
    told = our_metadata(subject) | handled.read(subject)
    told.setdefault("weight", handled.weight)
    parts = told.pop("parts", ())
    known = PaymentFact(**envelope, **told, is_handled=True)
    return known._replace(parts=tuple(known._replace(**part) for part in parts)) if parts else known


def _subject(event: StripeObject) -> Facts:
    payload = event.get("data")
    subject = payload.get("object") if isinstance(payload, dict) else None
    if not isinstance(subject, dict):
        raise UnreadableError("data.object is not an object")
    return subject


_OBJECTS: Final = (checkout_session, payment_intent, stripe_invoice, money_back)

HANDLED: Final[dict[str, Handled]] = dict(
    sorted(
        (item for each in _OBJECTS for item in each.HANDLED.items()),
        key=lambda item: not item[1].is_needed,
    )
)
"""Every type that is read, in the order in which it is shown: what is needed first."""

EVENTS_TO_SEND: Final = tuple(HANDLED)
"""What to select in Stripe."""

NEEDED_EVENTS: Final = tuple(name for name, handled in HANDLED.items() if handled.is_needed)
"""Those of them without which invoices are not marked as paid."""


def session_event(session: StripeObject, found_at: int) -> StripeObject:
    """Make the event that should have arrived for a completed session."""
    return {
        "id": f"session:{session['id']}:{session['payment_status']}",
        "object": "event",
        "type": "checkout.session.completed",
        "created": found_at,
        "livemode": session["livemode"],
        "data": {"object": session},
    }
