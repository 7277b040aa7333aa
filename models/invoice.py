"""Invoices: their statuses, lines and numbers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from database.transaction import Row, Transaction
from errors import InvalidTransitionError
from models.amounts import amount_overpaid, amount_remaining
from models.columns import Columns
from models.instant import InstantField
from models.kinds import InvoiceStatus

TRANSITIONS: Final[Mapping[InvoiceStatus, frozenset[InvoiceStatus]]] = {
    InvoiceStatus.DRAFT: frozenset({InvoiceStatus.OPEN}),
    InvoiceStatus.OPEN: frozenset({InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}),
    InvoiceStatus.UNCOLLECTIBLE: frozenset({InvoiceStatus.PAID, InvoiceStatus.VOID}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.VOID: frozenset(),
}
"""The allowed changes of status; all others are refused."""

COLLECTING: Final = frozenset(status for status, next_ones in TRANSITIONS.items() if InvoiceStatus.PAID in next_ones)
"""The statuses in which a payment can make an invoice PAID: OPEN and UNCOLLECTIBLE."""

_WAYS_OUT: Final[Mapping[InvoiceStatus, str]] = {
    InvoiceStatus.DRAFT: "it is a draft: finalize it first, or delete it",
    InvoiceStatus.OPEN: "it is finalized already; to change it, void it and create another one",
    InvoiceStatus.PAID: "it is paid, and that is final",
    InvoiceStatus.VOID: "it is void, and that is final",
    InvoiceStatus.UNCOLLECTIBLE: "it is written off: it can still be marked paid or voided",
}


PARTIALLY_PAID: Final = "status IN ('OPEN', 'UNCOLLECTIBLE') AND amount_paid + amount_paid_out_of_band > 0"
"""The condition of the index of partly paid invoices. An invoice that is paid in full is PAID."""


class Invoice(Model):
    """An invoice. Amounts are minor units of `currency`.

    `amount_paid` is the sum of applied payments, gross of refunds. `amount_paid_out_of_band` is what was marked as paid
    by hand, in Fluxrate or in Stripe; `marked_paid` is JSON of the marks in Stripe. `integration_id` is the Stripe
    account that makes its payment links.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    customer_id = fields.CharField(max_length=64)
    integration_id = fields.CharField(max_length=64, null=True)
    number = fields.CharField(max_length=4096, null=True)
    status = fields.CharEnumField(InvoiceStatus, max_length=16)
    currency = fields.CharField(max_length=3)
    total = fields.BigIntField()
    amount_paid = fields.BigIntField(default=0)
    amount_paid_out_of_band = fields.BigIntField(default=0)
    amount_refunded = fields.BigIntField(default=0)
    marked_paid = fields.TextField(null=True)
    due_date = fields.DateField(null=True)
    memo = fields.CharField(max_length=4096, null=True)
    created_at = InstantField()
    updated_at = InstantField()
    finalized_at = InstantField(null=True)
    paid_at = InstantField(null=True)
    voided_at = InstantField(null=True)
    uncollectible_at = InstantField(null=True)

    class Meta:
        table = "invoices"
        manager = WorkspaceManager()

    @property
    def received(self) -> int:
        """Add up all that came in for it, in minor units."""
        return int(self.amount_paid + self.amount_paid_out_of_band)

    @property
    def amount_remaining(self) -> int:
        """Compute what remains to pay, in minor units; never negative."""
        return amount_remaining(int(self.total), self.received)

    @property
    def amount_overpaid(self) -> int:
        """Compute what came in beyond the total, in minor units; never negative."""
        return amount_overpaid(int(self.total), self.received)


class LineItem(Model):
    """A line of an invoice. `quantity` and `unit_amount` are exact decimals as text; `amount` is minor units."""

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    invoice_id = fields.CharField(max_length=64)
    position = fields.BigIntField()
    description = fields.TextField()
    quantity = fields.TextField()
    unit_amount = fields.TextField()
    amount = fields.BigIntField()

    class Meta:
        table = "line_items"
        manager = WorkspaceManager()


def may_become(status: InvoiceStatus, to: InvoiceStatus) -> bool:
    """Whether an invoice may go from one status to another."""
    return to in TRANSITIONS[status]


def check_transition(status: InvoiceStatus, to: InvoiceStatus) -> None:
    """Refuse a change of status that is not allowed.

    Raises:
        InvalidTransitionError: The invoice can't go there.
    """
    if not may_become(status, to):
        raise InvalidTransitionError(
            f"This invoice can't be made {to.value}: {_WAYS_OUT[status]}.", from_status=status.value, to_status=to.value
        )


def check_draft(status: InvoiceStatus) -> None:
    """Refuse to edit or delete an invoice that is not a draft.

    Raises:
        InvalidTransitionError: The invoice is no draft any more.
    """
    if status is not InvoiceStatus.DRAFT:
        raise InvalidTransitionError(
            f"Only a draft can be changed or deleted: {_WAYS_OUT[status]}.",
            from_status=status.value,
            to_status=InvoiceStatus.DRAFT.value,
        )


def check_open(status: InvoiceStatus) -> None:
    """Refuse a payment link for an invoice that is not OPEN.

    Raises:
        InvalidTransitionError: The invoice is in another state.
    """
    if status is not InvoiceStatus.OPEN:
        raise InvalidTransitionError(
            f"Only an OPEN invoice has a Payment Link: {_WAYS_OUT[status]}.",
            from_status=status.value,
            to_status=InvoiceStatus.OPEN.value,
        )


def check_collecting(status: InvoiceStatus, path: list[str]) -> None:
    """Refuse to apply a payment to an invoice that is neither OPEN nor UNCOLLECTIBLE.

    Raises:
        InvalidTransitionError: The invoice is a draft, paid, or void.
    """
    if status not in COLLECTING:
        raise InvalidTransitionError(
            f"Only an OPEN or UNCOLLECTIBLE invoice takes a payment: {_WAYS_OUT[status]}.",
            from_status=status.value,
            to_status=InvoiceStatus.PAID.value,
            path=path,
        )


async def next_number(tx: Transaction, workspace_id: str, year: int) -> str:
    """Assign the next invoice number of a workspace's year: INV-2026-0001, without gaps.

    Locks the year's counter until the transaction ends; if the transaction is rolled back, the number is free again.
    """
    rows = await tx.fetch(
        "INSERT INTO invoice_sequences (workspace_id, year, last) VALUES ($1, $2, 1)"
        " ON CONFLICT (workspace_id, year) DO UPDATE SET last = invoice_sequences.last + 1 RETURNING last",
        workspace_id,
        year,
    )
    return f"INV-{year}-{rows[0]['last']:04d}"


# --- As far as events change it --------------------------------------------------------------------------------


class MarkedPaid(NamedTuple):
    """An amount that was marked as paid in Stripe, for one Stripe invoice.

    `applied` is the part that our invoice lacked then.
    """

    order_id: str
    amount: int
    at: datetime
    applied: int = 0


class InvoiceState(NamedTuple):
    """The part of an invoice that events can change.

    `amount_paid_out_of_band` includes what was marked as paid by hand here, and `marked_paid` in Stripe.
    """

    id: str
    customer_id: str
    integration_id: str | None
    status: InvoiceStatus
    currency: str
    total: int
    amount_paid: int
    amount_paid_out_of_band: int
    amount_refunded: int
    paid_at: datetime | None
    marked_paid: tuple[MarkedPaid, ...] = ()

    @property
    def received(self) -> int:
        """Add up all that came in for it."""
        return self.amount_paid + self.amount_paid_out_of_band

    @property
    def amount_remaining(self) -> int:
        """Compute what remains to pay; never negative."""
        return amount_remaining(self.total, self.received)


def _marked_paid_json(invoice: InvoiceState) -> str | None:
    if not invoice.marked_paid:
        return None
    return orjson.dumps([list(mark) for mark in invoice.marked_paid], option=orjson.OPT_UTC_Z).decode()


def _marked_paid(json: str) -> tuple[MarkedPaid, ...]:
    return tuple(
        MarkedPaid(order_id, amount, datetime.fromisoformat(at), applied)
        for order_id, amount, at, applied in orjson.loads(json)
    )


INVOICE: Final = Columns[InvoiceState](Invoice, InvoiceState._fields, marked_paid=_marked_paid_json)
CHANGED_BY_EVENTS: Final = Columns[InvoiceState](
    Invoice,
    ("id", "status", "amount_paid", "amount_paid_out_of_band", "amount_refunded", "paid_at"),
    marked_paid=_marked_paid_json,
)
"""The columns that events change."""


def invoice_of(row: Row) -> InvoiceState:
    """Read a row with INVOICE's columns."""
    marked_paid = row["marked_paid"]
    return InvoiceState(**INVOICE.read(row), marked_paid=_marked_paid(marked_paid) if marked_paid else ())
