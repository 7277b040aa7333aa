"""The books of a batch, in memory: the invoices, payments and links that settlement reads and changes.

`inbox/loading.py` loads them, `inbox/writing.py` writes what changed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inbox.delivery import Origin
from models.ids import Prefix, new_id
from models.invoice import InvoiceState
from models.payment import PaymentState
from models.payment_fact import Evidence, PaymentFact
from models.payment_link import LinkState
from models.settlement import Absorbed, Case, Ledger, Verdict, recount, settle
from payment_links.lifecycle import check_transition

Key = tuple[str, str]
"""A workspace's id and the id of something in it."""

Reference = tuple[str, str, str]
"""A workspace's id, a name that Stripe gave a payment, and the payment's id."""


@dataclass
class Changes:
    """What has to be written. `became` maps the id of a payment that was merged into another to that one's id."""

    invoices: set[Key] = field(default_factory=set)
    payments: set[Key] = field(default_factory=set)
    new_payments: dict[Key, Origin] = field(default_factory=dict)
    absorbed: list[Absorbed] = field(default_factory=list)
    became: dict[str, str] = field(default_factory=dict)
    new_references: set[Reference] = field(default_factory=set)
    former_references: set[Key] = field(default_factory=set)
    links: dict[str, LinkState] = field(default_factory=dict)
    new_links: dict[str, tuple[Key, LinkState]] = field(default_factory=dict)


class Settled(NamedTuple):
    """A case, the verdict on it, and the recounts of other invoices that its payments belonged to."""

    case: Case
    verdict: Verdict
    others: Sequence[tuple[InvoiceState, Verdict]]

    @property
    def links(self) -> Iterator[LinkState]:
        """Yield the links that changed or are new, of all these invoices."""
        for verdict in (self.verdict, *(counted for _, counted in self.others)):
            yield from verdict.links


@dataclass
class Books:
    """The rows that a batch of events touches, keyed by workspace so that no event reaches another workspace's.

    `payment_ids` maps the names that Stripe gave payments to their ids, `link_invoices` Stripe's ids of links to the
    ids of their invoices.
    """

    invoices: dict[Key, InvoiceState] = field(default_factory=dict)
    payments: dict[Key, PaymentState] = field(default_factory=dict)
    links: dict[Key, list[LinkState]] = field(default_factory=lambda: defaultdict(list))
    customers: set[Key] = field(default_factory=set)
    payment_ids: dict[Key, str] = field(default_factory=dict)
    link_invoices: dict[Key, str] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    _of_invoice: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    _of_order: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))

    def named_invoice(self, origin: Origin, event: PaymentFact) -> str | None:
        """Find the invoice that an event names itself, by its metadata or its link."""
        if event.metadata_invoice_id is not None:
            return event.metadata_invoice_id
        return self.link_invoices.get((origin.workspace_id, event.payment_link_id or ""))

    def case(self, origin: Origin, event: PaymentFact, *, is_patient: bool = False) -> Case:
        """Collect what settlement needs to decide about an event, as the books stand now."""
        workspace_id = origin.workspace_id
        known = {
            payment_id: self.payments[workspace_id, payment_id]
            for name in event.provider_ids
            if (payment_id := self.payment_ids.get((workspace_id, name))) is not None
        }
        applied_to = next((payment.invoice_id for payment in known.values() if payment.counts), None)
        if event.order_id is not None:
            order = self._of_order.get((workspace_id, event.order_id), ())
            of_same_order = {payment_id: self.payments[workspace_id, payment_id] for payment_id in sorted(order)}
            rest = (payment.invoice_id for payment in of_same_order.values() if payment.is_whole and payment.counts)
            applied_to = applied_to or next(rest, None)
            known |= of_same_order
        if known and event.evidence is Evidence.REFUNDED:
            event = event.without_metadata()
        invoice_id = applied_to or self.named_invoice(origin, event)
        if invoice_id is None:
            invoice_id = next((payment.invoice_id for payment in known.values() if payment.invoice_id), None)
        invoice = self.invoices.get((workspace_id, invoice_id)) if invoice_id else None
        if invoice is not None:
            known.update((payment.id, payment) for payment in self._payments_of(workspace_id, invoice.id))
        customer = event.metadata_customer_id
        return Case(
            event=event,
            workspace_id=workspace_id,
            mode=origin.mode,
            invoice_id=invoice_id,
            invoice=invoice,
            customer_id=customer if (workspace_id, customer) in self.customers else None,
            payments=tuple(known.values()),
            links=tuple(self.links[workspace_id, invoice.id]) if invoice else (),
            link_invoice_id=self.link_invoices.get((workspace_id, event.payment_link_id or "")),
            new_payment_id=new_id(Prefix.PAYMENT),
            new_link_id=new_id(Prefix.PAYMENT_LINK),
            is_patient=is_patient,
        )

    def settle(self, origin: Origin, event: PaymentFact, *, is_patient: bool = False) -> list[Settled]:
        """Settle an event, payment by payment, and enter each verdict.

        With `is_patient` an event whose money may be counted already waits; an event of several payments never does.
        """
        settled = []
        for part in event.each:
            case = self.case(origin, part, is_patient=is_patient and not event.parts)
            verdict = settle(case)
            self.enter(origin, case.invoice.id if case.invoice else None, verdict)
            settled.append(Settled(case, verdict, self._recount_others(origin, case, verdict)))
        return settled

    def _recount_others(self, origin: Origin, case: Case, verdict: Verdict) -> list[tuple[InvoiceState, Verdict]]:
        """Recount the other invoices that lost or gained a payment by a verdict."""
        before = {payment.id: payment.invoice_id for payment in case.payments}
        concerned = {payment.invoice_id for payment in verdict.payments}
        concerned |= {before[payment.id] for payment in verdict.payments if payment.id in before}
        concerned |= {before[absorbed.id] for absorbed in verdict.absorbed}
        others = []
        for invoice_id in sorted(concerned - {None, case.invoice.id if case.invoice else None}, key=str):
            key = origin.workspace_id, str(invoice_id)
            counted = recount(self.ledger(*key), new_id(Prefix.PAYMENT_LINK))
            self.enter(origin, key[1], counted)
            others.append((self.invoices[key], counted))
        return others

    def ledger(self, workspace_id: str, invoice_id: str) -> Ledger:
        """Read an invoice with its payments and links, as the books stand now."""
        key = workspace_id, invoice_id
        return Ledger(self.invoices[key], self._payments_of(*key), tuple(self.links[key]))

    def _payments_of(self, workspace_id: str, invoice_id: str) -> list[PaymentState]:
        return [self.payments[workspace_id, id_] for id_ in self._of_invoice.get((workspace_id, invoice_id), ())]

    def enter(self, origin: Origin, invoice_id: str | None, verdict: Verdict) -> None:
        """Enter a verdict on an invoice, for the next event of the batch and for writing."""
        workspace_id = origin.workspace_id
        taken_over: dict[str, frozenset[str]] = {}
        for absorbed in verdict.absorbed:
            names = self.payments[workspace_id, absorbed.id].provider_ids
            taken_over[absorbed.into] = taken_over.get(absorbed.into, frozenset()) | names
            self._absorb(workspace_id, absorbed)
        for payment in verdict.payments:
            self._enter_payment(origin, payment, taken_over.get(payment.id, frozenset()))
        if verdict.invoice is not None:
            self.invoices[workspace_id, verdict.invoice.id] = verdict.invoice
            self.changes.invoices.add((workspace_id, verdict.invoice.id))
        for link in verdict.links:
            self._enter_link((workspace_id, invoice_id or ""), link)

    def surviving(self, payment_id: str | None) -> str | None:
        """Return the id of the payment that this one was merged into in this batch, or its own."""
        while payment_id in self.changes.became:
            payment_id = self.changes.became[payment_id]
        return payment_id

    def _enter_payment(self, origin: Origin, payment: PaymentState, taken_over: frozenset[str]) -> None:
        key = (origin.workspace_id, payment.id)
        before = self.payments.get(key)
        known_as = (before.provider_ids if before else frozenset()) | taken_over
        for name in known_as - payment.provider_ids:
            self._forget_name(origin.workspace_id, name)
        for name in payment.provider_ids - known_as:
            holder = self.payment_ids.get((origin.workspace_id, name))
            if holder != payment.id:
                if holder is not None:
                    self._take_name((origin.workspace_id, holder), name)
                self.changes.new_references.add((origin.workspace_id, name, payment.id))
                self.payment_ids[origin.workspace_id, name] = payment.id
        if before is None:
            self.changes.new_payments[key] = origin
        elif key not in self.changes.new_payments:
            self.changes.payments.add(key)
        self.put(key, payment)

    def _take_name(self, holder: Key, name: str) -> None:
        """Take a name from the payment that had it: Stripe's events name two Stripe invoices for one payment."""
        self._forget_name(holder[0], name)
        former = self.payments[holder]
        self.put(holder, former._replace(provider_ids=former.provider_ids - {name}))

    def _forget_name(self, workspace_id: str, name: str) -> None:
        """Drop a Stripe invoice's id as a payment's name: the payment has got a name of its own."""
        del self.payment_ids[workspace_id, name]
        made = {entry for entry in self.changes.new_references if entry[:2] == (workspace_id, name)}
        if made:
            self.changes.new_references -= made
        else:
            self.changes.former_references.add((workspace_id, name))

    def put(self, key: Key, payment: PaymentState) -> None:
        """Put a payment into the books as it is now, indexed by its invoice and its Stripe invoice."""
        self._remove(key)
        self.payments[key] = payment
        if payment.invoice_id is not None:
            self._of_invoice[key[0], payment.invoice_id].add(payment.id)
        if payment.order_id is not None:
            self._of_order[key[0], payment.order_id].add(payment.id)

    def _remove(self, key: Key) -> None:
        before = self.payments.pop(key, None)
        if before is None:
            return
        if before.invoice_id is not None:
            self._of_invoice[key[0], before.invoice_id].discard(before.id)
        if before.order_id is not None:
            self._of_order[key[0], before.order_id].discard(before.id)

    def _absorb(self, workspace_id: str, absorbed: Absorbed) -> None:
        key = (workspace_id, absorbed.id)
        payment = self.payments[key]
        self._remove(key)
        self.changes.became[absorbed.id] = absorbed.into
        for name in payment.provider_ids:
            self.payment_ids[workspace_id, name] = absorbed.into
        self.changes.payments.discard(key)
        if self.changes.new_payments.pop(key, None) is None:
            self.changes.absorbed.append(absorbed)
        references = self.changes.new_references
        moved = {reference for reference in references if reference[2] == absorbed.id}
        self.changes.new_references = (references - moved) | {(owner, name, absorbed.into) for owner, name, _ in moved}

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
            self.changes.new_links[link.id] = (invoice, link)
            return
        if link.id in self.changes.new_links:
            self.changes.new_links[link.id] = (invoice, link)
        else:
            self.changes.links[link.id] = link
