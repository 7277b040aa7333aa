"""Reading a Stripe event: what a verified body says about a payment.

Source: Stripe, "Event object" and the objects it carries, API versions 2020-08-27 to 2026-10-28.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gateways.stripe.decoding import decoded
from models.money import MAX_MINOR_UNITS
from models.payment_fact import DisputeTold, Evidence, PaymentFact, Presentment, RefundTold, UnreadableError

READER_VERSION: Final = 3
"""Grows with every change that reads more: events that an older reader could not read are tried again by themselves."""

_LATEST_EPOCH: Final = 253_402_300_799  # the end of the year 9999
_THIN: Final = "v2.core.event"
_ID_LENGTH: Final = 255
_METADATA_LENGTH: Final = 500
_MESSAGE_LENGTH: Final = 2000
_CANCELED: Final = "The payment was canceled at Stripe."
_BASIL: Final = "2025-03-31"
"""The first API version that tells of released money apart from refunds."""


def read(body: bytes) -> PaymentFact:
    """What a verified body says.

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
            value if isinstance(value := event.get(name), str) and 0 < len(value) <= _ID_LENGTH else None
            for name in ("id", "type")
        )
        raise UnreadableError(str(error), told_id, told_type, is_money=handled is not None) from None


def _may_be_money(body: bytes) -> bool:
    """Whether a body that has no type which could be read names one that we handle."""
    return any(f'"{name}"'.encode() in body for name in HANDLED)


def _read(event: Mapping[str, Any], handled: "_Handled | None") -> PaymentFact:
    if event.get("object") == _THIN:
        raise UnreadableError(
            "it is a thin event, which only names its object: choose the snapshot payload style in Stripe"
        )
    envelope = {
        "id": _id(event, "id"),
        "type": _id(event, "type"),
        "created": _integer(event, "created", _LATEST_EPOCH, default=0),
        "livemode": _boolean(event, "livemode"),
        "api_version": _optional_id(event, "api_version"),
    }
    if handled is None:
        return PaymentFact(**envelope)
    subject = _subject(event)
    subject["api_version"] = envelope["api_version"]  # what some fields mean depends on it
    told = _metadata(subject) | handled.read(subject)
    told.setdefault("weight", handled.weight)
    parts = told.pop("parts", ())
    known = PaymentFact(**envelope, **told, is_handled=True)
    return known._replace(parts=tuple(known._replace(**part) for part in parts)) if parts else known


def _subject(event: Mapping[str, Any]) -> dict[str, Any]:
    payload = event.get("data")
    subject = payload.get("object") if isinstance(payload, dict) else None
    if not isinstance(subject, dict):
        raise UnreadableError("data.object is not an object")
    return subject


def _payment_intent_succeeded(intent: Mapping[str, Any]) -> dict[str, Any]:
    return _payment_intent(intent, Evidence.PAID) | {"amount": _amount(intent, "amount_received")}


def _payment_intent(intent: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    return {
        **_names(intent),
        "evidence": evidence,
        "amount": _amount(intent, "amount"),
        "currency": _currency(intent),
        "presentment": _presentment(intent),
    }


def _payment_intent_processing(intent: Mapping[str, Any]) -> dict[str, Any]:
    return _payment_intent(intent, Evidence.PENDING)


def _payment_intent_partially_funded(intent: Mapping[str, Any]) -> dict[str, Any]:
    """A bank transfer of which a part came: what is missing is in the instructions that the customer was given."""
    told = _payment_intent(intent, Evidence.PENDING)
    action = intent.get("next_action")
    instructions = action.get("display_bank_transfer_instructions") if isinstance(action, dict) else None
    if not isinstance(instructions, dict):
        raise UnreadableError("data.object.next_action tells nothing of the bank transfer")
    missing: int = _integer(instructions, "amount_remaining", MAX_MINOR_UNITS)
    return told | {"amount_received": max(0, told["amount"] - missing)}


def _payment_intent_canceled(intent: Mapping[str, Any]) -> dict[str, Any]:
    reason = _prose(intent.get("cancellation_reason"), _ID_LENGTH)
    return _payment_intent_failed(intent) | {
        "failure_code": "canceled",
        "failure_message": f"The payment was canceled at Stripe ({reason})." if reason else _CANCELED,
    }


def _payment_intent_failed(intent: Mapping[str, Any]) -> dict[str, Any]:
    return _payment_intent(intent, Evidence.FAILED) | _failure(intent.get("last_payment_error"))


def _session_completed(session: Mapping[str, Any]) -> dict[str, Any]:
    if session.get("mode") == "setup":
        return {}  # a card was saved, nothing was paid
    status = session.get("payment_status")
    if status is None or status == "paid":  # None: before Stripe told it, a completed session was a paid one
        return _session(session, Evidence.PAID)
    if status == "unpaid":
        return _session(session, Evidence.PENDING)
    if status == "no_payment_required":
        return {} if session.get("currency") is None else {**_session(session, Evidence.PAID), "amount": 0}
    raise UnreadableError("data.object.payment_status is none that Stripe documents")


def _session_async_succeeded(session: Mapping[str, Any]) -> dict[str, Any]:
    return _session(session, Evidence.PAID)


def _session_async_failed(session: Mapping[str, Any]) -> dict[str, Any]:
    return {**_session(session, Evidence.FAILED), "failure_code": "async_payment_failed"}


def _session(session: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {
        **_names(session),
        "evidence": evidence,
        "amount": _amount(session, "amount_total"),
        "currency": _currency(session),
        "payment_link_id": _reference(session, "payment_link"),
        "presentment": _presentment(session),
    }
    conversion = session.get("currency_conversion")
    if conversion is None:
        return told
    if not isinstance(conversion, dict):
        raise UnreadableError("data.object.currency_conversion is not an object")
    return told | {  # made before 2025-03-31: the session's own currency is the customer's
        "amount": _integer(conversion, "amount_total", MAX_MINOR_UNITS),
        "currency": _currency(conversion, "source_currency"),
        "presentment": Presentment(told["amount"], told["currency"]),
    }


def _stripe_invoice_paid(invoice: Mapping[str, Any]) -> dict[str, Any]:
    """One payment, unless Stripe lists several: since basil an invoice can be paid in parts, some out of band.

    What was paid and isn't listed is told as a whole besides.
    """
    told = _stripe_invoice(invoice, Evidence.PAID, "amount_paid")
    if invoice.get("paid_out_of_band") is True:
        return told | {"evidence": Evidence.OUT_OF_BAND}
    old_intent = _reference(invoice, "payment_intent")
    paid = [entry for entry in _invoice_payments(invoice) if entry.get("status") == "paid"]
    if old_intent is not None or not paid:
        return told | _by_intent(old_intent)
    listed = [_invoice_payment(entry, told["amount"] if len(paid) == 1 else None) for entry in paid]
    outside = sum(amount for name, amount in listed if not name)
    parts = [told | _by_intent(name) | {"amount": amount} for name, amount in sorted(listed) if name]
    if told["amount"] > sum(amount for _, amount in listed):
        parts.append(told | {"amount": told["amount"] - outside})
    if outside:
        parts.append(told | {"evidence": Evidence.OUT_OF_BAND, "amount": outside})
    return parts[0] | ({"parts": parts} if len(parts) > 1 else {})


def _by_intent(name: str | None) -> dict[str, Any]:
    return {"provider_ids": (name,), "is_whole": False} if name else {}


def _invoice_payment(entry: Mapping[str, Any], amount: int | None) -> tuple[str, int]:
    """A payment of a Stripe invoice: its name, which is empty where it came outside of Stripe, and its amount.

    `amount` stands for one that isn't told, where there is only one.
    """
    told = entry.get("amount_paid")
    paid: int = amount if told is None and amount is not None else _integer(entry, "amount_paid", MAX_MINOR_UNITS)
    payment = entry.get("payment")
    name = None
    if isinstance(payment, dict):
        name = _reference(payment, "payment_intent") or _reference(payment, "charge")
    return name or "", paid


def _stripe_invoice_failed(invoice: Mapping[str, Any]) -> dict[str, Any]:
    """The attempt that is open; one that was given up never lends its name to the one that pays."""
    told = _stripe_invoice(invoice, Evidence.FAILED, "amount_due")
    intent = _reference(invoice, "payment_intent")
    if intent is None:
        tried = [entry for entry in _invoice_payments(invoice) if entry.get("status") not in ("paid", "canceled")]
        tried.sort(key=lambda entry: entry.get("is_default") is not True)
        payment = tried[0].get("payment") if tried else None
        intent = _reference(payment, "payment_intent") if isinstance(payment, dict) else None
    return told | _failure(invoice.get("last_finalization_error")) | _by_intent(intent)


def _stripe_invoice(invoice: Mapping[str, Any], evidence: Evidence, amount: str) -> dict[str, Any]:
    own_id = _id(invoice, "id", "data.object.id")
    return {
        "evidence": evidence,
        "provider_ids": (own_id,),
        "order_id": own_id,
        "is_whole": True,
        "amount": _amount(invoice, amount),
        "currency": _currency(invoice),
    }


def _invoice_payments(invoice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Stripe lists as a Stripe invoice's payments, since 2025-03-31.basil where it is asked to."""
    payments = invoice.get("payments")
    entries = payments.get("data") if isinstance(payments, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _charge_refunded(charge: Mapping[str, Any]) -> dict[str, Any]:
    if charge.get("captured") is False:
        return {}  # an authorisation was released: no money came, so none went back
    captured = _integer(charge, "amount_captured", MAX_MINOR_UNITS)
    if captured == 0 < _integer(charge, "amount", MAX_MINOR_UNITS):
        return {}
    return {
        **_names(charge),
        "evidence": Evidence.REFUNDED,
        "amount": captured,
        "currency": _currency(charge),
        "refunded": _refunded(charge, captured),
        "paid_at": _integer(charge, "created", _LATEST_EPOCH),
        "presentment": _presentment(charge),
    }


def _refunded(charge: Mapping[str, Any], captured: int) -> int:
    """Minor units that went back. Before basil the rest of a partial capture was told as refunded when released."""
    refunded: int = _integer(charge, "amount_refunded", MAX_MINOR_UNITS)
    version = charge["api_version"]
    if refunded <= captured and version is not None and version >= _BASIL:
        return refunded
    uncaptured: int = max(0, _integer(charge, "amount", MAX_MINOR_UNITS) - captured)
    return max(0, refunded - uncaptured)


def _refund(refund: Mapping[str, Any]) -> dict[str, Any]:
    status = refund.get("status")
    if not isinstance(status, str) or status not in _REFUND_STATUSES:
        raise UnreadableError("data.object.status is none that Stripe documents")
    is_gone = _REFUND_STATUSES[status]
    told = RefundTold(
        _id(refund, "id", "data.object.id"), _integer(refund, "created", _LATEST_EPOCH, default=0), is_gone
    )
    return _about_charge(refund, Evidence.REFUND) | {"refund": told, "weight": int(is_gone)}


_REFUND_STATUSES: Final = {
    "pending": False,
    "requires_action": False,
    "succeeded": False,
    "failed": True,
    "canceled": True,
}
"""Whether the money stayed here. Source: Stripe, "The Refund object", `status`."""


def _dispute_created(dispute: Mapping[str, Any]) -> dict[str, Any]:
    return _dispute(dispute, Evidence.DISPUTED)


def _dispute_closed(dispute: Mapping[str, Any]) -> dict[str, Any]:
    return _dispute(dispute, Evidence.DISPUTE_CLOSED)


def _dispute(dispute: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    about = _about_charge(dispute, evidence)
    told = DisputeTold(
        id=_id(dispute, "id", "data.object.id"),
        status=_id(dispute, "status", "data.object.status"),
        reason=_id(dispute, "reason", "data.object.reason"),
        amount=about["amount"],
        opened=_integer(dispute, "created", _LATEST_EPOCH),
    )
    return about | {"dispute": told}


def _about_charge(subject: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """What is told of a payment by its ids alone: the metadata is the refund's or the dispute's own."""
    names = tuple(name for name in (_reference(subject, "payment_intent"), _reference(subject, "charge")) if name)
    if not names:
        raise UnreadableError("data.object names neither a payment_intent nor a charge")
    return {
        "evidence": evidence,
        "provider_ids": names,
        "amount": _amount(subject, "amount"),
        "currency": _currency(subject),
        "metadata_invoice_id": None,
        "metadata_customer_id": None,
        "metadata_workspace_id": None,
    }


class _Handled(NamedTuple):
    """A type of event that is read: how, and what Stripe sends it for. Source: Stripe, "Types of events".

    `is_needed`: without it invoices are not marked as paid; the others tell of bank debits, refunds, disputes and what
    was paid outside of Stripe. Of two events of a payment within one second what comes later has more `weight`.
    """

    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    when_sent: str
    is_needed: bool = False
    weight: int = 0


HANDLED: Final = {
    "checkout.session.completed": _Handled(
        _session_completed, "a customer is through with a Payment Link", is_needed=True, weight=1
    ),
    "payment_intent.succeeded": _Handled(_payment_intent_succeeded, "money came", is_needed=True),
    "payment_intent.payment_failed": _Handled(_payment_intent_failed, "an attempt to pay failed", is_needed=True),
    "invoice.payment_succeeded": _Handled(_stripe_invoice_paid, "a Stripe invoice was paid", is_needed=True),
    "invoice.payment_failed": _Handled(
        _stripe_invoice_failed, "an attempt to pay a Stripe invoice failed", is_needed=True
    ),
    "checkout.session.async_payment_succeeded": _Handled(
        _session_async_succeeded, "a bank debit came after the customer was through"
    ),
    "checkout.session.async_payment_failed": _Handled(_session_async_failed, "a bank debit did not come", weight=2),
    "charge.refunded": _Handled(_charge_refunded, "money went back, with the total of it"),
    "refund.failed": _Handled(_refund, "a refund came back"),
    "charge.dispute.created": _Handled(_dispute_created, "a customer's bank disputes a payment"),
    "charge.dispute.closed": _Handled(_dispute_closed, "a dispute was decided", weight=1),
    "payment_intent.processing": _Handled(
        _payment_intent_processing, "a bank debit is under way, so nobody should pay again", weight=1
    ),
    "payment_intent.canceled": _Handled(
        _payment_intent_canceled, "a payment was given up, so the invoice can be paid again", weight=2
    ),
    "payment_intent.partially_funded": _Handled(
        _payment_intent_partially_funded, "a part of a bank transfer came", weight=1
    ),
    "refund.created": _Handled(_refund, "money goes back, refund by refund"),
    "refund.updated": _Handled(_refund, "a refund was canceled or changed"),
    "invoice.paid": _Handled(_stripe_invoice_paid, "a Stripe invoice was paid, perhaps outside of Stripe"),
}
"""Every type that is read, in the order in which it is shown."""

EVENTS_TO_SEND: Final = tuple(HANDLED)
"""What to select in Stripe."""

NEEDED_EVENTS: Final = tuple(name for name, handled in HANDLED.items() if handled.is_needed)


def _names(subject: Mapping[str, Any]) -> dict[str, Any]:
    """The payment's names: the payment intent's, then the object's own, then the session's; and its Stripe invoice.

    A session with a Stripe invoice and no intent, as a subscription's, tells of the whole of that.
    """
    intent, own_id = _reference(subject, "payment_intent"), _id(subject, "id", "data.object.id")
    order_id, behind = _reference(subject, "invoice"), _order_reference(subject)
    names = (intent, own_id, behind if behind and behind.startswith("cs_") else None)
    if order_id is None and behind and behind.startswith("in_"):
        order_id = behind
    if order_id is not None and intent is None and own_id.startswith("cs_"):
        return {"provider_ids": (order_id,), "order_id": order_id, "is_whole": True}
    return {"provider_ids": tuple(dict.fromkeys(name for name in names if name)), "order_id": order_id}


def _order_reference(subject: Mapping[str, Any]) -> str | None:
    """The invoice or session that an intent pays for, told since basil; a merchant may have written anything there."""
    details = subject.get("payment_details")
    reference = details.get("order_reference") if isinstance(details, dict) else None
    if not isinstance(reference, str) or not reference.startswith(("in_", "cs_")) or len(reference) > _ID_LENGTH:
        return None
    return reference


def _metadata(subject: Mapping[str, Any]) -> dict[str, Any]:
    metadata = subject.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise UnreadableError("data.object.metadata is not an object")
    return {
        f"metadata_{name}": _trimmed(_optional_id(metadata, name, f"data.object.metadata.{name}", _METADATA_LENGTH))
        for name in ("invoice_id", "customer_id", "workspace_id")
    }


def _trimmed(value: str | None) -> str | None:
    """Metadata is typed by hand at times: blanks around it mean nothing."""
    return (value and value.strip()) or None


def _failure(error: object) -> dict[str, Any]:
    if not isinstance(error, dict):
        return {}
    code = error.get("decline_code") or error.get("code")
    return {
        "failure_code": _prose(code, _ID_LENGTH),
        "failure_message": _prose(error.get("message"), _MESSAGE_LENGTH),
    }


def _prose(text: object, length: int) -> str | None:
    return text.replace("\x00", "")[:length] if isinstance(text, str) and text else None


def _reference(subject: Mapping[str, Any], name: str) -> str | None:
    """An id, given as such or as the expanded object."""
    value = subject.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    if value is None:
        return None
    return _text(value, f"data.object.{name}")


def _id(holder: Mapping[str, Any], name: str, where: str | None = None) -> str:
    value = _optional_id(holder, name, where)
    if not value:
        raise UnreadableError(f"{where or name} is missing")
    return value


def _optional_id(holder: Mapping[str, Any], name: str, where: str | None = None, most: int = _ID_LENGTH) -> str | None:
    value = holder.get(name)
    return None if value is None else _text(value, where or name, most)


def _text(value: object, where: str, most: int = _ID_LENGTH) -> str:
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise UnreadableError(f"{where} is not a text of at most {most} characters")
    return value


def _currency(subject: Mapping[str, Any], name: str = "currency") -> str:
    value = subject.get(name)
    if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isalpha():
        raise UnreadableError(f"{name} is not a three-letter code")
    return value.upper()


def _presentment(subject: Mapping[str, Any]) -> Presentment | None:
    """What the customer saw; it decides nothing, so one that can't be read is left out."""
    details = subject.get("presentment_details")
    if not isinstance(details, dict):
        return None
    try:
        amount = _integer(details, "presentment_amount", MAX_MINOR_UNITS)
        return Presentment(amount, _currency(details, "presentment_currency"))
    except UnreadableError:
        return None


def _boolean(holder: Mapping[str, Any], name: str) -> bool:
    value = holder.get(name)
    if not isinstance(value, bool):
        raise UnreadableError(f"{name} is neither true nor false")
    return value


def _amount(subject: Mapping[str, Any], name: str) -> int:
    """Minor units: the amount that the object has of its own, else its plain `amount`."""
    own = subject.get(name)
    amount: int = _integer(subject, "amount" if own is None else name, MAX_MINOR_UNITS)
    return amount


_REQUIRED: Final = object()


def _integer(holder: Mapping[str, Any], name: str, most: int, default: Any = _REQUIRED) -> Any:
    value = holder.get(name)
    if value is None and default is not _REQUIRED:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise UnreadableError(f"{name} is not a whole number from 0 to {most}")
    return value


_SESSION: Final = "session:"


def session_event(session: Mapping[str, Any], found_at: int) -> Mapping[str, Any]:
    """A completed session as the event that should have told of it."""
    return {
        "id": f"{_SESSION}{session['id']}:{session['payment_status']}",
        "object": "event",
        "type": "checkout.session.completed",
        "created": found_at,
        "livemode": session["livemode"],
        "data": {"object": session},
    }
