"""The books' tables: which columns are read and changed, and rows as settlement knows them."""

from datetime import datetime
from operator import attrgetter
from typing import Final

import orjson

from database.door import Row
from inbox.columns import Columns
from models.instant import from_row
from models.kinds import Allocation, InvoiceStatus, PaymentLinkStatus, PaymentStatus
from models.money_back import Dispute, Refund, Refunds, disputes_in, disputes_json
from models.payment_fact import Presentment
from models.payment_link import LIVE
from models.settlement import InvoiceState, LinkState, MarkedPaid, PaymentState

INVOICE_COLUMNS: Final = (
    "id, workspace_id, customer_id, integration_id, status, currency, total, amount_paid,"
    " amount_paid_out_of_band, amount_refunded, paid_at, marked_paid"
)
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
        marked_paid=() if row["marked_paid"] is None else _marked_paid(row["marked_paid"]),
    )


def _marked_paid(json: str) -> tuple[MarkedPaid, ...]:
    return tuple(
        MarkedPaid(order_id, amount, datetime.fromisoformat(at), applied)
        for order_id, amount, at, applied in orjson.loads(json)
    )


def _marked_paid_value(invoice: InvoiceState) -> str | None:
    if not invoice.marked_paid:
        return None
    return orjson.dumps([list(mark) for mark in invoice.marked_paid], option=orjson.OPT_UTC_Z).decode()


INVOICE: Final = Columns[InvoiceState](
    ("id", "text", attrgetter("id")),
    ("status", "text", lambda invoice: invoice.status.value),
    ("amount_paid", "bigint", attrgetter("amount_paid")),
    ("amount_paid_out_of_band", "bigint", attrgetter("amount_paid_out_of_band")),
    ("amount_refunded", "bigint", attrgetter("amount_refunded")),
    ("paid_at", "timestamptz", attrgetter("paid_at")),
    ("marked_paid", "text", _marked_paid_value),
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
        order_id=row["order_id"],
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


PAYMENT: Final = Columns[PaymentState](
    ("id", "text", attrgetter("id")),
    ("provider_payment_id", "text", attrgetter("provider_payment_id")),
    ("invoice_id", "text", attrgetter("invoice_id")),
    ("customer_id", "text", attrgetter("customer_id")),
    ("status", "text", lambda payment: payment.status.value),
    ("amount", "bigint", attrgetter("amount")),
    ("currency", "text", attrgetter("currency")),
    ("amount_refunded", "bigint", attrgetter("amount_refunded")),
    ("overpaid", "bigint", attrgetter("overpaid")),
    ("allocation", "text", lambda payment: payment.allocation.value),
    ("unapplied_code", "text", attrgetter("unapplied_code")),
    ("failure_code", "text", attrgetter("failure_code")),
    ("failure_message", "text", attrgetter("failure_message")),
    ("decided_by", "text", attrgetter("decided_by")),
    ("occurred_at", "timestamptz", attrgetter("occurred_at")),
    ("refund_decided_by", "text", lambda payment: payment.refunds.decided_by),
    ("failed_refunds", "text", _refunds_value),
    ("dispute_decided_by", "text", lambda payment: payment.dispute and payment.dispute.decided_by),
    ("dispute_status", "text", lambda payment: payment.dispute and payment.dispute.status),
    ("dispute_reason", "text", lambda payment: payment.dispute and payment.dispute.reason),
    ("dispute_amount", "bigint", lambda payment: payment.dispute and payment.dispute.amount),
    ("dispute_opened_at", "timestamptz", lambda payment: payment.dispute and payment.dispute.opened_at),
    ("dispute_closed_at", "timestamptz", lambda payment: payment.dispute and payment.dispute.closed_at),
    ("disputes", "text", lambda payment: disputes_json(payment.disputes)),
    ("presentment_amount", "bigint", lambda payment: payment.presentment and payment.presentment.amount),
    ("presentment_currency", "text", lambda payment: payment.presentment and payment.presentment.currency),
    ("amount_received", "bigint", attrgetter("amount_received")),
    ("order_id", "text", attrgetter("order_id")),
    ("is_whole", "boolean", attrgetter("is_whole")),
)

PAYMENT_ORIGIN: Final = {"workspace_id": "text", "integration_id": "text", "created_at": "timestamptz"}
PAYMENT_COLUMNS: Final = ", ".join(f"p.{name}" for name in (*PAYMENT.types, "workspace_id"))


def link_of(row: Row) -> LinkState:
    """A payment link's row."""
    status = PaymentLinkStatus(row["status"])
    return LinkState(
        id=row["id"],
        integration_id=row["integration_id"],
        status=status,
        provider_id=row["provider_id"],
        amount=row["amount"],
        stop=status not in LIVE and row["due_at"] is not None,
    )
