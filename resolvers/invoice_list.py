"""Lists of invoices: their filters, and the indexes that serve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from tortoise.expressions import Q, Subquery
from tortoise.queryset import QuerySet

from database.conditions import Literally
from errors import InvalidInputError
from models.customer import Customer
from models.ids import Prefix
from models.instant import utc_today
from models.invoice import PARTIALLY_PAID, Invoice
from models.kinds import InvoiceStatus, Scope
from models.money import MAX_MINOR_UNITS, parse_currency, unit_minor_units
from models.payment_link import FAILED, PaymentLink
from models.text import MAX_TEXT_LENGTH, optional_text
from resolvers.context import Context
from resolvers.customer_search import searched
from resolvers.reading.counts import Counting, only, summed, values_of
from resolvers.reading.filters import asked_for, conditions_of, distinct, restriction
from resolvers.reading.narrowing import EVERYTHING, Found, Narrowing, among, by_index, sublist, take
from resolvers.reading.pages import made_between
from resolvers.reading.search import holding
from resolvers.reading.tallies import INVOICE_MEASURES, KEPT_INVOICE_MEASURES, Tally, tally, tally_kept

MAX_IDS: Final = 100
"""How many ids the filter accepts."""

MAX_CUSTOMERS: Final = 50
"""How many customers the filter accepts, and how many a search considers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceQuery:
    """Which invoices to list; None means no restriction."""

    ids: Sequence[str] | None = restriction(
        "Only invoices with one of these ids. At most 100 ids may be given.", is_id=True
    )
    search: str | None = restriction(
        "Only invoices with this text in the number or memo, or in the customer's name, email or"
        " external id. If more than 50 customers have the text, only the newest 50 of these"
        " customers are considered. Case is ignored (on SQLite, only for the letters A to Z). A"
        " text of one or two characters is searched for only among the newest 10,000 invoices and"
        " the newest 10,000 customers."
    )
    number: str | None = restriction("Only the invoice with exactly this number.")
    status: Sequence[InvoiceStatus] | None = restriction("Only invoices with one of these statuses.")
    customer_id: str | None = restriction("Only invoices of this customer.", is_id=True)
    customer_ids: Sequence[str] | None = restriction(
        ("Only invoices of one of these customers. At most 50 ids may be given."), is_id=True
    )
    integration_id: str | None = restriction(
        "Only invoices whose Payment Links are made with this integration.", is_id=True
    )
    currency: str | None = restriction("Only invoices in the currency with this ISO 4217 code.")
    total_min: Decimal | None = restriction(
        "Only invoices with this total or more, in the currency's major unit. `currency` must be given as well."
    )
    total_max: Decimal | None = restriction(
        "Only invoices with this total or less, in the currency's major unit. `currency` must be given as well."
    )
    partially_paid: bool | None = restriction(
        "`true` selects only invoices that are partly paid and are OPEN or UNCOLLECTIBLE. `false`"
        " selects all other invoices."
    )
    payment_link_failed: bool | None = restriction(
        "`true` selects only invoices whose Payment Link is FAILED. `paymentLink.problem` says"
        " why the link failed. `false` selects all other invoices."
    )
    created_after: datetime | None = restriction("Only invoices that were created after this instant.")
    created_before: datetime | None = restriction("Only invoices that were created before this instant.")
    finalized_after: datetime | None = restriction("Only invoices that were finalized after this instant.")
    finalized_before: datetime | None = restriction("Only invoices that were finalized before this instant.")
    paid_after: datetime | None = restriction("Only invoices whose `paidAt` is after this instant.")
    paid_before: datetime | None = restriction("Only invoices whose `paidAt` is before this instant.")
    due_after: date | None = restriction("Only invoices that are due after this day.")
    due_before: date | None = restriction("Only invoices that are due before this day.")
    overdue: bool | None = restriction(
        "`true` selects only invoices that are OPEN and past their due date. `false` selects all other invoices."
    )


async def invoices(ctx: Context, query: InvoiceQuery) -> tuple[QuerySet[Invoice], list[Narrowing]]:
    """List the invoices that match a query; also return the conditions that other indexes serve.

    Raises:
        InvalidInputError: A filter can't be taken as it is.
    """
    ctx.require(Scope.READ)
    return listed(ctx, query).filter(*restrictions(ctx, query)), await narrowings(ctx, query)


def listed(ctx: Context, query: InvoiceQuery) -> QuerySet[Invoice]:
    """Query all invoices of the workspace, to be listed by the index that serves a query."""
    return ctx.listed(Invoice, _asked(query))


def restrictions(ctx: Context, query: InvoiceQuery) -> list[Q]:
    """Return the query's conditions that have an index by id, or are checked row by row."""
    holds = conditions_of(_asked(query))
    holds += made_between(Prefix.INVOICE, "created_at", query.created_after, query.created_before)
    if query.partially_paid is not None:
        holds.append(Literally(PARTIALLY_PAID if query.partially_paid else f"NOT ({PARTIALLY_PAID})"))
    if query.payment_link_failed is not None:
        without_link = Q(id__in=Subquery(ctx.rows(PaymentLink).filter(Literally(FAILED)).values("invoice_id")))
        holds.append(without_link if query.payment_link_failed else ~without_link)
    if query.overdue is not None:
        holds.append(_late() if query.overdue else ~Q(status=InvoiceStatus.OPEN) | _not_late())
    return holds


def _asked(query: InvoiceQuery) -> dict[str, Any]:
    return {
        "id__in": _few(query.ids, MAX_IDS, "ids"),
        "number": query.number and query.number[:MAX_TEXT_LENGTH],
        "status__in": distinct(query.status),
        "customer_id": query.customer_id,
        "integration_id": query.integration_id,
    }


def counting_of(ctx: Context, query: InvoiceQuery) -> Counting | None:
    """Count the invoices that match a query, if the sums have that number."""
    keys = _keys_of_sums(query)
    return None if keys is None else summed("invoice_totals", ctx.workspace_id, **keys)


async def tally_of(ctx: Context, query: InvoiceQuery) -> Tally:
    """Add up the invoices that match a query: all of them from the sums, otherwise up to the limit of a count.

    Raises:
        InvalidInputError: A filter can't be taken as it is.
    """
    keys = _keys_of_sums(query)
    if keys is not None:
        ctx.require(Scope.READ)
        return await tally_kept("invoice_totals", ctx.workspace_id, KEPT_INVOICE_MEASURES, **keys)
    return await tally(*await invoices(ctx, query), INVOICE_MEASURES)


def _keys_of_sums(query: InvoiceQuery) -> dict[str, list[str] | None] | None:
    """Return the keys of the sums that a query needs; None if the sums can't answer it."""
    if not only(query, "status", "currency"):
        return None
    currency = None if query.currency is None else [parse_currency(query.currency, ["filter", "currency"])]
    return {"status": values_of(query.status), "currency": currency}


# --- What has no index in the list's order ---------------------------------------------------------------------


async def narrowings(ctx: Context, query: InvoiceQuery) -> list[Narrowing]:
    """Return the query's conditions that have an index of their own."""
    customers = _few(query.customer_ids, MAX_CUSTOMERS, "customerIds")
    ranges: dict[str, dict[str, Any]] = {
        "total": amounts(query),
        "due_date": {"due_date__gt": query.due_after, "due_date__lt": query.due_before},
        "finalized_at": {"finalized_at__gt": query.finalized_after, "finalized_at__lt": query.finalized_before},
        "paid_at": {"paid_at__gt": query.paid_after, "paid_at__lt": query.paid_before},
    }
    found = [] if customers is None else [among("customer_id", customers)]
    for column, range_ in ranges.items():
        asked = asked_for(range_)
        if asked:
            found.append(by_index(ctx.rows(Invoice), column, Q(**asked)))
    return found + await _searched(ctx, query.search)


def _few(values: Sequence[str] | None, most: int, name: str) -> list[str] | None:
    if values is None:
        return None
    few = sorted(set(values))
    if len(few) > most:
        raise InvalidInputError(f'"{name}" has {len(few)} ids: give at most {most}.', path=["filter", name])
    return few


def amounts(query: InvoiceQuery) -> dict[str, Any]:
    """Return the query's currency and bounds of the total, in minor units.

    Raises:
        InvalidInputError: A bound has no currency, or is no amount of it.
    """
    given = {"totalMin": query.total_min, "totalMax": query.total_max}
    if query.currency is None:
        for name, value in given.items():
            if value is not None:
                raise InvalidInputError(
                    f'"{name}" needs "currency": amounts of several currencies can\'t be compared.',
                    path=["filter", name],
                )
        return {}
    currency = parse_currency(query.currency, ["filter", "currency"])
    least, most = (_minor_units(value, currency, name) for name, value in given.items())
    return {"currency": currency, "total__gte": least, "total__lte": most}


def _minor_units(value: Decimal | None, currency: str, name: str) -> int | None:
    if value is None:
        return None
    units = unit_minor_units(value, currency) if abs(value) <= MAX_MINOR_UNITS else None
    if units is None:
        raise InvalidInputError(
            f'"{name}" is no amount of {currency}: give it in {currency}, with no more digits after the point than it'
            " has.",
            path=["filter", name],
        )
    return units


async def _searched(ctx: Context, search: str | None) -> list[Narrowing]:
    """Search number and memo by their index, and customers by theirs, for their invoices."""
    text = optional_text(search, "The search", ["filter", "search"])
    if text is None:
        return []
    narrowed = await searched(ctx, text, ["filter", "search"])
    customers = [row.id for row in await take(ctx.listed(Customer), narrowed, EVERYTHING, MAX_CUSTOMERS)]
    texts = Q(number__icontains=text) | Q(memo__icontains=text)
    of_texts = await holding(ctx.listed(Invoice), "invoice", ctx.workspace_id, text, texts)
    if not customers:
        return [of_texts]

    async def find() -> Found | None:
        found = await of_texts.find()
        return found and Found(found.ids, [sublist("customer_id", id_) for id_ in customers])

    return [Narrowing(of_texts.holds | Q(customer_id__in=customers), find)]


def _late() -> Q:
    return Q(status=InvoiceStatus.OPEN, due_date__lt=utc_today())


def _not_late() -> Q:
    return Q(due_date__isnull=True) | Q(due_date__gte=utc_today())
