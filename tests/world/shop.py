"""A shop whose customers pay: what Stripe posts about it, what was answered, and an audit of what was kept.

Its rows are put straight into the database; the posts go over HTTP to whichever process serves that database.

```python
async with open_shop(database_url) as shop:
    events = shop.sell(10)
    await shop.post(app.url, events)
    shop.audit(complete=True)
```
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

import httpx

from database.access import fetch, reading_dialect
from database.scope import scoped
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import Allocation, EventType, InvoiceStatus, Mode, PaymentStatus, WebhookEventStatus
from resolvers import operator
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.local import LOCAL
from tests.world.seed import WEBHOOK_SECRET, Seeded, add_integration, within

PATIENCE_S: Final = 30.0
_BROKEN: Final = "no answer"


class Books(NamedTuple):
    """All that is kept of a shop, as rows."""

    webhook_events: Sequence[Mapping[str, Any]]
    payments: Sequence[Mapping[str, Any]]
    invoices: Sequence[Mapping[str, Any]]
    log: Sequence[Mapping[str, Any]]
    newest: int
    counted: int


@dataclass
class Shop:
    """A workspace with an integration that is ready. Event ids stand for the events."""

    database_url: str
    workspace_id: str
    api_key: str
    integration: Seeded
    http: httpx.AsyncClient
    was_ready: bool
    """Whether the secret was saved from the beginning: what waits for it is told of as it comes and as it counts."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    owed: dict[str, dict[str, int]] = field(default_factory=dict)
    """What each invoice is paid, by payment intent."""

    about: dict[str, str] = field(default_factory=dict)
    """The payment intent of each event."""

    posted: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)

    @property
    def unacknowledged(self) -> list[str]:
        """What Stripe would post again."""
        return [id_ for id_ in self.bodies if not self.acknowledged[id_]]

    # --- What happens ------------------------------------------------------------------------------------------

    def sell(self, sales: int, random: Random | None = None) -> list[str]:
        """Finalize invoices and have them paid, one in four twice; the events of it, in no particular order."""
        random = random or Random(sales)
        totals = [random.randint(50, 500_000) for _ in range(sales)]
        invoices = within(self.database_url, lambda: self._finalize(totals))
        events = [event for invoice in invoices for event in self._events_of(invoice, random)]
        random.shuffle(events)
        self.bodies |= {event["id"]: stripe.body(event) for event in events}
        return [event["id"] for event in events]

    async def _finalize(self, totals: Sequence[int]) -> list[Invoice]:
        integration = await scoped(Integration, self.workspace_id).get(id=self.integration.id)
        return [await books.add_invoice(integration, total=total) for total in totals]

    def _events_of(self, invoice: Invoice, random: Random) -> list[stripe.Event]:
        events = []
        for _ in range(2 if random.random() < 0.25 else 1):
            paid = {"payment_intent": stripe.fresh("pi"), "amount": invoice.total, **books.ours(invoice)}
            own = [stripe.payment_intent_succeeded(**paid), stripe.checkout_session_completed(**paid)]
            self.owed.setdefault(invoice.id, {})[paid["payment_intent"]] = invoice.total
            self.about |= {event["id"]: paid["payment_intent"] for event in own}
            events += own
        return events

    async def post(self, url: str, events: Iterable[str], timeout_s: float = PATIENCE_S) -> Counter[int | str]:
        """Have Stripe post events, all at once; how often which status was answered, or nothing was."""
        return Counter(await asyncio.gather(*(self._post(url, id_, timeout_s) for id_ in events)))

    async def _post(self, url: str, id_: str, timeout_s: float) -> int | str:
        body = self.bodies[id_]
        self.posted[id_] += 1
        try:
            answer = await self.http.post(
                f"{url}{self.integration.webhook_path}",
                content=body,
                headers=stripe.signed_headers(body, WEBHOOK_SECRET),
                timeout=timeout_s,
            )
        except httpx.TimeoutException:
            raise
        except httpx.TransportError:
            return _BROKEN
        if answer.is_success:
            self.acknowledged[id_] += 1
        return answer.status_code

    # --- What is kept ------------------------------------------------------------------------------------------

    def books(self) -> Books:
        """What is kept, once nobody writes any more."""
        return within(self.database_url, self._read)

    async def _read(self) -> Books:
        await _quiet()
        own = "WHERE workspace_id = $1 ORDER BY id"
        (workspace,) = await fetch("SELECT seq FROM workspaces WHERE id = $1", self.workspace_id)
        return Books(
            await fetch(f"SELECT * FROM webhook_events {own}", self.workspace_id),
            await fetch(f"SELECT * FROM payments {own}", self.workspace_id),
            await fetch(f"SELECT * FROM invoices {own}", self.workspace_id),
            await fetch("SELECT * FROM events WHERE workspace_id = $1 ORDER BY number", self.workspace_id),
            workspace["seq"],
            (await self.integration.traffic())["deliveries"],
        )

    def audit(self, *, complete: bool = False) -> Books:
        """Find every promise kept; when it is `complete`, everything that was ever posted too."""
        books = self.books()
        kept = self._audit_webhook_events(books)
        self._audit_money(books, {self.about[id_] for id_ in kept})
        self._audit_log(books)
        if complete:
            assert kept == set(self.bodies)
            assert {row["status"] for row in books.invoices} <= {InvoiceStatus.PAID}
        return books

    def _audit_webhook_events(self, books: Books) -> set[str]:
        kept = {row["delivery_key"]: row for row in books.webhook_events}
        assert len(kept) == len(books.webhook_events), "an event is kept twice"
        assert set(self.acknowledged) <= set(kept), "an event that was acknowledged is lost"
        for id_, row in kept.items():
            assert bytes(row["payload"]) == self.bodies[id_]
            assert row["status"] == WebhookEventStatus.PROCESSED
            assert self.acknowledged[id_] <= row["deliveries"] <= self.posted[id_]
        assert books.counted == sum(row["deliveries"] for row in books.webhook_events)
        return set(kept)

    def _audit_money(self, books: Books, told: set[str]) -> None:
        came = Counter(row["provider_payment_id"] for row in books.payments)
        assert came == Counter(told), "a payment is lost, or counted twice"
        for row in books.payments:
            assert row["amount"] == self.owed[row["invoice_id"]][row["provider_payment_id"]]
            assert (row["status"], row["allocation"]) == (PaymentStatus.SUCCEEDED, Allocation.APPLIED)
        for row in books.invoices:
            paid = sum(amount for intent, amount in self.owed[row["id"]].items() if intent in told)
            assert row["amount_paid"] == paid
            assert row["status"] == (InvoiceStatus.PAID if paid >= row["total"] else InvoiceStatus.OPEN)

    def _audit_log(self, books: Books) -> None:
        assert [line["number"] for line in books.log] == list(range(1, books.newest + 1)), "the log has a gap"

        def told(type_: EventType, about: str) -> Counter[str]:
            return Counter(line[about] for line in books.log if line["type"] == type_)

        paid = [row["id"] for row in books.invoices if row["status"] == InvoiceStatus.PAID]
        assert told(EventType.INVOICE_PAID, "invoice_id") == Counter(paid)
        assert told(EventType.PAYMENT_SUCCEEDED, "payment_id") == Counter(row["id"] for row in books.payments)
        received = told(EventType.WEBHOOK_EVENT_RECEIVED, "webhook_event_id")
        assert set(received) == {row["id"] for row in books.webhook_events}
        assert set(received.values()) <= ({1} if self.was_ready else {1, 2}), "what came once is told twice"
        assert not told(EventType.WEBHOOK_EVENT_UPDATED, "webhook_event_id"), "what was done is done again"


async def _quiet() -> None:
    """Wait until PostgreSQL has noticed whose process is gone, and ended what it was doing for it."""
    if reading_dialect() == "sqlite":
        return
    busy = (
        "SELECT pid, state, wait_event, now() - state_change AS since, query FROM pg_stat_activity WHERE"
        " datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        " AND backend_type = 'client backend'"  # an autovacuum worker may take its time
    )
    patient_until = time.monotonic() + PATIENCE_S
    while sessions := await fetch(busy):
        assert time.monotonic() < patient_until, [dict(session) for session in sessions]
        await asyncio.sleep(0.02)


@asynccontextmanager
async def open_shop(database_url: str, *, webhook_secret: str | None = WEBHOOK_SECRET) -> AsyncIterator[Shop]:
    """A shop that has sold nothing yet, in a migrated database. Posts are signed with WEBHOOK_SECRET, saved or not."""

    async def add() -> tuple[str, str, Seeded]:
        workspace, key = await operator.create_workspace("Acme", Mode.TEST)
        return workspace.id, key, await add_integration(workspace.id, webhook_secret=webhook_secret)

    async with httpx.AsyncClient(**LOCAL, limits=httpx.Limits(max_connections=None)) as http:
        yield Shop(database_url, *within(database_url, add), http, webhook_secret is not None)
