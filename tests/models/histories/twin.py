"""Books that hear of a history in an order of their own: the product's rules, and a little glue in the place of the
inbox and the database.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, NamedTuple

from inbox.books import Books
from inbox.delivery import Origin
from models.ids import Prefix, new_id
from models.invoice import InvoiceState
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from models.payment import PaymentState
from models.payment_link import LIVE, LinkState
from models.settlement import Verdict, allocate, why_not_allocated
from tests.models.histories.facts import CUSTOMERS, MONEY, WORKSPACE, Fact

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOORS: Final = tuple(Origin(WORKSPACE, new_id(Prefix.INTEGRATION), Mode.TEST) for _ in range(2))
"""Two integrations of one Stripe account: both are told everything."""

FINISHED: Final = frozenset({WebhookEventStatus.PROCESSED, WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})
AGAIN: Final = frozenset({WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED})
COLLECTING: Final = frozenset({InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE})


class Entry(NamedTuple):
    """A webhook event: what it is, and what became of it."""

    fact: Fact
    status: WebhookEventStatus
    code: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it is taken up again by itself."""
        return self.code == "PAYMENT_UNKNOWN"


Delivery = tuple[int, Fact]
"""Through which door a fact comes."""


class Twin:
    """One of several that are told the same facts. Without `chance` each comes once, in the order of telling."""

    def __init__(self, invoices: Iterable[InvoiceState], chance: Random | None = None) -> None:
        self._chance = chance
        self._active = True
        self._books = _new_books()
        self._books.invoices = {(WORKSPACE, invoice.id): invoice for invoice in invoices}
        self._entries: dict[tuple[int, str], Entry] = {}
        self.log: Counter[EventType] = Counter()

    # --- What Stripe tells -------------------------------------------------------------------------------------

    def hear(self, facts: Sequence[Fact], *, crash: bool) -> None:
        """Take what was told between two actions of the user; with a crash some batches are lost and come again."""
        queue = self._deliveries(facts)
        lost = 3 if crash and self._chance else 0
        while queue:
            size = self._chance.randint(1, 5) if self._chance else len(queue)
            batch, queue = queue[:size], queue[size:]
            if lost and self._chance and self._chance.random() < 0.5:
                lost -= 1
                self._rehearse(batch)
                self._chance.shuffle(batch)
                queue += batch
            else:
                self._commit(batch)
        self.sweep()

    def sweep(self) -> None:
        """Try again what waits for its payment."""
        self._commit([(door, entry.fact) for (door, _), entry in self._entries.items() if entry.waits])

    def replay(self) -> None:
        """Decide anew on what was not applied or was nobody's."""
        found = [(door, entry.fact) for (door, _), entry in self._entries.items() if entry.status in AGAIN]
        if self._chance:
            self._chance.shuffle(found)
        self._commit(found, again=True)
        self.sweep()

    def _deliveries(self, facts: Sequence[Fact]) -> list[Delivery]:
        """Each fact once or more, through one door or both; what is known already through doors that know it."""
        if self._chance is None:
            return [(0, fact) for fact in facts]
        queue = []
        for fact in facts:
            known = [door for door in range(len(DOORS)) if (door, fact.id) in self._entries]
            doors = known or range(len(DOORS))
            queue += [(self._chance.choice(doors), fact) for _ in range(self._chance.choice([1, 1, 2, 3]))]
        self._chance.shuffle(queue)
        return queue

    def _rehearse(self, batch: Sequence[Delivery]) -> None:
        """Decide on a batch, and lose it before its commit."""
        books, entries, log = self._books, dict(self._entries), self.log.copy()
        self._commit(batch)
        self._books, self._entries, self.log = books, entries, log

    def _commit(self, batch: Sequence[Delivery], *, again: bool = False) -> None:
        self._books = _reloaded(self._books)
        for door, fact in batch:
            self._take(door, fact, again=again)

    def _take(self, door: int, fact: Fact, *, again: bool) -> None:
        known = self._entries.get((door, fact.id))
        if known and known.status in FINISHED and not known.waits and not (again and known.status in AGAIN):
            return
        if not self._active:
            self._entries[door, fact.id] = Entry(fact, WebhookEventStatus.HELD, "INTEGRATION_INACTIVE")
            return
        settled = self._books.settle(DOORS[door], fact.event)
        for case, verdict, others in settled:
            self._check(case.invoice.id if case.invoice else None, verdict)
            for invoice, counted in others:
                self._check(invoice.id, counted)
        verdict = settled[-1].verdict
        self._entries[door, fact.id] = Entry(fact, verdict.status, verdict.code)

    def _check(self, invoice_id: str | None, verdict: Verdict) -> None:
        self.log.update(entry.type for entry in verdict.log)
        if invoice_id is not None:
            self._assert_sound(self._books.invoices[WORKSPACE, invoice_id])

    def _assert_sound(self, invoice: InvoiceState) -> None:
        """What holds after every single event."""
        members = [payment for payment in self.payments if payment.invoice_id == invoice.id]
        applied = [payment for payment in members if payment.counts]
        covered = sum(payment.amount for payment in applied) + invoice.amount_paid_out_of_band >= invoice.total
        assert invoice.amount_paid == sum(payment.amount for payment in applied)
        assert invoice.amount_refunded == sum(payment.amount_refunded for payment in applied)
        assert covered == (invoice.status is InvoiceStatus.PAID) or invoice.status not in {
            *COLLECTING,
            InvoiceStatus.PAID,
        }
        assert (invoice.paid_at is not None) == (invoice.status is InvoiceStatus.PAID)
        assert sum(link.status in LIVE for link in self._links(invoice)) <= 1
        for payment in members:
            assert (payment.allocation is Allocation.UNAPPLIED) == (payment.unapplied_code is not None)
            assert 0 <= payment.overpaid <= payment.amount

    # --- What the user does ------------------------------------------------------------------------------------

    def change(self, invoice: InvoiceState, link: LinkState | None = None) -> None:
        """Set an invoice as an action leaves it, and its links: all are taken back, or there is a first one."""
        self._books.invoices[WORKSPACE, invoice.id] = invoice
        links = self._links(invoice)
        links[:] = [
            entry._replace(status=PaymentLinkStatus.DEACTIVATED) if entry.status in LIVE else entry for entry in links
        ]
        links += [link] if link else []

    def switch(self) -> None:
        """Disable the integrations, or enable them: what was held is applied in the order of its arrival."""
        self._active = not self._active
        held = [
            (door, entry.fact) for (door, _), entry in self._entries.items() if entry.status is WebhookEventStatus.HELD
        ]
        if self._active:
            self._commit(held)
            self.sweep()

    def apply(self, name: str, invoice_id: str) -> str | None:
        """Apply a payment by hand; the code of why not."""
        payment, invoice = self.payment(name), self.invoice(invoice_id)
        refused = why_not_allocated(payment, invoice)
        if refused is None:
            self._books = _reloaded(self._books)
            verdict = allocate(payment, self._books.ledger(WORKSPACE, invoice.id), new_id(Prefix.PAYMENT_LINK))
            self._books.enter(DOORS[0], invoice.id, verdict)
            self._check(invoice.id, verdict)
            self._entries |= {
                key: Entry(entry.fact, WebhookEventStatus.PROCESSED)
                for key, entry in self._entries.items()
                if entry.fact.payment == name and entry.status is WebhookEventStatus.UNAPPLIED
            }
        return refused

    # --- What it comes to --------------------------------------------------------------------------------------

    @property
    def payments(self) -> list[PaymentState]:
        """All payments."""
        return list(self._books.payments.values())

    def payment(self, name: str) -> PaymentState:
        """The payment that goes by a name."""
        (found,) = [payment for payment in self.payments if payment.provider_payment_id == name]
        return found

    def invoice(self, id_: str) -> InvoiceState:
        """An invoice as it stands."""
        return self._books.invoices[WORKSPACE, id_]

    def live_links(self, id_: str) -> list[int]:
        """What the links of an invoice ask for that can be paid or will be."""
        return [link.amount for link in self._links(self.invoice(id_)) if link.status in LIVE]

    def link_status(self, provider_id: str) -> PaymentLinkStatus:
        """Where a link stands."""
        (found,) = [link for links in self._books.links.values() for link in links if link.provider_id == provider_id]
        return found.status

    def statuses(self, fact: Fact) -> set[WebhookEventStatus]:
        """What became of a fact's webhook events; nothing if it was lost."""
        return {entry.status for (_, id_), entry in self._entries.items() if id_ == fact.id}

    def state(self) -> Mapping[str, Any]:
        """All that must not depend on the order of arrival, as names do that come in an event which is ignored."""
        return {
            "invoices": self._books.invoices,
            "payments": {
                payment.provider_payment_id: payment._replace(
                    id="",
                    provider_ids=frozenset(),
                    order_id=None,
                    decided_by="" if payment.status is PaymentStatus.SUCCEEDED else payment.decided_by,
                )
                for payment in self.payments
            },
            "links": {id_: self.live_links(id_) for _, id_ in self._books.invoices},
            "money": {
                (entry.fact.id, entry.status, entry.code)
                for entry in self._entries.values()
                if entry.fact.kind in MONEY
            },
        }

    def _links(self, invoice: InvoiceState) -> list[LinkState]:
        return self._books.links[WORKSPACE, invoice.id]


def _new_books() -> Books:
    books = Books()
    books.customers = {(WORKSPACE, customer) for customer in CUSTOMERS}
    return books


def _reloaded(committed: Books) -> Books:
    """The books as the next transaction finds them."""
    books = _new_books()
    books.invoices = dict(committed.invoices)
    books.links = defaultdict(list, {key: list(links) for key, links in committed.links.items()})
    for key, payment in committed.payments.items():
        books.put(key, payment)
        for name in payment.provider_ids:
            books.payment_ids[WORKSPACE, name] = payment.id
    for (_, invoice_id), links in committed.links.items():
        for link in links:
            if link.provider_id is not None:
                books.link_invoices[WORKSPACE, link.provider_id] = invoice_id
    return books
