"""Loads and locks the rows that a batch is about.

Locks are taken in one order everywhere: integrations, webhook events, invoices, payments, traffic, workspace counter;
each by id. Before you change an invoice's payments or links, lock the invoice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from database.bulk import any_of
from database.transaction import Query, Row, Transaction
from inbox.books import Books, Key
from inbox.delivery import Origin
from models.ids import Prefix, is_id
from models.invoice import INVOICE, invoice_of
from models.payment import PAYMENT, payment_of
from models.payment_fact import Evidence, PaymentFact
from models.payment_link import LINK, LinkState, link_of

Sourced = tuple[Origin, PaymentFact]

Among = tuple[str, Iterable[str]]
"""A column and the values that it may have."""

_INVOICES: Final = f"SELECT {INVOICE.listed}, workspace_id FROM invoices WHERE {{0}} AND {{1}}"  # noqa: S608
_PAYMENTS: Final = f"SELECT {PAYMENT.listed}, workspace_id FROM payments WHERE {{0}}"  # noqa: S608
_LINK: Final = (*LINK.types, "workspace_id", "invoice_id", "due_at")


class Loader:
    """Loads rows into the books."""

    def __init__(self, tx: Transaction, books: Books) -> None:
        self._tx = tx
        self._books = books

    async def load(self, sourced: Sequence[Sourced]) -> None:
        """Load and lock the rows that the events are about."""
        relevant = [(origin, part) for origin, event in sourced if event.evidence is not None for part in event.each]
        if not relevant:
            return
        await self._load_links_named(relevant)
        named = {
            (origin.workspace_id, invoice_id)
            for origin, event in relevant
            if (invoice_id := self._books.named_invoice(origin, event)) and is_id(invoice_id, Prefix.INVOICE)
        }
        names = {(origin.workspace_id, name) for origin, event in relevant for name in event.provider_ids}
        orders = {(origin.workspace_id, event.order_id) for origin, event in relevant if event.order_id is not None}
        await self._lock_invoices(named | await self._named_by_payments(relevant))
        await self._load_payments_and_links(names, orders)
        sought: set[Key] = set()
        while elsewhere := self._invoices_of_payments() - self._books.invoices.keys() - sought:
            # There are known payments of other invoices than those that the events name. While we wait for these
            # invoices, another transaction may add a payment of yet another one.
            await self._lock_invoices(elsewhere)
            await self._load_payments_and_links(names, orders)
            sought |= elsewhere
        await self._load_others_links(relevant)
        await self._load_customers(relevant)

    def _invoices_of_payments(self) -> set[Key]:
        """Return the invoices of all payments that are loaded."""
        return {
            (workspace_id, payment.invoice_id)
            for (workspace_id, _), payment in self._books.payments.items()
            if payment.invoice_id is not None
        }

    async def _named_by_payments(self, relevant: Sequence[Sourced]) -> set[Key]:
        """Find the invoices of events that name only a payment: they have to be locked before the payments."""
        asking = [
            (origin.workspace_id, event)
            for origin, event in relevant
            if event.evidence is Evidence.REFUNDED or self._books.named_invoice(origin, event) is None
        ]
        if not asking:
            return set()
        workspaces = {workspace_id for workspace_id, _ in asking}
        rows = await self._fetch_among(
            "SELECT p.workspace_id, p.invoice_id FROM payments p JOIN payment_references r ON r.payment_id = p.id"
            " WHERE p.invoice_id IS NOT NULL AND {0} AND {1}",
            ("r.workspace_id", workspaces),
            ("r.provider_id", {name for _, event in asking for name in event.provider_ids}),
        )
        orders = {event.order_id for _, event in asking if event.order_id is not None}
        if orders:
            rows = [
                *rows,
                *await self._fetch_among(
                    "SELECT workspace_id, invoice_id FROM payments WHERE invoice_id IS NOT NULL AND {0} AND {1}",
                    ("workspace_id", workspaces),
                    ("order_id", orders),
                ),
            ]
        return {(row["workspace_id"], row["invoice_id"]) for row in rows}

    async def load_allocation(self, workspace_id: str, payment_id: str, invoice_id: str) -> None:
        """Load and lock a payment, the invoice that it will be applied to, and the invoice that it names so far."""
        known_as = await self._tx.fetch(
            "SELECT r.provider_id, p.invoice_id"
            " FROM payments p JOIN payment_references r ON r.payment_id = p.id WHERE p.workspace_id = $1 AND p.id = $2",
            workspace_id,
            payment_id,
        )
        named = {row["invoice_id"] for row in known_as} - {None}
        await self._lock_invoices({(workspace_id, id_) for id_ in {invoice_id, *named}})
        await self._load_payments_and_links({(workspace_id, row["provider_id"]) for row in known_as}, orders=set())

    async def _load_links_named(self, relevant: Sequence[Sourced]) -> None:
        wanted = {
            (origin.workspace_id, event.payment_link_id)
            for origin, event in relevant
            if event.metadata_invoice_id is None and event.payment_link_id is not None
        }
        await self._find_links(wanted)

    async def _find_links(self, wanted: set[Key]) -> None:
        if not wanted:
            return
        rows = await self._fetch_among(
            "SELECT workspace_id, provider_id, invoice_id FROM payment_links WHERE {0} AND {1}",
            ("workspace_id", {workspace_id for workspace_id, _ in wanted}),
            ("provider_id", {provider_id for _, provider_id in wanted if provider_id}),
        )
        self._books.link_invoices |= {(row["workspace_id"], row["provider_id"]): row["invoice_id"] for row in rows}

    async def _lock_invoices(self, keys: set[Key]) -> None:
        if not keys:
            return
        rows = await self._fetch_among(
            self._tx.for_update(_INVOICES, by="id"),
            ("id", {invoice_id for _, invoice_id in keys}),
            ("workspace_id", {workspace_id for workspace_id, _ in keys}),
        )
        for row in rows:
            self._books.invoices[row["workspace_id"], row["id"]] = invoice_of(row)

    async def _load_payments_and_links(self, names: set[Key], orders: set[Key]) -> None:
        """Load the links of the locked invoices; lock their payments, those of the orders and those with the names.

        The payments' ids are looked up first, without locks. PostgreSQL would plan a join of the two tables under one
        lock only once, and a plan made while they were empty reads both tables whole for every batch.
        """
        invoices = ("invoice_id", {invoice_id for _, invoice_id in self._books.invoices})
        links, paying, named, *ordered = await self._tx.fetch_each(
            self._query(_LINK, "payment_links", invoices),
            self._query(("id",), "payments", invoices),
            self._query(("payment_id",), "payment_references", *_keyed("provider_id", names)),
            *([self._query(("id",), "payments", *_keyed("order_id", orders))] if orders else ()),
        )
        of_invoices: dict[Key, list[LinkState]] = defaultdict(list)
        for row in sorted(links, key=itemgetter("id")):
            of_invoices[row["workspace_id"], row["invoice_id"]].append(link_of(row))
        self._books.links.update(of_invoices)
        await self._lock_payments(
            {row["id"] for rows in (paying, *ordered) for row in rows} | {row["payment_id"] for row in named}
        )

    async def _lock_payments(self, ids: set[str]) -> None:
        """Lock payments and load all names of each."""
        if not ids:
            return
        payments = await self._fetch_among(self._tx.for_update(_PAYMENTS, by="id"), ("id", ids))
        references = "SELECT workspace_id, payment_id, provider_id FROM payment_references WHERE {0}"
        known_as: dict[str, set[str]] = defaultdict(set)
        for row in await self._fetch_among(references, ("payment_id", ids)):
            known_as[row["payment_id"]].add(row["provider_id"])
            self._books.payment_ids[row["workspace_id"], row["provider_id"]] = row["payment_id"]
        for row in payments:
            self._books.put((row["workspace_id"], row["id"]), payment_of(row, frozenset(known_as[row["id"]])))

    async def _load_others_links(self, relevant: Sequence[Sourced]) -> None:
        """Find the invoices of links that an event names although its metadata names another invoice."""
        wanted = {
            (origin.workspace_id, event.payment_link_id)
            for origin, event in relevant
            if event.metadata_invoice_id is not None
            and event.payment_link_id is not None
            and not any(
                link.provider_id == event.payment_link_id
                for link in self._books.links.get((origin.workspace_id, event.metadata_invoice_id), ())
            )
        }
        await self._find_links(wanted)

    async def _load_customers(self, relevant: Sequence[Sourced]) -> None:
        wanted = {
            (origin.workspace_id, event.metadata_customer_id)
            for origin, event in relevant
            if is_id(event.metadata_customer_id, Prefix.CUSTOMER)
            and (origin.workspace_id, self._books.named_invoice(origin, event)) not in self._books.invoices
        }
        if not wanted:
            return
        rows = await self._fetch_among(
            "SELECT workspace_id, id FROM customers WHERE {0} AND {1}",
            ("id", {customer_id for _, customer_id in wanted if customer_id}),
            ("workspace_id", {workspace_id for workspace_id, _ in wanted}),
        )
        self._books.customers = {(row["workspace_id"], row["id"]) for row in rows}

    async def _fetch_among(self, sql: str, *among: Among) -> Sequence[Row]:
        conditions, values = self._conditions(among)
        return await self._tx.fetch(sql.format(*conditions), *values)

    def _query(self, columns: tuple[str, ...], table: str, *among: Among) -> Query:
        conditions, values = self._conditions(among)
        return Query(columns, f"FROM {table} WHERE {' AND '.join(conditions)}", values)

    def _conditions(self, among: Sequence[Among]) -> tuple[list[str], list[object]]:
        parts = [
            any_of(self._tx.dialect, column, position, sorted(values))
            for position, (column, values) in enumerate(among, start=1)
        ]
        return [condition for condition, _ in parts], [value for _, value in parts]


def _keyed(column: str, keys: set[Key]) -> tuple[Among, Among]:
    return ("workspace_id", {workspace_id for workspace_id, _ in keys}), (column, {id_ for _, id_ in keys})
