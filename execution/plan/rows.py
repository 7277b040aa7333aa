"""Lists the fields that plans read as rows with few columns: the columns of each, and its value.

Resolvers answer all other fields, from whole rows. The fields here have the same values as the types in
`schema/types/`: tests/execution/plan/test_equal.py compares them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final, Self

from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.customer import Customer
from models.ids import Prefix
from models.invoice import Invoice
from models.money import to_majors
from models.payment import Payment
from resolvers import invoice, invoice_list, payment
from resolvers.context import Context
from resolvers.invoice_list import InvoiceQuery
from resolvers.payment import PaymentQuery
from resolvers.reading.counts import Count, Counting
from resolvers.reading.pages import Page, encode_cursor
from schema import query
from schema.enums import CountPrecision
from schema.pages import paged
from schema.types.diagnosis import Diagnosis
from schema.types.payment import Dispute


class RowPage:
    """A page of rows, whose cursors and count are computed when selected."""

    __slots__ = ("_count", "_counting", "has_next", "has_previous", "rows")

    def __init__(self, rows: list[Any], has_next: bool, has_previous: bool, counting: Counting) -> None:
        self.rows = rows
        self.has_next = has_next
        self.has_previous = has_previous
        self._counting = counting
        self._count: asyncio.Future[Count] | None = None

    @classmethod
    def at_end(cls, loaded: list[Any], size: int, counting: Counting, *, backwards: bool) -> Self:
        """Make the page at an end of a list from its rows and one more, which were read from that end."""
        more = len(loaded) > size
        if backwards:
            return cls(loaded[size - 1 :: -1], False, more, counting)
        return cls(loaded[:size] if more else loaded, more, False, counting)

    async def count(self) -> Count:
        """Count the rows of the list, once."""
        if self._count is None:
            self._count = asyncio.ensure_future(self._counting())
        return await self._count

    @property
    def edges(self) -> list[tuple[str, Any]]:
        """Return the rows with their cursors."""
        return [(encode_cursor(row.id), row) for row in self.rows]

    @property
    def start_cursor(self) -> str | None:
        """Return the cursor of the first row."""
        return encode_cursor(self.rows[0].id) if self.rows else None

    @property
    def end_cursor(self) -> str | None:
        """Return the cursor of the last row."""
        return encode_cursor(self.rows[-1].id) if self.rows else None


async def _number(page: RowPage) -> int:
    return (await page.count()).number


async def _precision(page: RowPage) -> CountPrecision:
    return CountPrecision.EXACT if (await page.count()).is_exact else CountPrecision.AT_LEAST


@dataclass(frozen=True, slots=True)
class Counted:
    """A field of a page that has to be counted."""

    of: Callable[[RowPage], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Value:
    """A field computed from columns, for all rows at once: its values, Strawberry's objects, or serialized texts."""

    columns: tuple[str, ...]
    of: Callable[[Sequence[Any]], list[Any]]
    is_object: bool = False
    is_printed: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A field that is a row of another type, whose id is in a column."""

    column: str


@dataclass(frozen=True, slots=True)
class Children:
    """A field that is a page of another type's rows, which have this row's id in a column. `all_of` queries all."""

    column: str
    all_of: Callable[[Context, str], Awaitable[QuerySet[Any]]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A field of the query that is a page of rows."""

    page: Callable[..., Awaitable[Page[Any]]]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A field of the query that is a row, by its id."""

    kind: Prefix


def _each(of: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda rows: list(map(of, rows))


def _column(name: str) -> Value:
    return Value((name,), _each(attrgetter(name)))


def _money(name: str, *columns: str) -> Value:
    """Make a field for an amount in a row's currency, in minor units; it may be null."""
    of = _each(attrgetter(name, "currency"))

    def pairs(rows: Sequence[Any]) -> list[Any]:
        found = of(rows)
        return [None if pair[0] is None else pair for pair in found]

    return Value((*(columns or (name,)), "currency"), pairs)


def _presentment(row: Any) -> tuple[int, str] | None:
    amount, currency = row.presentment_amount, row.presentment_currency
    return None if amount is None or currency is None else (amount, currency)


async def _payments_of_invoice(ctx: Context, id_: str) -> QuerySet[Any]:
    return payment.payments(ctx, PaymentQuery(invoice_id=id_))[0]


async def _payments_of_customer(ctx: Context, id_: str) -> QuerySet[Any]:
    return payment.payments(ctx, PaymentQuery(customer_id=id_))[0]


async def _invoices_of_customer(ctx: Context, id_: str) -> QuerySet[Any]:
    return (await invoice_list.invoices(ctx, InvoiceQuery(customer_id=id_)))[0]


_PAID: Final = ("amount_paid", "amount_paid_out_of_band")
_DISPUTED: Final = (
    "currency", "disputes", "dispute_decided_by", "dispute_status", "dispute_reason", "dispute_amount",
    "dispute_opened_at", "dispute_closed_at",
)  # fmt: skip

MODELS: Final[Mapping[str, type[Model]]] = {"Customer": Customer, "Invoice": Invoice, "Payment": Payment}
"""The model of each type that is read as rows."""

_OF_PAGES: Final[Mapping[str, Value | Counted]] = {
    "Connection.nodes": Value((), _each(attrgetter("rows"))),
    "Connection.edges": Value((), _each(attrgetter("edges"))),
    "Connection.pageInfo": Value((), list),
    "Connection.totalCount": Counted(_number),
    "Connection.totalCountPrecision": Counted(_precision),
    "Edge.cursor": Value((), _each(itemgetter(0))),
    "Edge.node": Value((), _each(itemgetter(1))),
}

FIELDS: Final[Mapping[str, Value | Link | Children | Counted]] = {
    **{f"{kind}{coordinate}": field for kind in MODELS for coordinate, field in _OF_PAGES.items()},
    "PageInfo.hasNextPage": Value((), _each(attrgetter("has_next"))),
    "PageInfo.hasPreviousPage": Value((), _each(attrgetter("has_previous"))),
    "PageInfo.startCursor": Value((), _each(attrgetter("start_cursor"))),
    "PageInfo.endCursor": Value((), _each(attrgetter("end_cursor"))),
    "Money.amount": Value((), to_majors, is_printed=True),
    "Money.minorUnits": Value((), lambda money: [str(minor) for minor, _ in money], is_printed=True),
    "Money.currency": Value((), _each(itemgetter(1))),
    "Customer.id": _column("id"),
    "Customer.name": _column("name"),
    "Customer.email": _column("email"),
    "Customer.externalId": _column("external_id"),
    "Customer.createdAt": _column("created_at"),
    "Customer.invoices": Children("customer_id", _invoices_of_customer),
    "Customer.payments": Children("customer_id", _payments_of_customer),
    "Invoice.id": _column("id"),
    "Invoice.number": _column("number"),
    "Invoice.status": _column("status"),
    "Invoice.currency": _column("currency"),
    "Invoice.total": _money("total"),
    "Invoice.amountPaid": _money("received", *_PAID),
    "Invoice.amountRemaining": _money("amount_remaining", "total", *_PAID),
    "Invoice.amountOverpaid": _money("amount_overpaid", "total", *_PAID),
    "Invoice.amountRefunded": _money("amount_refunded"),
    "Invoice.amountPaidOutOfBand": _money("amount_paid_out_of_band"),
    "Invoice.dueDate": _column("due_date"),
    "Invoice.isOverdue": Value(("status", "due_date"), _each(invoice.is_overdue)),
    "Invoice.memo": _column("memo"),
    "Invoice.createdAt": _column("created_at"),
    "Invoice.finalizedAt": _column("finalized_at"),
    "Invoice.paidAt": _column("paid_at"),
    "Invoice.voidedAt": _column("voided_at"),
    "Invoice.uncollectibleAt": _column("uncollectible_at"),
    "Invoice.customer": Link("customer_id"),
    "Invoice.payments": Children("invoice_id", _payments_of_invoice),
    "Payment.id": _column("id"),
    "Payment.status": _column("status"),
    "Payment.amount": _money("amount"),
    "Payment.amountRefunded": _money("amount_refunded"),
    "Payment.overpaid": _money("overpaid"),
    "Payment.allocation": _column("allocation"),
    "Payment.unappliedReason": Value(
        ("unapplied_code",), _each(lambda row: Diagnosis.of_code(row.unapplied_code)), is_object=True
    ),
    "Payment.providerPaymentId": _column("provider_payment_id"),
    "Payment.failureCode": _column("failure_code"),
    "Payment.failureMessage": _column("failure_message"),
    "Payment.presentment": Value(("presentment_amount", "presentment_currency"), _each(_presentment)),
    "Payment.amountReceived": _money("amount_received"),
    "Payment.dispute": Value(_DISPUTED, _each(Dispute.of), is_object=True),
    "Payment.disputes": Value(_DISPUTED, _each(Dispute.all_of), is_object=True),
    "Payment.occurredAt": _column("occurred_at"),
    "Payment.createdAt": _column("created_at"),
    "Payment.invoice": Link("invoice_id"),
    "Payment.customer": Link("customer_id"),
}
"""The fields of rows, of their pages, and of their amounts, which are pairs of minor units and a currency."""

ROOTS: Final[Mapping[str, Listed | LookedUp]] = {
    "customers": Listed(paged(query.customer_page)),
    "customer": LookedUp(Prefix.CUSTOMER),
    "invoices": Listed(paged(query.invoice_page)),
    "invoice": LookedUp(Prefix.INVOICE),
    "payments": Listed(paged(query.payment_page)),
    "payment": LookedUp(Prefix.PAYMENT),
}
"""The root fields that are read as rows."""
