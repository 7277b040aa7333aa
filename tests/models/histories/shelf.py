"""Books in a database that hear of a history through the real inbox."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from random import Random
from typing import Any, Final, TypeVar

from database.access import fetch, transaction
from database.scope import unscoped
from inbox.books import Books
from inbox.delivery import delivery_of, kept
from inbox.loading import Loader
from inbox.queue import Inbox
from inbox.writing import write_books
from models.customer import Customer
from models.event import STRIPE, Happening, append
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration
from models.invoice import INVOICE, Invoice, InvoiceState, invoice_of
from models.kinds import EventType, PaymentLinkStatus, WebhookEventStatus
from models.payment import PAYMENT, payment_of
from models.payment_link import LIVE, LinkState, PaymentLink, link_of
from models.settlement import allocate, why_not_allocated
from models.webhook_event import WebhookEvent
from models.workspace import Workspace
from tests.models.histories.facts import CUSTOMERS, WORKSPACE, Fact
from tests.models.histories.twin import AGAIN, DOORS, Delivery, Entry, Twin
from tests.world import books as rows

ResultT = TypeVar("ResultT")

_TABLES: Final = (
    "payment_references",
    "payments",
    "payment_links",
    "webhook_events",
    "events",
    "invoices",
    "customers",
    "integration_traffic",
    "integrations",
    "workspaces",
)


class Shelf(Twin):
    """A twin whose books are rows. Its methods run in a thread beside the loop that has the database."""

    def __init__(
        self, drafts: Iterable[InvoiceState], chance: Random, inbox: Inbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__((), chance)
        self._inbox = inbox
        self._loop = loop
        self._random = chance
        self._number = 0
        self._facts: dict[str, Fact] = {}
        self._do(_open_shop(list(drafts)))

    def _do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(self._done(work), self._loop).result(60)

    async def _done(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        result = await work
        await self._read()
        return result

    # --- What Stripe tells -------------------------------------------------------------------------------------

    def hear(self, facts: Sequence[Fact], *, crash: bool) -> None:
        """Deliver at random, several at once; what a crash loses is done in a transaction that is taken back."""
        self._facts |= {fact.id: fact for fact in facts}
        self._do(self._deliver(self._deliveries(facts), crash=crash))
        self.sweep()

    def sweep(self) -> None:
        """Try again what waits for its payment."""
        self._do(self._again([WebhookEventStatus.IGNORED], only_waiting=True))

    def replay(self) -> None:
        """Decide anew on what was not applied or was nobody's."""
        self._do(self._again(list(AGAIN), only_waiting=False))
        self.sweep()

    async def _deliver(self, queue: list[Delivery], *, crash: bool) -> None:
        bodies = [delivery_of(DOORS[door], fact.body, utc_now()) for door, fact in queue]
        while bodies:
            size = self._random.randint(1, 5)
            batch, bodies = bodies[:size], bodies[size:]
            if crash and self._random.random() < 0.3:
                await self._inbox.rehearse(batch)
            await asyncio.gather(*map(self._inbox.accept, batch))

    async def _again(self, statuses: Sequence[WebhookEventStatus], *, only_waiting: bool) -> None:
        found = await unscoped(WebhookEvent).filter(status__in=statuses).order_by("id")
        wanted = [event for event in found if event.retry_at is not None or not only_waiting]
        self._random.shuffle(wanted)
        for event in wanted:
            integration = await unscoped(Integration).get(id=event.integration_id)
            await self._inbox.accept(kept(integration, event, again=not only_waiting))

    # --- What the user does ------------------------------------------------------------------------------------

    def change(self, invoice: InvoiceState, link: LinkState | None = None) -> None:
        """Set an invoice as an action leaves it, and its links."""
        self._number += 1
        self._do(_change(invoice, link, self._number))

    def switch(self) -> None:
        """Disable the integrations, or enable them and apply what was held."""
        self._active = not self._active
        self._do(self._switch(is_active=self._active))
        if self._active:
            self.sweep()

    async def _switch(self, *, is_active: bool) -> None:
        for integration in await unscoped(Integration).all().order_by("id"):
            await rows.change(integration, is_active=is_active)
            if is_active:
                await self._inbox.release_held(integration)

    def apply(self, name: str, invoice_id: str) -> str | None:
        """Apply a payment by hand; the code of why not."""
        return self._do(_apply(self.payment(name).id, invoice_id))

    # --- What it comes to --------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Have the books as the database has them now."""
        invoices = await fetch(f"SELECT {INVOICE.listed} FROM invoices")
        self._books.invoices = {(WORKSPACE, row["id"]): invoice_of(row) for row in invoices}
        payments = await fetch(f"SELECT {PAYMENT.listed} FROM payments")
        self._books.payments = {(WORKSPACE, row["id"]): payment_of(row, frozenset()) for row in payments}
        self._books.links.clear()
        for row in await fetch("SELECT * FROM payment_links ORDER BY id"):
            self._books.links[WORKSPACE, row["invoice_id"]].append(link_of(row))
        self.log = Counter(EventType(row["type"]) for row in await fetch("SELECT type FROM events"))
        doors = {door.integration_id: number for number, door in enumerate(DOORS)}
        self._entries = {
            (doors[row["integration_id"]], row["delivery_key"]): Entry(
                self._facts[row["delivery_key"]], WebhookEventStatus(row["status"]), row["reason_code"]
            )
            for row in await fetch("SELECT integration_id, delivery_key, status, reason_code FROM webhook_events")
        }


async def _open_shop(drafts: Sequence[InvoiceState]) -> None:
    now = utc_now()
    async with transaction() as tx:
        for table in _TABLES:
            await tx.execute(f"DELETE FROM {table}")
        await Workspace(id=WORKSPACE, name="Acme", mode=DOORS[0].mode, seq=0, created_at=now).save(force_create=True)
        for id_ in CUSTOMERS:
            customer = Customer(id=id_, workspace_id=WORKSPACE, name="Ada", email="a@b.example")
            customer.created_at = customer.updated_at = now
            await customer.save(force_create=True)
        for draft in drafts:
            invoice = Invoice(
                id=draft.id,
                workspace_id=WORKSPACE,
                customer_id=draft.customer_id,
                status=draft.status,
                currency=draft.currency,
                total=draft.total,
                created_at=now,
                updated_at=now,
            )
            await invoice.save(force_create=True)
    workspace = await unscoped(Workspace).get(id=WORKSPACE)
    for door in DOORS:
        await rows.add_integration(workspace, id=door.integration_id, webhook_token=door.integration_id)


async def _change(invoice: InvoiceState, link: LinkState | None, number: int) -> None:
    row = await unscoped(Invoice).get(id=invoice.id)
    now = utc_now()
    await rows.change(
        row,
        status=invoice.status,
        integration_id=invoice.integration_id,
        amount_paid_out_of_band=invoice.amount_paid_out_of_band,
        paid_at=invoice.paid_at,
        number=row.number or f"INV-2026-{number:04d}",
        finalized_at=row.finalized_at or now,
    )
    for live in await unscoped(PaymentLink).filter(invoice_id=invoice.id, status__in=list(LIVE)):
        await rows.change(live, status=PaymentLinkStatus.DEACTIVATED)
    if link is not None:
        await rows.add_link(
            await unscoped(Invoice).get(id=invoice.id), id=new_id(Prefix.PAYMENT_LINK), provider_id=link.provider_id
        )


async def _apply(payment_id: str, invoice_id: str) -> str | None:
    async with transaction() as tx:
        books = Books()
        await Loader(tx, books).load_allocation(WORKSPACE, payment_id, invoice_id)
        payment, invoice = books.payments[WORKSPACE, payment_id], books.invoices[WORKSPACE, invoice_id]
        refused = why_not_allocated(payment, invoice)
        if refused is None:
            verdict = allocate(payment, books.ledger(WORKSPACE, invoice_id), new_id(Prefix.PAYMENT_LINK))
            books.enter(DOORS[0], invoice_id, verdict)
            await write_books(tx, books, utc_now())
            await append(tx, [_happening(entry.type) for entry in verdict.log])
            await tx.execute(
                "UPDATE webhook_events SET status = 'PROCESSED', reason_code = NULL"
                " WHERE payment_id = $1 AND status = 'UNAPPLIED'",
                payment_id,
            )
    return refused


def _happening(type_: EventType) -> Happening:
    return Happening(type=type_, workspace_id=WORKSPACE, actor=STRIPE, occurred_at=utc_now())
