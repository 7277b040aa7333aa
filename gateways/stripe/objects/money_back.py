"""Money that goes back: a charge's refunded total, single refunds, and disputes."""

from typing import Final

from gateways.stripe.fields import (
    MAX_EPOCH,
    Facts,
    StripeObject,
    amount_of,
    currency_of,
    integer,
    reference,
    required_id,
)
from gateways.stripe.objects.shared_fields import Handled, payment_names, presentment_of
from models.money import MAX_MINOR_UNITS
from models.payment_fact import DisputeFact, Evidence, RefundFact, UnreadableError

_BASIL: Final = "2025-03-31"
"""The first API version that keeps released money apart from refunds."""


def charge_refunded(charge: StripeObject) -> Facts:
    if charge.get("captured") is False:
        return {}  # an authorisation was released: no money came, so none went back
    captured = integer(charge, "amount_captured", MAX_MINOR_UNITS)
    if captured == 0 < integer(charge, "amount", MAX_MINOR_UNITS):
        return {}
    return {
        **payment_names(charge),
        "evidence": Evidence.REFUNDED,
        "amount": captured,
        "currency": currency_of(charge),
        "refunded": _amount_refunded(charge, captured),
        "paid_at": integer(charge, "created", MAX_EPOCH),
        "presentment": presentment_of(charge),
    }


def _amount_refunded(charge: StripeObject, captured: int) -> int:
    """Compute the refunded minor units: before basil Stripe's total includes the released rest of a partial capture."""
    refunded = integer(charge, "amount_refunded", MAX_MINOR_UNITS)
    version = charge["api_version"]
    if refunded <= captured and version is not None and version >= _BASIL:
        return refunded
    uncaptured = max(0, integer(charge, "amount", MAX_MINOR_UNITS) - captured)
    return max(0, refunded - uncaptured)


def refund_changed(refund: StripeObject) -> Facts:
    status = refund.get("status")
    if not isinstance(status, str) or status not in _REFUND_STATUSES:
        raise UnreadableError("data.object.status is none that Stripe documents")
    is_gone = _REFUND_STATUSES[status]
    refund_fact = RefundFact(
        required_id(refund, "id", "data.object.id"), integer(refund, "created", MAX_EPOCH, default=0), is_gone
    )
    return _about_charge(refund, Evidence.REFUND) | {"refund": refund_fact, "weight": int(is_gone)}


_REFUND_STATUSES: Final = {
    "pending": False,
    "requires_action": False,
    "succeeded": False,
    "failed": True,
    "canceled": True,
}
"""Whether a refund of this status failed. Source: Stripe, "The Refund object", `status`."""


def dispute_created(dispute: StripeObject) -> Facts:
    return _dispute(dispute, Evidence.DISPUTED)


def dispute_closed(dispute: StripeObject) -> Facts:
    return _dispute(dispute, Evidence.DISPUTE_CLOSED)


def _dispute(dispute: StripeObject, evidence: Evidence) -> Facts:
    about = _about_charge(dispute, evidence)
    dispute_fact = DisputeFact(
        id=required_id(dispute, "id", "data.object.id"),
        status=required_id(dispute, "status", "data.object.status"),
        reason=required_id(dispute, "reason", "data.object.reason"),
        amount=about["amount"],
        opened=integer(dispute, "created", MAX_EPOCH),
    )
    return about | {"dispute": dispute_fact}


def _about_charge(subject: StripeObject, evidence: Evidence) -> Facts:
    """Read which payment it is about, by ids alone: the metadata belongs to the refund or the dispute."""
    names = tuple(name for name in (reference(subject, "payment_intent"), reference(subject, "charge")) if name)
    if not names:
        raise UnreadableError("data.object names neither a payment_intent nor a charge")
    return {
        "evidence": evidence,
        "provider_ids": names,
        "amount": amount_of(subject, "amount"),
        "currency": currency_of(subject),
        "metadata_invoice_id": None,
        "metadata_customer_id": None,
        "metadata_workspace_id": None,
    }


HANDLED: Final = {
    "charge.refunded": Handled(charge_refunded, "a payment was refunded, in part or in full"),
    "refund.failed": Handled(refund_changed, "a refund failed"),
    "charge.dispute.created": Handled(dispute_created, "a customer's bank disputes a payment"),
    "charge.dispute.closed": Handled(dispute_closed, "a dispute was decided", weight=1),
    "refund.created": Handled(refund_changed, "a refund was created"),
    "refund.updated": Handled(refund_changed, "a refund was canceled or changed"),
}
