"""Why an event changes nothing, and why money fits no invoice."""

from enum import StrEnum
from typing import Final

from models.ids import Prefix, is_id
from models.invoice import InvoiceState
from models.kinds import Allocation, InvoiceStatus, Mode, PaymentStatus
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.reason import Reason
from models.settlement.case import Case

ABOUT_A_PAYMENT: Final = frozenset({Evidence.REFUND, Evidence.DISPUTED, Evidence.DISPUTE_CLOSED})
"""Events that belong to an invoice only through their payment: their metadata is the refund's or dispute's own."""


def why_empty(event: PaymentFact) -> Reason | None:
    """Say why an event reports nothing about a payment; None if it reports something."""
    if event.evidence is not None:
        return None
    return Reason.NOTHING_PAID if event.is_handled else Reason.EVENT_TYPE_NOT_HANDLED


def why_ignored(case: Case) -> Reason | None:
    """Say why an event is not ours, or about an unknown payment; None if it has to be settled."""
    event = case.event
    empty = why_empty(event)
    if empty is not None:
        return empty
    names_ours = event.metadata_invoice_id is not None or case.link_invoice_id is not None
    if not names_ours and (event.is_whole or event.evidence is Evidence.OUT_OF_BAND):
        return Reason.NO_METADATA
    is_known = any(_is_named(payment, event) for payment in case.payments)
    if event.evidence in ABOUT_A_PAYMENT:
        return None if is_known else Reason.PAYMENT_UNKNOWN
    foreign = _why_foreign(case)
    if event.evidence is Evidence.REFUNDED and not is_known and (foreign is not None or case.invoice_id is None):
        return Reason.PAYMENT_UNKNOWN
    if foreign is not None:
        return None if _is_by_our_link(case) else foreign
    if case.invoice_id is not None or is_known:
        return None
    pays_for = event.order_id is not None or len(event.provider_ids) > 1  # these may carry the metadata
    return Reason.PAYMENT_UNKNOWN if pays_for and event.type.startswith("payment_intent.") else Reason.NO_METADATA


def why_unapplied(case: Case) -> Reason | None:
    """Say why an event's money fits no invoice; None if it fits `case.invoice`."""
    if case.event.livemode is not (case.mode is Mode.LIVE):
        return Reason.LIVEMODE_MISMATCH
    if case.event.evidence not in ABOUT_A_PAYMENT and _why_foreign(case) is not None:
        return Reason.METADATA_MISMATCH
    if case.invoice is None:
        return Reason.INVOICE_NOT_FOUND
    if case.link_invoice_id not in {None, case.invoice.id}:
        return Reason.METADATA_MISMATCH
    if case.invoice.currency != case.event.currency:
        return Reason.CURRENCY_MISMATCH
    if case.invoice.status is InvoiceStatus.DRAFT:
        return Reason.INVOICE_DRAFT
    if case.invoice.status is InvoiceStatus.VOID:
        return Reason.INVOICE_VOID
    return None


def is_applied_again(payment: PaymentState, case: Case) -> bool:
    """Whether an event may apply unapplied money to its invoice: only if it is clear which invoice is meant.

    An event in a currency that does not decide about the payment does not say why the payment fits no invoice either.
    """
    if payment.allocation is Allocation.APPLIED or case.invoice is None or case.event.currency != payment.currency:
        return False
    names_one = case.event.metadata_invoice_id is not None or case.link_invoice_id is not None
    return names_one or payment.unapplied_code != Reason.METADATA_MISMATCH


class NotAllocated(StrEnum):
    """Why a payment can't be applied by hand: the codes of `applyPayment`'s refusals."""

    PAYMENT_NOT_SUCCEEDED = "PAYMENT_NOT_SUCCEEDED"
    ALREADY_APPLIED = "ALREADY_APPLIED"
    PAYMENT_REFUNDED = "PAYMENT_REFUNDED"
    LIVEMODE_MISMATCH = Reason.LIVEMODE_MISMATCH.value
    CURRENCY_MISMATCH = Reason.CURRENCY_MISMATCH.value


def why_not_allocated(payment: PaymentState, invoice: InvoiceState) -> NotAllocated | None:
    """Say why a payment can't be applied to an invoice by hand, apart from the invoice's status."""
    if payment.status is not PaymentStatus.SUCCEEDED:
        return NotAllocated.PAYMENT_NOT_SUCCEEDED
    if payment.counts:
        return NotAllocated.ALREADY_APPLIED
    if payment.unapplied_code == Reason.LIVEMODE_MISMATCH:
        return NotAllocated.LIVEMODE_MISMATCH
    if payment.amount_refunded == payment.amount > 0:
        return NotAllocated.PAYMENT_REFUNDED
    return None if payment.currency == invoice.currency else NotAllocated.CURRENCY_MISMATCH


def _is_named(payment: PaymentState, event: PaymentFact) -> bool:
    """Whether an event names a payment, or the payment's Stripe invoice."""
    if event.order_id is not None and event.order_id == payment.order_id:
        return True
    return not payment.provider_ids.isdisjoint(event.provider_ids)


def _why_foreign(case: Case) -> Reason | None:
    if case.event.metadata_workspace_id not in {None, case.workspace_id}:
        return Reason.ANOTHER_WORKSPACE
    named = case.event.metadata_invoice_id  # not the case's, which may be due to `applyPayment`
    return None if named is None or is_id(named, Prefix.INVOICE) else Reason.FOREIGN_INVOICE_ID


def _is_by_our_link(case: Case) -> bool:
    """Whether the money came by a link of ours: then it is ours, whatever its metadata says."""
    own = {link.provider_id for link in case.links} - {None}
    return case.link_invoice_id is not None or case.event.payment_link_id in own
