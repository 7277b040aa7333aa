"""Events as Stripe posts them, in the shape of its first API versions that we read and of its newest.

Everything has a default and every id is fresh, so a test names only what it is about. Metadata that is None is left
out. `body` encodes an event, `signed_headers` signs what was encoded.
"""

import hmac
import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Literal, NotRequired, TypedDict, Unpack
from uuid import uuid4

Event = dict[str, Any]
Shape = Literal["2020-08-27", "2026-10-28.endive"]

OLD: Final[Shape] = "2020-08-27"
NEW: Final[Shape] = "2026-10-28.endive"
SHAPES: Final[tuple[Shape, ...]] = (OLD, NEW)

DECLINED: Final = {
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "doc_url": "https://stripe.com/docs/error-codes/card-declined",
    "message": "Your card has insufficient funds.",
    "type": "card_error",
}


class Told(TypedDict):
    """What any event can be told to be. `created` are Unix seconds; `metadata` is what there is besides our three."""

    invoice_id: NotRequired[str | None]
    customer_id: NotRequired[str | None]
    workspace_id: NotRequired[str | None]
    metadata: NotRequired[dict[str, Any] | None]
    event_id: NotRequired[str]
    created: NotRequired[int]
    livemode: NotRequired[bool]
    shape: NotRequired[Shape]


def payment_intent_succeeded(
    *,
    payment_intent: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    invoice: str | None = None,
    order: str | None = None,
    **told: Unpack[Told],
) -> Event:
    """The money came. `invoice` is Stripe's own, which old shapes name; `order` is it or a session, in new ones."""
    intent = _intent(payment_intent, amount, currency, invoice, told)
    if order is not None:
        intent["payment_details"] = {"order_reference": order}
    return _event("payment_intent.succeeded", intent | {"amount_received": amount, "status": "succeeded"}, told)


def payment_intent_failed(
    *,
    payment_intent: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    invoice: str | None = None,
    error: dict[str, Any] | None = DECLINED,
    **told: Unpack[Told],
) -> Event:
    """An attempt that failed, and why."""
    intent = _intent(payment_intent, amount, currency, invoice, told)
    failed = {"amount_received": 0, "last_payment_error": error, "status": "requires_payment_method"}
    return _event("payment_intent.payment_failed", intent | failed, told)


def payment_intent_processing(
    *,
    payment_intent: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    **told: Unpack[Told],
) -> Event:
    """A bank debit is under way."""
    intent = _intent(payment_intent, amount, currency, None, told)
    return _event("payment_intent.processing", intent | {"amount_received": 0, "status": "processing"}, told)


def payment_intent_canceled(
    *,
    payment_intent: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    reason: str | None = None,
    **told: Unpack[Told],
) -> Event:
    """The payment was given up."""
    intent = _intent(payment_intent, amount, currency, None, told)
    canceled = {"amount_received": 0, "cancellation_reason": reason, "status": "canceled"}
    return _event("payment_intent.canceled", intent | canceled, told)


class Session(Told):
    """What a session can be told to be, besides."""

    session: NotRequired[str]
    payment_intent: NotRequired[str | dict[str, Any] | None]
    payment_link: NotRequired[str | dict[str, Any] | None]
    invoice: NotRequired[str | None]
    amount: NotRequired[int | None]
    currency: NotRequired[str | None]


def checkout_session_completed(*, payment_status: str = "paid", **told: Unpack[Session]) -> Event:
    """The customer is through: the money came ("paid") or is under way ("unpaid")."""
    return _event("checkout.session.completed", _session(payment_status, told), told)


def checkout_session_async_succeeded(**told: Unpack[Session]) -> Event:
    """The money that was under way came."""
    return _event("checkout.session.async_payment_succeeded", _session("paid", told), told)


def checkout_session_async_failed(**told: Unpack[Session]) -> Event:
    """The money that was under way won't come."""
    return _event("checkout.session.async_payment_failed", _session("unpaid", told), told)


class Invoiced(Told):
    """What a Stripe Invoice can be told to be, besides. New shapes tell the payment intent only when asked to.

    `payments` are several, by their intents ("" for one out of band), each with its amount.
    """

    invoice: NotRequired[str]
    payment_intent: NotRequired[str | dict[str, Any] | None]
    payments: NotRequired[dict[str, int]]
    amount: NotRequired[int]
    currency: NotRequired[str]


def stripe_invoice_paid(**told: Unpack[Invoiced]) -> Event:
    """A Stripe Invoice was paid."""
    return _event("invoice.payment_succeeded", _stripe_invoice(told, paid=True), told)


def stripe_invoice_failed(**told: Unpack[Invoiced]) -> Event:
    """An attempt to pay a Stripe Invoice failed."""
    return _event("invoice.payment_failed", _stripe_invoice(told, paid=False), told)


def charge_refunded(
    *,
    payment_intent: str | None = None,
    charge: str | None = None,
    amount: int = 2000,
    refunded: int = 2000,
    currency: str = "usd",
    paid_at: int = 1_700_000_000,
    **told: Unpack[Told],
) -> Event:
    """Money went back; `refunded` is all that did so far. `paid_at` is when the charge was made."""
    subject = {
        "id": charge or fresh("ch"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": refunded,
        "created": paid_at,
        "currency": currency,
        "metadata": _metadata(told),
        "paid": True,
        "payment_intent": payment_intent,
        "refunded": refunded == amount,
        "status": "succeeded",
    }
    return _event("charge.refunded", subject, told)


def refund(
    type_: str = "refund.created",
    *,
    payment_intent: str | None = None,
    refund: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    status: str = "succeeded",
    refunded_at: int | None = 1_700_000_000,
    **told: Unpack[Told],
) -> Event:
    """One refund. `refunded_at` is when it was created."""
    subject = {
        "id": refund or fresh("re"),
        "object": "refund",
        "amount": amount,
        "charge": fresh("ch"),
        "created": refunded_at,
        "currency": currency,
        "payment_intent": payment_intent or fresh("pi"),
        "status": status,
    }
    return _event(type_, subject, told)


def refund_failed(
    *,
    payment_intent: str | None = None,
    refund: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    refunded_at: int | None = None,
    **told: Unpack[Told],
) -> Event:
    """A refund came back."""
    subject = {
        "id": refund or fresh("re"),
        "object": "refund",
        "amount": amount,
        "charge": fresh("ch"),
        "created": refunded_at,
        "currency": currency,
        "failure_reason": "lost_or_stolen_card",
        "payment_intent": payment_intent or fresh("pi"),
        "status": "failed",
    }
    return _event("refund.failed", subject, told)


def dispute(
    *,
    payment_intent: str | None = None,
    amount: int = 2000,
    currency: str = "usd",
    status: str = "needs_response",
    opened: int = 1_700_000_000,
    dispute: str | None = None,
    **told: Unpack[Told],
) -> Event:
    """The customer's bank took money back, or has decided on it, by the status."""
    closed = status in {"won", "lost", "warning_closed"}
    subject = {
        "id": dispute or fresh("dp"),
        "object": "dispute",
        "amount": amount,
        "charge": fresh("ch"),
        "created": opened,
        "currency": currency,
        "payment_intent": payment_intent or fresh("pi"),
        "reason": "fraudulent",
        "status": status,
    }
    return _event("charge.dispute.closed" if closed else "charge.dispute.created", subject, told)


HANDLED: Final[tuple[Callable[..., Event], ...]] = (
    payment_intent_succeeded,
    payment_intent_failed,
    payment_intent_processing,
    payment_intent_canceled,
    checkout_session_completed,
    checkout_session_async_succeeded,
    checkout_session_async_failed,
    stripe_invoice_paid,
    stripe_invoice_failed,
)
"""A factory for every type that is about a payment."""


def body(event: Event) -> bytes:
    """What Stripe posts: JSON, indented by two."""
    return json.dumps(event, indent=2).encode()


def signed_headers(body: bytes, *secrets: str, at: float | None = None) -> dict[str, str]:
    """Stripe's headers for a body, signed with each secret at an instant in Unix seconds; now, when none is given."""
    timestamp = int(time.time() if at is None else at)
    signed = b"%d.%b" % (timestamp, body)
    signatures = ",".join(f"v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}" for secret in secrets)
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={timestamp},{signatures}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def fresh(prefix: str) -> str:
    """An id of Stripe's form that nothing else has."""
    return f"{prefix}_{uuid4().hex}"


# --- Shapes ----------------------------------------------------------------------------------------------------

_SECONDS: Final = count(1_790_000_000)


def _event(type_: str, subject: dict[str, Any], told: Told) -> Event:
    livemode = told.get("livemode", False)
    return {
        "id": told.get("event_id") or fresh("evt"),
        "object": "event",
        "api_version": told.get("shape", NEW),
        "created": told["created"] if "created" in told else next(_SECONDS),
        "data": {"object": subject | {"livemode": livemode}},
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }


def _metadata(told: Told) -> dict[str, Any]:
    ours = {
        "invoice_id": told.get("invoice_id"),
        "customer_id": told.get("customer_id"),
        "workspace_id": told.get("workspace_id"),
    }
    return {name: value for name, value in ours.items() if value is not None} | (told.get("metadata") or {})


def _intent(intent_id: str | None, amount: int, currency: str, invoice: str | None, told: Told) -> dict[str, Any]:
    intent = {
        "id": intent_id or fresh("pi"),
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "capture_method": "automatic_async",
        "created": 1_790_000_000,
        "currency": currency,
        "customer": None,
        "description": None,
        "last_payment_error": None,
        "metadata": _metadata(told),
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "receipt_email": None,
        "setup_future_usage": None,
        "status": "processing",
    }
    if told.get("shape", NEW) == OLD:
        charges = {"object": "list", "data": [], "has_more": False, "total_count": 0}
        return intent | {"capture_method": "automatic", "charges": charges, "invoice": invoice, "source": None}
    return intent | {"amount_details": {"tip": {}}, "latest_charge": fresh("ch"), "excluded_payment_method_types": None}


def _session(payment_status: str, told: Session) -> dict[str, Any]:
    amount = told.get("amount", 2000)
    session: dict[str, Any] = {
        "id": told.get("session") or fresh("cs_test"),
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "status": None},
        "cancel_url": "https://stripe.com",
        "client_reference_id": None,
        "currency": told.get("currency", "usd"),
        "customer": None,
        "customer_creation": "if_required",
        "customer_details": {"email": "payer@example.com", "name": "Ada", "phone": None, "tax_ids": []},
        "expires_at": 1_790_086_400,
        "locale": "auto",
        "metadata": _metadata(told),
        "mode": "payment",
        "payment_intent": told["payment_intent"] if "payment_intent" in told else fresh("pi"),
        "payment_link": told.get("payment_link"),
        "payment_method_types": ["card"],
        "payment_status": payment_status,
        "setup_intent": None,
        "status": "complete",
        "subscription": None,
        "success_url": "https://stripe.com",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "url": None,
    }
    if told.get("shape", NEW) == OLD:
        return session | {"shipping": None, "shipping_rate": None}
    return session | {
        "adaptive_pricing": {"enabled": False},
        "created": 1_790_000_000,
        "currency_conversion": None,
        "invoice": told.get("invoice"),
        "presentment_details": None,
        "ui_mode": "hosted",
    }


def _stripe_invoice(told: Invoiced, *, paid: bool) -> dict[str, Any]:
    amount = told.get("amount", 2000)
    intent = told.get("payment_intent", fresh("pi") if told.get("shape") == OLD else None)
    invoice: dict[str, Any] = {
        "id": told.get("invoice") or fresh("in"),
        "object": "invoice",
        "amount_due": amount,
        "amount_paid": amount if paid else 0,
        "amount_remaining": 0 if paid else amount,
        "attempt_count": 1,
        "attempted": True,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "currency": told.get("currency", "usd"),
        "customer": "cus_00000000000000",
        "last_finalization_error": None,
        "lines": {"object": "list", "data": [], "has_more": False, "total_count": 0},
        "metadata": _metadata(told),
        "status": "paid" if paid else "open",
        "subtotal": amount,
        "total": amount,
    }
    if told.get("shape", NEW) == OLD:
        return invoice | {"charge": fresh("ch"), "paid": paid, "payment_intent": intent, "subscription": None}
    parts = told.get("payments")
    entries = [_invoice_payment(each, part, paid=paid) for each, part in (parts or {}).items()]
    if intent:
        entries = [_invoice_payment(intent, amount, paid=paid)]
    payments = {"object": "list", "data": entries, "has_more": False}
    return invoice | {"parent": None} | ({"payments": payments} if entries else {})


def _invoice_payment(intent: str | dict[str, Any], amount: int, *, paid: bool) -> dict[str, Any]:
    payment = {"payment_intent": intent, "type": "payment_intent"} if intent else {"type": "payment_record"}
    return {
        "id": fresh("inpay"),
        "object": "invoice_payment",
        "amount_paid": amount if paid else None,
        "amount_requested": amount,
        "is_default": True,
        "payment": payment,
        "status": "paid" if paid else "open",
    }
