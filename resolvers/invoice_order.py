"""Lists invoices in an order: by a date, an amount, or the customer's name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tortoise.expressions import Q

from database.access import fetch, reading_dialect
from database.bulk import any_of
from models.instant import utc_today
from models.invoice import Invoice
from models.kinds import InvoiceOrderField, InvoiceStatus
from resolvers.context import Context
from resolvers.invoice_list import InvoiceQuery, amounts, invoices, listed, narrowings, restrictions
from resolvers.reading.filters import asked_for
from resolvers.reading.narrowing import Found, Narrowing, Sublist, among
from resolvers.reading.orders import DAY, INSTANT, NUMBER, TEXT, Kind, Ordering, by_restrictions, order_name
from resolvers.reading.walks import ByColumns, Conditions, Key, Part, Walk, between, unindexed

_UNPAID: Final = tuple(status for status in InvoiceStatus if status is not InvoiceStatus.PAID)


@dataclass(frozen=True, slots=True)
class _Way:
    """How an order's index is walked, and which conditions it does not cover.

    `without` is the condition of rows that have no value; None if the query excludes them.
    """

    walk: Walk | None
    kinds: Sequence[Kind]
    rest: InvoiceQuery
    without: Narrowing | None = None


async def ordered(ctx: Context, query: InvoiceQuery, by: InvoiceOrderField, *, descending: bool) -> Ordering[Invoice]:
    """List the invoices that match a query in an order other than that of creation.

    Raises:
        InvalidInputError: A filter can't be taken as it is.
    """
    rows, narrowed = await invoices(ctx, query)
    way = _WAYS[by](ctx, query)
    own = by_restrictions(listed(ctx, way.rest), restrictions(ctx, way.rest))
    return Ordering(
        name=order_name("invoices", by, descending=descending),
        workspace_id=ctx.workspace_id,
        descending=descending,
        kinds=way.kinds,
        rows=rows,
        narrowings=narrowed,
        walk=way.walk,
        unwalked=[*await narrowings(ctx, way.rest), *own],
        without=way.without,
    )


def _by_total(ctx: Context, query: InvoiceQuery) -> _Way:
    """Order by currency, then by total: amounts of two currencies can't be compared."""
    kinds, asked = (TEXT, NUMBER), amounts(query)
    texts = {"currency": "currency = {}", "total__gte": "total >= {}", "total__lte": "total <= {}"}
    pinned = [(texts[name], value) for name, value in asked_for(asked).items()]
    walk = ByColumns("invoices", ctx.workspace_id, ("currency", "total"), pinned)
    return _Way(walk, kinds, replace(query, currency=None, total_min=None, total_max=None))


def _by_due_date(ctx: Context, query: InvoiceQuery) -> _Way:
    pinned = between("due_date", query.due_after, query.due_before)
    rest = replace(query, due_after=None, due_before=None)
    statuses = None if query.status is None else set(query.status)
    if query.overdue:
        pinned += between("due_date", None, utc_today())
        rest = replace(rest, overdue=None)
    if query.overdue or statuses == {InvoiceStatus.OPEN}:
        pinned.append(("status = 'OPEN'", None))  # as the index has it
        rest = replace(rest, status=None if statuses == {InvoiceStatus.OPEN} else query.status)
    without = None if query.overdue or query.due_after or query.due_before else _without_due_date()
    walk = ByColumns("invoices", ctx.workspace_id, ("due_date",), [("due_date IS NOT NULL", None), *pinned])
    return _Way(walk, (DAY,), rest, without)


def _without_due_date() -> Narrowing:
    holds = Q(due_date__isnull=True)

    async def find() -> Found | None:
        return Found(lists=[Sublist(holds)])

    return Narrowing(holds, find)


def _by_paid_at(ctx: Context, query: InvoiceQuery) -> _Way:
    """Order by payment: only PAID invoices have the time of it."""
    statuses = InvoiceStatus if query.status is None else set(query.status)
    pinned = between("paid_at", query.paid_after, query.paid_before)
    others = [status for status in _UNPAID if status in statuses and not pinned]
    without = among("status", others) if others else None
    walk = ByColumns("invoices", ctx.workspace_id, ("paid_at",), [("paid_at IS NOT NULL", None), *pinned])
    rest = replace(query, status=None, paid_after=None, paid_before=None)
    return _Way(walk if InvoiceStatus.PAID in statuses else None, (INSTANT,), rest, without)


def _by_customer(ctx: Context, query: InvoiceQuery) -> _Way:
    walk = _ByCustomer(ctx.workspace_id, query.customer_id)
    return _Way(walk, (TEXT, TEXT), replace(query, customer_id=None))


_WAYS: Final = {
    InvoiceOrderField.TOTAL: _by_total,
    InvoiceOrderField.DUE_DATE: _by_due_date,
    InvoiceOrderField.PAID_AT: _by_paid_at,
    InvoiceOrderField.CUSTOMER: _by_customer,
}


# --- By customer -----------------------------------------------------------------------------------------------

_MIN_AT_ONCE: Final = 1
_MAX_AT_ONCE: Final = 64
"""How many customers' invoices are looked up at once; it begins with one customer's, which may be enough."""


@dataclass(frozen=True, slots=True)
class _ByCustomer:
    """Walks customers that have invoices, by name, and then each one's invoices, by id.

    A key also has the customer's id. `only` is the id of the only customer that the query asks for.
    """

    workspace_id: str
    only: str | None

    async def keys(self, part: Part, limit: int) -> list[Key]:
        """Read the first keys of a part: the rest of its first customer, those between, the beginning of its last."""
        if part.low is not None and part.high is not None and part.low >= part.high:
            return []
        if self.only is not None:
            return await self._of_only(self.only, part, limit)
        start, end = (part.high, part.low) if part.descending else (part.low, part.high)
        if start is not None and end is not None and start[:2] == end[:2]:
            return await self._of_one(start, part, limit)
        keys = [] if start is None else await self._of_one(start, _beginning(part), limit)
        if len(keys) < limit:
            keys += await self._of_customers(part, limit - len(keys))
        if len(keys) < limit and end is not None:
            keys += await self._of_one(end, _ending(part), limit - len(keys))
        return keys

    async def keys_of(self, ids: Sequence[str]) -> list[Key]:
        """Read the keys of these rows."""
        condition, value = any_of(reading_dialect(), "i.id", 2, ids)
        rows = await fetch(
            "SELECT c.sort_name, c.id AS customer_id, i.id FROM invoices i CROSS JOIN customers c"  # noqa: S608
            f" WHERE {unindexed('i.workspace_id')} = $1 AND {condition} AND c.id = i.customer_id",
            self.workspace_id,
            value,
        )
        return [(row["sort_name"], row["customer_id"], row["id"]) for row in rows]

    async def _of_customers(self, part: Part, limit: int) -> list[Key]:
        """Read the first keys of the customers between the part's ends."""
        walk = ByColumns("customers", self.workspace_id, ("sort_name",), [("has_invoices", None)])
        low, high = (None if key is None else key[:2] for key in (part.low, part.high))
        left, keys, number = Part(low, high, part.descending), list[Key](), _MIN_AT_ONCE
        customers = await walk.keys(left, number)
        while customers and len(keys) < limit:
            keys += await self._of_each(customers, part, limit - len(keys))
            left, number = left.beyond(customers[-1]), min(4 * number, _MAX_AT_ONCE)
            customers = await walk.keys(left, number) if len(keys) < limit else []
        return keys[:limit]

    async def _of_each(self, customers: Sequence[Key], part: Part, most: int) -> list[Key]:
        """Read each customer's first keys by a look-up of its own, which PostgreSQL plans by their number."""
        values = Conditions()
        own, look_ups = f"{unindexed('workspace_id')} = {values.place(self.workspace_id)}", []
        for place, key in enumerate(customers):
            of = _OF_CUSTOMER[reading_dialect()].format(values.place(key[-1]))
            few = f"SELECT {place} AS place, id FROM invoices WHERE {of} AND {own} {_order(part)} LIMIT {most}"  # noqa: S608
            look_ups.append(f"SELECT * FROM ({few}) AS of_{place}")  # noqa: S608
        found = await fetch(" UNION ALL ".join(look_ups), *values.values)
        rows = sorted(found, key=lambda row: str(row["id"]), reverse=part.descending)
        return [(*customers[row["place"]], row["id"]) for row in sorted(rows, key=lambda row: int(row["place"]))]

    async def _of_only(self, customer_id: str, part: Part, limit: int) -> list[Key]:
        sql = "SELECT sort_name, id FROM customers WHERE workspace_id = $1 AND id = $2"
        for row in await fetch(sql, self.workspace_id, customer_id):
            own = (row["sort_name"], customer_id)
            low, high = part.low, part.high
            if (low is None or low[:2] <= own) and (high is None or high[:2] >= own):
                low, high = (key if key and key[:2] == own else None for key in (low, high))
                return await self._of_one(own, Part(low, high, part.descending), limit)
        return []

    async def _of_one(self, key: Key, part: Part, limit: int) -> list[Key]:
        """Read the first keys of the customer that a key names."""
        name, customer_id = key[:2]
        where = Conditions((_OF_CUSTOMER[reading_dialect()], customer_id))
        where.add(f"{unindexed('workspace_id')} = {{}}", self.workspace_id)
        low, high = (None if end is None else end[2:] for end in (part.low, part.high))
        where.add_part(("id",), Part(low, high, part.descending))
        sql = f"SELECT id FROM invoices WHERE {where} {_order(part)} LIMIT {limit}"  # noqa: S608
        rows = await fetch(sql, *where.values)
        return [(name, customer_id, row["id"]) for row in rows]


_OF_CUSTOMER: Final = {"sqlite": "customer_id = {}", "postgres": "customer_id = ANY(ARRAY[{}])"}
"""The condition of a customer's rows, as `database.conditions.owned_by` makes it."""


def _order(part: Part) -> str:
    way = "DESC" if part.descending else "ASC"
    return f"ORDER BY customer_id {way}, id {way}"


def _beginning(part: Part) -> Part:
    """Drop the end of a part that is read last."""
    return Part(None, part.high, True) if part.descending else Part(part.low, None, False)


def _ending(part: Part) -> Part:
    """Drop the end of a part that is read first."""
    return Part(part.low, None, True) if part.descending else Part(None, part.high, False)
