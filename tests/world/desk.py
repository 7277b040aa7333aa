"""Books without a database: one invoice of one workspace, and the events that come in for it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from gateways.stripe.events import read
from inbox.books import Books
from inbox.delivery import Origin
from models.ids import Prefix, new_id
from models.invoice import InvoiceState
from models.kinds import Allocation, EventType, InvoiceStatus, Mode, PaymentLinkStatus, PaymentStatus
from models.money_back import Refunds
from models.payment import PaymentState
from models.payment_fact import PaymentFact
from models.payment_link import LIVE, LinkState
from models.settlement import Case, Verdict, allocate
from tests.world import stripe_payloads as stripe

WORKSPACE: Final = new_id(Prefix.WORKSPACE)
INTEGRATION: Final = new_id(Prefix.INTEGRATION)
INVOICE: Final = new_id(Prefix.INVOICE)
CUSTOMER: Final = new_id(Prefix.CUSTOMER)
NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN: Final = Origin(WORKSPACE, INTEGRATION, Mode.TEST)


def open_invoice(**fields: Any) -> InvoiceState:
    """An OPEN invoice over 20.00 USD, or as told."""
    standard: dict[str, Any] = {
        "id": INVOICE,
        "customer_id": CUSTOMER,
        "integration_id": INTEGRATION,
        "status": InvoiceStatus.OPEN,
        "currency": "USD",
        "total": 2000,
        "amount_paid": 0,
        "amount_paid_out_of_band": 0,
        "amount_refunded": 0,
        "paid_at": None,
    }
    return InvoiceState(**(standard | fields))


def active_link(**fields: Any) -> LinkState:
    """A link over 20.00 USD that can be paid, or as told."""
    standard: dict[str, Any] = {
        "id": new_id(Prefix.PAYMENT_LINK),
        "integration_id": INTEGRATION,
        "status": PaymentLinkStatus.ACTIVE,
        "provider_id": "plink_a",
        "amount": 2000,
    }
    return LinkState(**(standard | fields))


def payment(**values: Any) -> PaymentState:
    """A payment of 5.00 USD that counts for an invoice, or as told."""
    known: dict[str, Any] = {
        "id": "pay_1",
        "provider_payment_id": "pi_1",
        "provider_ids": frozenset({"pi_1"}),
        "invoice_id": INVOICE,
        "customer_id": CUSTOMER,
        "status": PaymentStatus.SUCCEEDED,
        "amount": 500,
        "currency": "USD",
        "refunds": Refunds(),
        "overpaid": 0,
        "allocation": Allocation.APPLIED,
        "unapplied_code": None,
        "failure_code": None,
        "failure_message": None,
        "decided_by": "1",
        "occurred_at": NOW,
    }
    return PaymentState(**{**known, **values})


class Desk:
    """Settles what comes in, one event after the other, and keeps what came of it."""

    def __init__(
        self, invoice: InvoiceState | None = None, links: Iterable[LinkState] = (), *, mode: Mode = Mode.TEST
    ) -> None:
        self._origin = replace(ORIGIN, mode=mode)
        self._books = Books()
        self._references: dict[tuple[str, str], str] = {}
        self._called: dict[str, str] = {}
        if invoice is not None:
            self.invoice = invoice
            self._books.links[self._key] = list(links)
            self._books.link_invoices = {
                (WORKSPACE, link.provider_id): INVOICE for link in self.links if link.provider_id
            }
        self.log: list[EventType] = []

    @property
    def _key(self) -> tuple[str, str]:
        return WORKSPACE, INVOICE

    @property
    def invoice(self) -> InvoiceState:
        """The invoice as it stands."""
        return self._books.invoices[self._key]

    @invoice.setter
    def invoice(self, invoice: InvoiceState) -> None:
        self._books.invoices[self._key] = invoice

    def add_invoice(self, invoice: InvoiceState) -> None:
        """Have another invoice in the same workspace."""
        self._books.invoices[WORKSPACE, invoice.id] = invoice

    def invoice_named(self, id_: str) -> InvoiceState:
        """An invoice as it stands."""
        return self._books.invoices[WORKSPACE, id_]

    @property
    def payments(self) -> Sequence[PaymentState]:
        """All payments, in the order of their ids."""
        return sorted(self._books.payments.values(), key=lambda payment: payment.id)

    @property
    def payment(self) -> PaymentState:
        """The only payment."""
        (payment,) = self.payments
        return payment

    @property
    def links(self) -> Sequence[LinkState]:
        """The invoice's links, oldest first."""
        return tuple(self._books.links[self._key])

    @property
    def live_links(self) -> Sequence[LinkState]:
        """Those that can be paid or will be."""
        return [link for link in self.links if link.status in LIVE]

    def add_link(self, link: LinkState) -> None:
        """Give the invoice a link."""
        self._books.links[self._key].append(link)

    def retire_links(self) -> None:
        """Take back what is live, as every way to end an invoice does."""
        links = self._books.links[self._key]
        links[:] = [
            link._replace(status=PaymentLinkStatus.DEACTIVATED) if link.status in LIVE else link for link in links
        ]

    def case(self, event: stripe.Event | PaymentFact) -> Case:
        """What is looked at for an event."""
        return self._books.case(self._origin, event if isinstance(event, PaymentFact) else read(stripe.body(event)))

    def enter(self, verdict: Verdict) -> None:
        """Take over what was decided about the invoice by hand."""
        self._books.enter(self._origin, INVOICE, verdict)

    def apply(self, payment: PaymentState, invoice_id: str) -> None:
        """Apply unapplied money by hand."""
        verdict = allocate(payment, self._books.ledger(WORKSPACE, invoice_id), new_id(Prefix.PAYMENT_LINK))
        self._books.enter(self._origin, invoice_id, verdict)
        self._reload()

    def take(self, *events: stripe.Event | PaymentFact, is_patient: bool = False) -> Verdict:
        """Settle events in the order given, `is_patient` where what is unclear waits; the verdict on the last."""
        verdict: Verdict | None = None
        for event in events:
            known = event if isinstance(event, PaymentFact) else read(stripe.body(event))
            for _, verdict, others in self._books.settle(self._origin, known, is_patient=is_patient):
                self.log += [
                    entry.type for each in (verdict, *(counted for _, counted in others)) for entry in each.log
                ]
            self._reload()
        assert verdict is not None
        return verdict

    def _reload(self) -> None:
        """The books as the next transaction finds them: names as the table of references keeps them, each once."""
        told = self._books
        for absorbed, into in told.changes.absorbed:
            self._references = {key: into if id_ == absorbed else id_ for key, id_ in self._references.items()}
            self._called.pop(absorbed, None)
        for former in told.changes.former_references:
            del self._references[former]
        for workspace_id, name, payment_id in told.changes.new_references:
            assert (workspace_id, name) not in self._references
            self._references[workspace_id, name] = payment_id
        self._called |= {payment.id: payment.provider_payment_id for payment in told.payments.values()}
        assert len(set(self._called.values())) == len(self._called)
        books = Books()
        books.invoices, books.links, books.link_invoices = told.invoices, told.links, told.link_invoices
        for key, payment in told.payments.items():
            names = frozenset(name for (_, name), id_ in self._references.items() if id_ == payment.id)
            assert names == payment.provider_ids
            books.put(key, payment)
        books.payment_ids = dict(self._references)
        self._books = books
