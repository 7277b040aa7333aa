"""The books of a batch: what settlement looks at, loaded and locked at once, and written back at once.

Locks are taken in one order everywhere: integrations, webhook events, invoices, payments, traffic, workspace counter;
each by id. Whoever changes an invoice's payments or links holds the invoice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Final

from database.bulk import any_of, columns_of, insert_rows, update_rows
from database.door import Row, Transaction
from inbox.delivery import Origin
from models.ids import Prefix, is_id, new_id
from models.invoice import INVOICE, SETTLED, Invoice, InvoiceState, invoice_of
from models.payment import ORIGIN, PAYMENT, Payment, PaymentState, payment_of
from models.payment_fact import Evidence, PaymentFact
from models.payment_link import LINK, LinkState, link_of
from models.settlement import Case, Verdict, recount, settle
from payment_links.lifecycle import NewLink, check_transition
from payment_links.lifecycle import write as write_links

Sourced = tuple[Origin, PaymentFact]
_REFERENCE: Final = {"workspace_id": "text", "provider_id": "text", "payment_id": "text"}

Key = tuple[str, str]
"""A workspace's id and the id of something in it."""

_INVOICES: Final = f"SELECT {INVOICE.listed}, workspace_id FROM invoices WHERE {{0}} AND {{1}}"  # noqa: S608
_PAYMENTS: Final = f"SELECT {PAYMENT.listed}, workspace_id FROM payments WHERE {{0}}"  # noqa: S608
_LINKS: Final = f"SELECT {LINK.listed}, workspace_id, invoice_id, due_at FROM payment_links WHERE {{0}}"  # noqa: S608


@dataclass
class Books:
    """What a batch of events touches. Everything is keyed by workspace, so that no event reaches another's."""

    tx: Transaction
    now: datetime
    invoices: dict[Key, InvoiceState] = field(default_factory=dict)
    payments: dict[Key, PaymentState] = field(default_factory=dict)
    links: dict[Key, list[LinkState]] = field(default_factory=lambda: defaultdict(list))
    customers: set[Key] = field(default_factory=set)
    _by_provider_id: dict[Key, str] = field(default_factory=dict)
    _by_provider_link: dict[Key, str] = field(default_factory=dict)
    _of_invoice: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    _of_order: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    _new_payments: dict[Key, Origin] = field(default_factory=dict)
    _changed_payments: set[Key] = field(default_factory=set)
    _changed_invoices: set[Key] = field(default_factory=set)
    _new_links: dict[str, tuple[Key, LinkState]] = field(default_factory=dict)
    _changed_links: dict[str, LinkState] = field(default_factory=dict)
    _new_references: set[tuple[str, str, str]] = field(default_factory=set)
    _former_references: set[tuple[str, str]] = field(default_factory=set)
    _absorbed: list[tuple[str, str]] = field(default_factory=list)
    _became: dict[str, str] = field(default_factory=dict)

    # --- Loading -----------------------------------------------------------------------------------------------

    async def load(self, sourced: Sequence[Sourced]) -> None:
        """Load and lock what the events are about."""
        relevant = [(origin, part) for origin, event in sourced if event.evidence is not None for part in event.each]
        if not relevant:
            return
        await self._load_links_named(relevant)
        named = {
            (origin.workspace_id, invoice_id)
            for origin, event in relevant
            if (invoice_id := self._named_invoice(origin, event)) and is_id(invoice_id, Prefix.INVOICE)
        }
        names = {(origin.workspace_id, name) for origin, event in relevant for name in event.provider_ids}
        orders = {(origin.workspace_id, event.order_id) for origin, event in relevant if event.order_id is not None}
        await self._lock_invoices(named | await self._named_by_payments(relevant))
        await self._lock_payments(names, orders)
        elsewhere = {
            (workspace_id, payment.invoice_id)
            for (workspace_id, _), payment in self.payments.items()
            if payment.invoice_id is not None and (workspace_id, payment.invoice_id) not in self.invoices
        }
        if elsewhere:  # a payment that is known already names another invoice than the event does
            await self._lock_invoices(elsewhere)
            await self._lock_payments(names, orders)
        await self._load_links()
        await self._load_others_links(relevant)
        await self._load_customers(relevant)

    async def _named_by_payments(self, relevant: Sequence[Sourced]) -> set[Key]:
        """The invoices of the payments that events name which name none: to be locked before their payments."""
        asking = [
            (origin.workspace_id, event)
            for origin, event in relevant
            if event.evidence is Evidence.REFUNDED or self._named_invoice(origin, event) is None
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
        """Load and lock a payment, the invoice that it is to be applied to, and the one that it named so far."""
        known_as = await self.tx.fetch(
            "SELECT r.provider_id, p.invoice_id, p.order_id"
            " FROM payments p JOIN payment_references r ON r.payment_id = p.id WHERE p.workspace_id = $1 AND p.id = $2",
            workspace_id,
            payment_id,
        )
        named = {row["invoice_id"] for row in known_as} - {None}
        await self._lock_invoices({(workspace_id, id_) for id_ in {invoice_id, *named}})
        orders = {(workspace_id, row["order_id"]) for row in known_as if row["order_id"] is not None}
        await self._lock_payments({(workspace_id, row["provider_id"]) for row in known_as}, orders)
        await self._load_links()

    def _named_invoice(self, origin: Origin, event: PaymentFact) -> str | None:
        if event.metadata_invoice_id is not None:
            return event.metadata_invoice_id
        return self._by_provider_link.get((origin.workspace_id, event.payment_link_id or ""))

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
        self._by_provider_link |= {(row["workspace_id"], row["provider_id"]): row["invoice_id"] for row in rows}

    async def _lock_invoices(self, keys: set[Key]) -> None:
        if not keys:
            return
        rows = await self._fetch_among(
            self.tx.for_update(_INVOICES, by="id"),
            ("id", {invoice_id for _, invoice_id in keys}),
            ("workspace_id", {workspace_id for workspace_id, _ in keys}),
        )
        for row in rows:
            self.invoices[row["workspace_id"], row["id"]] = invoice_of(row)

    async def _lock_payments(self, names: set[Key], orders: set[Key]) -> None:
        """Lock the payments of the invoices and of the orders, and those that go by one of the names, under all names.

        Which they are is looked up before they are locked: a join of the two tables under one lock is planned once for
        all, and a plan that was made while they were empty reads all of both for every batch.
        """
        found = await self._fetch_among(
            "SELECT id FROM payments WHERE {0} UNION ALL SELECT payment_id FROM payment_references WHERE {1} AND {2}",
            ("invoice_id", {invoice_id for _, invoice_id in self.invoices}),
            ("workspace_id", {workspace_id for workspace_id, _ in names}),
            ("provider_id", {name for _, name in names}),
        )
        ids = {row["id"] for row in found}
        if orders:
            found = await self._fetch_among(
                "SELECT id FROM payments WHERE {0} AND {1}",
                ("workspace_id", {workspace_id for workspace_id, _ in orders}),
                ("order_id", {order_id for _, order_id in orders}),
            )
            ids |= {row["id"] for row in found}
        if not ids:
            return
        payments = await self._fetch_among(self.tx.for_update(_PAYMENTS, by="id"), ("id", ids))
        called = "SELECT workspace_id, payment_id, provider_id FROM payment_references WHERE {0}"
        known_as: dict[str, set[str]] = defaultdict(set)
        for row in await self._fetch_among(called, ("payment_id", ids)):
            known_as[row["payment_id"]].add(row["provider_id"])
            self._by_provider_id[row["workspace_id"], row["provider_id"]] = row["payment_id"]
        for row in payments:
            self._hold((row["workspace_id"], row["id"]), payment_of(row, frozenset(known_as[row["id"]])))

    async def _load_links(self) -> None:
        if not self.invoices:
            return
        rows = await self._fetch_among(
            _LINKS,
            ("invoice_id", {invoice_id for _, invoice_id in self.invoices}),
        )
        for row in sorted(rows, key=itemgetter("id")):
            self.links[row["workspace_id"], row["invoice_id"]].append(link_of(row))

    async def _load_others_links(self, relevant: Sequence[Sourced]) -> None:
        """Whose links those are that an event names besides an invoice to which they don't belong."""
        wanted = {
            (origin.workspace_id, event.payment_link_id)
            for origin, event in relevant
            if event.metadata_invoice_id is not None
            and event.payment_link_id is not None
            and not any(
                link.provider_id == event.payment_link_id
                for link in self.links.get((origin.workspace_id, event.metadata_invoice_id), ())
            )
        }
        await self._find_links(wanted)

    async def _load_customers(self, relevant: Sequence[Sourced]) -> None:
        wanted = {
            (origin.workspace_id, event.metadata_customer_id)
            for origin, event in relevant
            if is_id(event.metadata_customer_id, Prefix.CUSTOMER)
            and (origin.workspace_id, self._named_invoice(origin, event)) not in self.invoices
        }
        if not wanted:
            return
        rows = await self._fetch_among(
            "SELECT workspace_id, id FROM customers WHERE {0} AND {1}",
            ("id", {customer_id for _, customer_id in wanted if customer_id}),
            ("workspace_id", {workspace_id for workspace_id, _ in wanted}),
        )
        self.customers = {(row["workspace_id"], row["id"]) for row in rows}

    async def _fetch_among(self, sql: str, *among: tuple[str, Iterable[str]]) -> Sequence[Row]:
        parts = [
            any_of(self.tx.dialect, column, position, sorted(values))
            for position, (column, values) in enumerate(among, start=1)
        ]
        return await self.tx.fetch(sql.format(*(part[0] for part in parts)), *(part[1] for part in parts))

    # --- Settling ----------------------------------------------------------------------------------------------

    def case(self, origin: Origin, event: PaymentFact) -> Case:
        """What settlement looks at for an event, as the books stand now."""
        workspace_id = origin.workspace_id
        known = {
            payment_id: self.payments[workspace_id, payment_id]
            for name in event.provider_ids
            if (payment_id := self._by_provider_id.get((workspace_id, name))) is not None
        }
        applied_to = next((payment.invoice_id for payment in known.values() if payment.counts), None)
        if event.order_id is not None:
            order = self._of_order.get((workspace_id, event.order_id), ())
            mates = {payment_id: self.payments[workspace_id, payment_id] for payment_id in sorted(order)}
            rest = (payment.invoice_id for payment in mates.values() if payment.is_whole and payment.counts)
            applied_to = applied_to or next(rest, None)
            known |= mates
        if known and event.evidence is Evidence.REFUNDED:
            event = event.without_metadata()
        invoice_id = applied_to or self._named_invoice(origin, event)
        if invoice_id is None:
            invoice_id = next((payment.invoice_id for payment in known.values() if payment.invoice_id), None)
        invoice = self.invoices.get((workspace_id, invoice_id)) if invoice_id else None
        if invoice is not None:
            known.update((payment.id, payment) for payment in self.payments_of(workspace_id, invoice.id))
        customer = event.metadata_customer_id
        return Case(
            event=event,
            workspace_id=workspace_id,
            mode=origin.mode,
            received_at=self.now,
            invoice_id=invoice_id,
            invoice=invoice,
            customer_id=customer if (workspace_id, customer) in self.customers else None,
            payments=tuple(known.values()),
            links=tuple(self.links[workspace_id, invoice.id]) if invoice else (),
            link_invoice_id=self._by_provider_link.get((workspace_id, event.payment_link_id or "")),
            new_payment_id=new_id(Prefix.PAYMENT),
            new_link_id=new_id(Prefix.PAYMENT_LINK),
        )

    def settle(self, origin: Origin, event: PaymentFact) -> list[tuple[Case, Verdict]]:
        """Settle an event, payment by payment: what was looked at and what was decided, which is taken over."""
        settled = []
        for part in event.each:
            case = self.case(origin, part)
            verdict = settle(case)
            self.enter(origin, case.invoice.id if case.invoice else None, verdict)
            settled.append((case, self._with_others_invoices(origin, case, verdict)))
        return settled

    def _with_others_invoices(self, origin: Origin, case: Case, verdict: Verdict) -> Verdict:
        """The verdict, with what it does to other invoices whose payments it changed or took away."""
        before = {payment.id: payment.invoice_id for payment in case.payments}
        concerned = {payment.invoice_id for payment in verdict.payments}
        concerned |= {before[payment.id] for payment in verdict.payments if payment.id in before}
        concerned |= {before[absorbed] for absorbed, _ in verdict.absorbed}
        for invoice_id in sorted(concerned - {None, case.invoice.id if case.invoice else None}, key=str):
            key = origin.workspace_id, str(invoice_id)
            payments, links = self.payments_of(*key), tuple(self.links[key])
            counted = recount(self.invoices[key], payments, links, new_id(Prefix.PAYMENT_LINK))
            self.enter(origin, key[1], counted)
            verdict = verdict._replace(links=(*verdict.links, *counted.links))
        return verdict

    def payments_of(self, workspace_id: str, invoice_id: str) -> list[PaymentState]:
        """The payments of an invoice."""
        return [self.payments[workspace_id, id_] for id_ in self._of_invoice.get((workspace_id, invoice_id), ())]

    def enter(self, origin: Origin, invoice_id: str | None, verdict: Verdict) -> None:
        """Take over what settlement decided about an invoice, for the next event of the batch and for writing."""
        workspace_id = origin.workspace_id
        taken_over: dict[str, frozenset[str]] = {}
        for absorbed, into in verdict.absorbed:
            names = self.payments[workspace_id, absorbed].provider_ids
            taken_over[into] = taken_over.get(into, frozenset()) | names
            self._absorb(workspace_id, absorbed, into)
        for payment in verdict.payments:
            self._enter_payment(origin, payment, taken_over.get(payment.id, frozenset()))
        if verdict.invoice is not None:
            self.invoices[workspace_id, verdict.invoice.id] = verdict.invoice
            self._changed_invoices.add((workspace_id, verdict.invoice.id))
        for link in verdict.links:
            self._enter_link((workspace_id, invoice_id or ""), link)

    def surviving(self, payment_id: str | None) -> str | None:
        """The payment that another one turned out to be in this batch, or that one itself."""
        while payment_id in self._became:
            payment_id = self._became[payment_id]
        return payment_id

    def _enter_payment(self, origin: Origin, payment: PaymentState, taken_over: frozenset[str]) -> None:
        key = (origin.workspace_id, payment.id)
        before = self.payments.get(key)
        known_as = (before.provider_ids if before else frozenset()) | taken_over
        for name in known_as - payment.provider_ids:
            self._forget_name(origin.workspace_id, name)
        for name in payment.provider_ids - known_as:
            if self._by_provider_id.get((origin.workspace_id, name)) != payment.id:
                self._new_references.add((origin.workspace_id, name, payment.id))
                self._by_provider_id[origin.workspace_id, name] = payment.id
        if before is None:
            self._new_payments[key] = origin
        elif key not in self._new_payments:
            self._changed_payments.add(key)
        self._hold(key, payment)

    def _forget_name(self, workspace_id: str, name: str) -> None:
        """A Stripe invoice's id names a payment only until it has a name of its own."""
        del self._by_provider_id[workspace_id, name]
        made = {entry for entry in self._new_references if entry[:2] == (workspace_id, name)}
        if made:
            self._new_references -= made
        else:
            self._former_references.add((workspace_id, name))

    def _hold(self, key: Key, payment: PaymentState) -> None:
        self._let_go(key)
        self.payments[key] = payment
        if payment.invoice_id is not None:
            self._of_invoice[key[0], payment.invoice_id].add(payment.id)
        if payment.order_id is not None:
            self._of_order[key[0], payment.order_id].add(payment.id)

    def _let_go(self, key: Key) -> None:
        before = self.payments.pop(key, None)
        if before is None:
            return
        if before.invoice_id is not None:
            self._of_invoice[key[0], before.invoice_id].discard(before.id)
        if before.order_id is not None:
            self._of_order[key[0], before.order_id].discard(before.id)

    def _absorb(self, workspace_id: str, absorbed: str, into: str) -> None:
        payment = self.payments[workspace_id, absorbed]
        self._let_go((workspace_id, absorbed))
        self._became[absorbed] = into
        for name in payment.provider_ids:
            self._by_provider_id[workspace_id, name] = into
        self._changed_payments.discard((workspace_id, absorbed))
        if self._new_payments.pop((workspace_id, absorbed), None) is None:
            self._absorbed.append((absorbed, into))
        moved = {(owner, name, into) for owner, name, holder in self._new_references if holder == absorbed}
        self._new_references = {entry for entry in self._new_references if entry[2] != absorbed} | moved

    def _enter_link(self, invoice: Key, link: LinkState) -> None:
        links = self.links[invoice]
        for position, known in enumerate(links):
            if known.id == link.id:
                if known.status is not link.status:
                    check_transition(known.status, link.status)
                links[position] = link
                break
        else:
            links.append(link)
            self._new_links[link.id] = (invoice, link)
            return
        if link.id in self._new_links:
            self._new_links[link.id] = (invoice, link)
        else:
            self._changed_links[link.id] = link

    # --- Writing -----------------------------------------------------------------------------------------------

    async def write(self) -> None:
        """Write what was entered, one statement per table and kind."""
        await self._write_invoices()
        await self._write_payments()
        await self._write_links()

    async def _write_invoices(self) -> None:
        changed = [self.invoices[key] for key in sorted(self._changed_invoices)]
        await update_rows(
            self.tx,
            "invoices",
            SETTLED.types | columns_of(Invoice, ["updated_at"]),
            [(*SETTLED.of(invoice), self.now) for invoice in changed],
        )

    async def _write_payments(self) -> None:
        for absorbed, into in self._absorbed:
            await self.tx.execute("UPDATE payment_references SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
            await self.tx.execute("UPDATE webhook_events SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
            await self.tx.execute("UPDATE events SET payment_id = $2 WHERE payment_id = $1", absorbed, into)
            await self.tx.execute("DELETE FROM payments WHERE id = $1", absorbed)
        for workspace_id, name in sorted(self._former_references):
            statement = "DELETE FROM payment_references WHERE workspace_id = $1 AND provider_id = $2"
            await self.tx.execute(statement, workspace_id, name)
        new = [
            (*PAYMENT.of(self.payments[key]), origin.workspace_id, origin.integration_id, self.now)
            for key, origin in sorted(self._new_payments.items())
        ]
        changed = PAYMENT.of_all([self.payments[key] for key in sorted(self._changed_payments)])
        await update_rows(self.tx, "payments", PAYMENT.types, changed)  # first: a new one may be called as one was
        await insert_rows(self.tx, "payments", PAYMENT.types | columns_of(Payment, ORIGIN), new)
        await insert_rows(self.tx, "payment_references", _REFERENCE, sorted(self._new_references))

    async def _write_links(self) -> None:
        changed = [link for _, link in sorted(self._changed_links.items())]
        new = [
            NewLink(workspace_id, invoice_id, self.invoices[workspace_id, invoice_id].currency, link)
            for (workspace_id, invoice_id), link in self._new_links.values()
        ]
        await write_links(self.tx, changed, new, self.now)
