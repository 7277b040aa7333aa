"""The books' tables: which columns are read and changed, and rows as settlement knows them."""

from datetime import datetime
from typing import Any, Final

import orjson

from database.door import Row
from models.instant import from_row
from models.kinds import Allocation, InvoiceStatus, PaymentLinkStatus, PaymentStatus
from models.money_back import Dispute, Refund, Refunds, disputes_in, disputes_json
from models.payment_fact import Presentment
from models.payment_link import LIVE
from models.settlement import InvoiceState, LinkState, PaymentState

INVOICE_COLUMNS: Final = (
    "id, workspace_id, customer_id, integration_id, status, currency, total, amount_paid,"
    " amount_paid_out_of_band, amount_refunded, paid_at"
)
INVOICE_CHANGES: Final = {
    "id": "text",
    "status": "text",
    "amount_paid": "bigint",
    "amount_paid_out_of_band": "bigint",
    "amount_refunded": "bigint",
    "paid_at": "timestamptz",
    "updated_at": "timestamptz",
}
PAYMENT_CHANGES: Final = {
    "id": "text",
    "provider_payment_id": "text",
    "invoice_id": "text",
    "customer_id": "text",
    "status": "text",
    "amount": "bigint",
    "currency": "text",
    "amount_refunded": "bigint",
    "overpaid": "bigint",
    "allocation": "text",
    "unapplied_code": "text",
    "failure_code": "text",
    "failure_message": "text",
    "decided_by": "text",
    "occurred_at": "timestamptz",
    "refund_decided_by": "text",
    "failed_refunds": "text",
    "dispute_decided_by": "text",
    "dispute_status": "text",
    "dispute_reason": "text",
    "dispute_amount": "bigint",
    "dispute_opened_at": "timestamptz",
    "dispute_closed_at": "timestamptz",
    "disputes": "text",
    "presentment_amount": "bigint",
    "presentment_currency": "text",
    "amount_received": "bigint",
    "is_whole": "boolean",
}
PAYMENT_ORIGIN: Final = {"workspace_id": "text", "integration_id": "text", "created_at": "timestamptz"}
PAYMENT_COLUMNS: Final = ", ".join(f"p.{name}" for name in (*PAYMENT_CHANGES, "workspace_id"))
REFERENCE: Final = {"workspace_id": "text", "provider_id": "text", "payment_id": "text"}


def invoice_of(row: Row) -> InvoiceState:
    """An invoice's row, of INVOICE_COLUMNS."""
    return InvoiceState(
        id=row["id"],
        customer_id=row["customer_id"],
        integration_id=row["integration_id"],
        status=InvoiceStatus(row["status"]),
        currency=row["currency"],
        total=row["total"],
        amount_paid=row["amount_paid"],
        amount_paid_out_of_band=row["amount_paid_out_of_band"],
        amount_refunded=row["amount_refunded"],
        paid_at=None if row["paid_at"] is None else from_row(row["paid_at"]),
    )


def invoice_values(invoice: InvoiceState, now: datetime) -> tuple[Any, ...]:
    """An invoice as INVOICE_CHANGES lists it."""
    return (
        invoice.id,
        invoice.status.value,
        invoice.amount_paid,
        invoice.amount_paid_out_of_band,
        invoice.amount_refunded,
        invoice.paid_at,
        now,
    )


def payment_of(row: Row, provider_ids: frozenset[str]) -> PaymentState:
    """A payment's row, of PAYMENT_COLUMNS, under all its names."""
    return PaymentState(
        id=row["id"],
        provider_payment_id=row["provider_payment_id"],
        provider_ids=provider_ids,
        invoice_id=row["invoice_id"],
        customer_id=row["customer_id"],
        status=PaymentStatus(row["status"]),
        amount=row["amount"],
        currency=row["currency"],
        refunds=_refunds(row),
        overpaid=row["overpaid"],
        allocation=Allocation(row["allocation"]),
        unapplied_code=row["unapplied_code"],
        failure_code=row["failure_code"],
        failure_message=row["failure_message"],
        decided_by=row["decided_by"],
        occurred_at=from_row(row["occurred_at"]),
        disputes=_disputes(row),
        presentment=_presentment(row),
        amount_received=row["amount_received"],
        is_whole=bool(row["is_whole"]),
    )


def _refunds(row: Row) -> Refunds:
    if row["failed_refunds"] is None:
        return Refunds(row["amount_refunded"], row["refund_decided_by"])
    stored = orjson.loads(row["failed_refunds"])
    failed = [Refund(id_, amount, 0, is_gone=True, order=order) for order, id_, amount in stored.get("failed", ())]
    each = [Refund(*refund) for refund in stored.get("each", ())]
    return Refunds(stored["told"], row["refund_decided_by"], tuple(sorted([*failed, *each])))


def _refunds_value(payment: PaymentState) -> str | None:
    """JSON of what is known of refunds, where the refunded amount alone doesn't say it."""
    refunds = payment.refunds
    if not refunds.each and refunds.total == payment.amount_refunded:
        return None
    return orjson.dumps({"told": refunds.total, "each": [list(refund) for refund in refunds.each]}).decode()


def _disputes(row: Row) -> tuple[Dispute, ...]:
    if row["disputes"] is not None:
        return disputes_in(row["disputes"])
    if row["dispute_decided_by"] is None:
        return ()
    closed_at = row["dispute_closed_at"]
    return (
        Dispute(
            decided_by=row["dispute_decided_by"],
            status=row["dispute_status"],
            reason=row["dispute_reason"],
            amount=row["dispute_amount"],
            opened_at=from_row(row["dispute_opened_at"]),
            closed_at=None if closed_at is None else from_row(closed_at),
        ),
    )


def _presentment(row: Row) -> Presentment | None:
    if row["presentment_amount"] is None:
        return None
    return Presentment(row["presentment_amount"], row["presentment_currency"])


def payment_values(payment: PaymentState) -> tuple[Any, ...]:
    """A payment as PAYMENT_CHANGES lists it."""
    return (
        payment.id,
        payment.provider_payment_id,
        payment.invoice_id,
        payment.customer_id,
        payment.status.value,
        payment.amount,
        payment.currency,
        payment.amount_refunded,
        payment.overpaid,
        payment.allocation.value,
        payment.unapplied_code,
        payment.failure_code,
        payment.failure_message,
        payment.decided_by,
        payment.occurred_at,
        payment.refunds.decided_by,
        _refunds_value(payment),
        *(payment.dispute or _UNDISPUTED)[: len(_UNDISPUTED)],
        disputes_json(payment.disputes),
        *(payment.presentment or (None, None)),
        payment.amount_received,
        payment.is_whole,
    )


_UNDISPUTED: Final = (None,) * len(tuple(name for name in PAYMENT_CHANGES if name.startswith("dispute_")))


def link_of(row: Row) -> LinkState:
    """A payment link's row."""
    status = PaymentLinkStatus(row["status"])
    return LinkState(
        id=row["id"],
        integration_id=row["integration_id"],
        status=status,
        stripe_id=row["stripe_id"],
        amount=row["amount"],
        stop=status not in LIVE and row["due_at"] is not None,
    )
