"""Reads a Stripe event: turns a verified body into facts about a payment.

Source: Stripe, "Event object" and the objects it carries, API versions 2020-08-27 to 2026-10-28.
"""

from typing import Final

from gateways.stripe.decoding import decoded
from gateways.stripe.fields import MAX_EPOCH, MAX_ID, Facts, StripeObject, boolean, integer, optional_id, required_id
from gateways.stripe.objects import checkout_session, money_back, payment_intent, stripe_invoice
from gateways.stripe.objects.shared_fields import Handled, our_metadata
from models.payment_fact import PaymentFact, UnreadableError

READER_VERSION: Final = 3
"""Raise it whenever more can be read: events that an older version could not read are then tried again."""

_THIN: Final = "v2.core.event"


def read(body: bytes) -> PaymentFact:
    """Read a verified body.

    Raises:
        UnreadableError: It is not a Stripe event, or a field that we rely on has another type than documented.
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
        event_id, event_type = _name(event.get("id")), _name(event.get("type"))
        raise UnreadableError(str(error), event_id, event_type, is_money=handled is not None) from None


def _name(value: object) -> str | None:
    """Return a value if both databases can store it as an id or a type."""
    is_name = isinstance(value, str) and 0 < len(value) <= MAX_ID and "\x00" not in value
    return str(value) if is_name else None


def _may_be_money(body: bytes) -> bool:
    """Whether a body without a readable type contains the name of a type that we handle."""
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
    subject["api_version"] = envelope["api_version"]  # the meaning of some fields depends on it
    facts = our_metadata(subject) | handled.read(subject)
    facts.setdefault("weight", handled.weight)
    parts = facts.pop("parts", ())
    known = PaymentFact(**envelope, **facts, is_handled=True)
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
"""Every handled type, in the order in which they are shown: required ones first."""

EVENTS_TO_SEND: Final = tuple(HANDLED)
"""The types of events to select in Stripe."""

NEEDED_EVENTS: Final = tuple(name for name, handled in HANDLED.items() if handled.is_needed)
"""The types without which invoices are not marked as paid."""


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
