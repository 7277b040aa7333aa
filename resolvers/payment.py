"""Lists payments, and applies them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.access import retrying
from database.conditions import Literally
from database.transaction import Row, Transaction
from errors import ConflictError, InvalidInputError, NotFoundError
from inbox.attempts import Attempt, keep_attempts, keep_firsts
from inbox.books import Books
from inbox.delivery import Origin
from inbox.loading import Loader
from inbox.writing import write_books
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.invoice import Invoice, InvoiceState, check_collecting
from models.kinds import (
    Allocation,
    AttemptSource,
    EventType,
    PaymentOrderField,
    PaymentStatus,
    Scope,
    WebhookEventStatus,
)
from models.money import parse_currency
from models.payment import DISPUTED, OVERPAID, TO_APPLY, UNSETTLED, Payment, PaymentState
from models.settlement import NotAllocated, Verdict, allocate, why_not_allocated
from resolvers.context import Context, Write
from resolvers.reading.counts import Counting, only, summed, values_of
from resolvers.reading.filters import asked_for, conditions_of, distinct, restriction
from resolvers.reading.narrowing import Narrowing, by_index
from resolvers.reading.orders import INSTANT, NUMBER, TEXT, Kind, Ordering, by_restrictions, order_name
from resolvers.reading.tallies import KEPT_PAYMENT_MEASURES, PAYMENT_MEASURES, Tally, tally, tally_kept
from resolvers.reading.walks import ByColumns, Value, between


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentQuery:
    """Which payments to list; None means no restriction."""

    status: Sequence[PaymentStatus] | None = restriction("Only payments with one of these statuses.")
    allocation: Allocation | None = restriction(
        "`APPLIED` selects only payments that count toward an invoice. `UNAPPLIED` selects only"
        " payments that count toward no invoice."
    )
    invoice_id: str | None = restriction("Only payments for this invoice.", is_id=True)
    customer_id: str | None = restriction("Only payments of this customer.", is_id=True)
    integration_id: str | None = restriction("Only payments that came in through this integration.", is_id=True)
    currency: str | None = restriction("Only payments in the currency with this ISO 4217 code.")
    occurred_after: datetime | None = restriction("Only payments that happened after this instant, by Stripe's clock.")
    occurred_before: datetime | None = restriction(
        "Only payments that happened before this instant, by Stripe's clock."
    )
    to_apply: bool | None = restriction(
        "`true` selects only payments that fit no invoice and were not refunded in full. Somebody"
        " has to apply these payments (`applyPayment`) or refund them. `false` selects all other"
        " payments."
    )
    overpaid: bool | None = restriction(
        "`true` selects only payments with an excess that was not refunded in full. The excess is"
        " the part above what remained to pay on the invoice. `false` selects all other payments."
    )
    disputed: bool | None = restriction(
        "`true` selects only payments with a dispute that is not decided. `false` selects all other payments."
    )


def payments(ctx: Context, query: PaymentQuery) -> tuple[QuerySet[Payment], list[Narrowing]]:
    """List the payments that match a query; also return the conditions that other indexes serve."""
    ctx.require(Scope.READ)
    return _listed(ctx, query).filter(*_restrictions(query)), _narrowings(ctx, query)


def _listed(ctx: Context, query: PaymentQuery) -> QuerySet[Payment]:
    """Query all payments of the workspace, to be listed by the index that serves a query."""
    return ctx.listed(Payment, _asked(query))


def _restrictions(query: PaymentQuery) -> list[Q]:
    """Return the query's conditions that have an index by id, or are checked row by row."""
    holds = conditions_of(_asked(query))
    if query.status is not None and PaymentStatus.SUCCEEDED not in query.status:
        holds.append(Literally(UNSETTLED))
    kinds = ((TO_APPLY, query.to_apply), (OVERPAID, query.overpaid), (DISPUTED, query.disputed))
    for condition, is_asked in kinds:
        if is_asked is not None:
            holds.append(Literally(condition if is_asked else f"NOT ({condition})"))
    return holds


def _asked(query: PaymentQuery) -> dict[str, Any]:
    return {
        "status__in": distinct(query.status),
        "allocation": query.allocation,
        "invoice_id": query.invoice_id,
        "customer_id": query.customer_id,
        "integration_id": query.integration_id,
    }


def _narrowings(ctx: Context, query: PaymentQuery) -> list[Narrowing]:
    """Return the query's conditions that have an index of their own."""
    times = {"occurred_at__gt": query.occurred_after, "occurred_at__lt": query.occurred_before}
    asked = asked_for(times)
    narrowings = [by_index(ctx.rows(Payment), "occurred_at", Q(**asked))] if asked else []
    if query.currency is not None:
        currency = parse_currency(query.currency, ["filter", "currency"])
        narrowings.append(by_index(ctx.rows(Payment), "amount", Q(currency=currency)))
    return narrowings


def ordered(ctx: Context, query: PaymentQuery, by: PaymentOrderField, *, descending: bool) -> Ordering[Payment]:
    """List the payments that match a query, by time or by amount."""
    rows, narrowings = payments(ctx, query)
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    if by is PaymentOrderField.AMOUNT:
        columns, kinds, rest = ("currency", "amount"), (TEXT, NUMBER), replace(query, currency=None)
        currency = query.currency and parse_currency(query.currency, ["filter", "currency"])
        pinned: list[tuple[str, Value | None]] = [("currency = {}", currency)] if currency else []
    else:
        columns, kinds = ("occurred_at",), (INSTANT,)
        rest = replace(query, occurred_after=None, occurred_before=None)
        pinned = between("occurred_at", query.occurred_after, query.occurred_before)
    return Ordering(
        name=order_name("payments", by, descending=descending),
        workspace_id=ctx.workspace_id,
        descending=descending,
        kinds=kinds,
        rows=rows,
        narrowings=narrowings,
        walk=ByColumns("payments", ctx.workspace_id, columns, pinned),
        unwalked=[*_narrowings(ctx, rest), *by_restrictions(_listed(ctx, rest), _restrictions(rest))],
    )


def counting_of(ctx: Context, query: PaymentQuery) -> Counting | None:
    """Count the payments that match a query, if the sums have that number."""
    keys = _keys_of_sums(query)
    return None if keys is None else summed("payment_totals", ctx.workspace_id, **keys)


async def tally_of(ctx: Context, query: PaymentQuery) -> Tally:
    """Add up the payments that match a query: all of them from the sums, otherwise up to the limit of a count."""
    keys = _keys_of_sums(query)
    if keys is not None:
        ctx.require(Scope.READ)
        return await tally_kept("payment_totals", ctx.workspace_id, KEPT_PAYMENT_MEASURES, **keys)
    return await tally(*payments(ctx, query), PAYMENT_MEASURES)


def _keys_of_sums(query: PaymentQuery) -> dict[str, list[str] | None] | None:
    """Return the keys of the sums that a query needs; None if the sums can't answer it."""
    if not only(query, "status", "allocation", "currency"):
        return None
    return {
        "status": values_of(query.status),
        "allocation": None if query.allocation is None else [query.allocation.value],
        "currency": None if query.currency is None else [parse_currency(query.currency, ["filter", "currency"])],
    }


# --- Applying by hand ------------------------------------------------------------------------------------------

_PAYMENT: Final = ["paymentId"]
_INVOICE: Final = ["invoiceId"]


async def apply_payment(ctx: Context, payment_id: str, invoice_id: str) -> tuple[Payment, Invoice]:
    """Apply an unapplied payment to an invoice; return both, updated. A repetition changes nothing.

    The payment's webhook events become PROCESSED.

    Raises:
        NotFoundError: This workspace has no such payment or invoice.
        InvalidInputError: The payment is in another currency than the invoice, or of the other mode than the workspace.
        InvalidTransitionError: The invoice is a draft, paid, or void.
        ConflictError: The payment did not succeed, counts for another invoice, or was refunded.
    """
    ctx.require(Scope.WRITE)
    payment = await ctx.one(Payment, payment_id, "payment", _PAYMENT)
    await ctx.one(Invoice, invoice_id, "invoice", _INVOICE)
    if not _counts_for(payment, invoice_id):
        await retrying(lambda: _apply_once(ctx, payment, invoice_id))
        ctx.services.link_maker.wake()
    return await ctx.rows(Payment).get(id=payment_id), await ctx.rows(Invoice).get(id=invoice_id)


def _counts_for(payment: Payment | PaymentState, invoice_id: str) -> bool:
    return payment.allocation is Allocation.APPLIED and payment.invoice_id == invoice_id


async def _apply_once(ctx: Context, payment: Payment, invoice_id: str) -> None:
    async with ctx.write() as write:
        await _apply(ctx, write, payment, invoice_id)


async def _apply(ctx: Context, write: Write, row: Payment, invoice_id: str) -> None:
    tx, workspace_id = write.tx, ctx.workspace_id
    webhook_event_ids = await _lock_unapplied(tx, workspace_id, row.id)
    books = Books()
    await Loader(tx, books).load_allocation(workspace_id, row.id, invoice_id)
    payment = books.payments.get((workspace_id, row.id))
    if payment is None:
        raise NotFoundError("This payment was just merged into another one: look it up again.", path=_PAYMENT)
    if _counts_for(payment, invoice_id):
        return
    if (invoice := books.invoices.get((workspace_id, invoice_id))) is None:
        raise NotFoundError("This draft was just deleted: choose another invoice.", path=_INVOICE)
    _check(payment, invoice)
    verdict = allocate(payment, books.ledger(workspace_id, invoice_id), new_id(Prefix.PAYMENT_LINK))
    books.enter(Origin(workspace_id, row.integration_id, ctx.caller.workspace.mode), invoice_id, verdict)
    await write_books(tx, books, utc_now())
    events = await _processed(tx, row, invoice, webhook_event_ids)
    _log(write, row, invoice, verdict, events)


def _check(payment: PaymentState, invoice: InvoiceState) -> None:
    code = why_not_allocated(payment, invoice)
    if code is NotAllocated.PAYMENT_NOT_SUCCEEDED:
        raise ConflictError(
            f"This payment is {payment.status.value}: only money that came in can be applied.", code=code, path=_PAYMENT
        )
    if code is NotAllocated.ALREADY_APPLIED:
        raise ConflictError(
            f"This payment counts for the invoice {payment.invoice_id} already.", code=code, path=_PAYMENT
        )
    if code is NotAllocated.PAYMENT_REFUNDED:
        raise ConflictError(
            "This payment was refunded in full, so there is no money left to apply: let the customer pay again.",
            code=code,
            path=_PAYMENT,
        )
    if code is NotAllocated.LIVEMODE_MISMATCH:
        raise InvalidInputError(
            "This payment's mode is not the workspace's: a test payment can't pay a live invoice, nor the reverse.",
            code=code,
            path=_PAYMENT,
        )
    check_collecting(invoice.status, _INVOICE)
    if code is NotAllocated.CURRENCY_MISMATCH:
        raise InvalidInputError(
            f"This payment is in {payment.currency}, the invoice in {invoice.currency}: choose an invoice in"
            f" {payment.currency}, or refund the payment in Stripe.",
            code=code,
            path=_INVOICE,
        )


async def _lock_unapplied(tx: Transaction, workspace_id: str, payment_id: str) -> list[str]:
    """Lock a payment's unapplied webhook events, before the payment as everywhere; return their ids."""
    query = (
        "SELECT id FROM webhook_events WHERE workspace_id = $1 AND payment_id = $2 AND status = 'UNAPPLIED' ORDER BY id"
    )
    return [row["id"] for row in await tx.fetch(tx.for_update(query), workspace_id, payment_id)]


async def _processed(
    tx: Transaction, payment: Payment, invoice: InvoiceState, webhook_event_ids: Sequence[str]
) -> Sequence[Row]:
    """Mark the payment's webhook events as PROCESSED; return their ids and those of their integrations."""
    now = utc_now()
    await keep_firsts(tx, webhook_event_ids)
    events = await tx.fetch(
        "UPDATE webhook_events SET status = 'PROCESSED', reason_code = NULL, reason_detail = NULL, invoice_id = $3,"
        " customer_id = $4, processed_at = $5"
        " WHERE workspace_id = $1 AND payment_id = $2 AND status = 'UNAPPLIED' RETURNING id, integration_id",
        payment.workspace_id,
        payment.id,
        invoice.id,
        invoice.customer_id,
        now,
    )
    done = (WebhookEventStatus.PROCESSED, None, None, now)
    await keep_attempts(tx, [Attempt(payment.workspace_id, row["id"], AttemptSource.APPLIED, *done) for row in events])
    return events


def _log(write: Write, payment: Payment, invoice: InvoiceState, verdict: Verdict, events: Sequence[Row]) -> None:
    log = partial(write.log, invoice_id=invoice.id, payment_id=payment.id, customer_id=invoice.customer_id)
    for row in sorted(events, key=lambda row: str(row["id"])):
        log(EventType.WEBHOOK_EVENT_UPDATED, webhook_event_id=row["id"], integration_id=row["integration_id"])
    for entry in verdict.log:
        log(
            entry.type,
            previous_status=entry.previous_status,
            status=entry.status,
            integration_id=payment.integration_id,
        )
