"""What settlement is asked, and what it answers."""

from collections.abc import Sequence
from typing import NamedTuple

from models.invoice import InvoiceState
from models.kinds import EventType, InvoiceStatus, Mode, WebhookEventStatus
from models.payment import PaymentState
from models.payment_fact import PaymentFact
from models.payment_link import LinkState


class Ledger(NamedTuple):
    """An invoice with its payments and links; without an invoice, payments that fit none."""

    invoice: InvoiceState | None
    payments: Sequence[PaymentState]
    links: Sequence[LinkState]


class Case(NamedTuple):
    """Everything `settle` decides from. `payments` are the invoice's and those known under the event's ids, each once.

    `invoice_id` is the event's own or, where it carries none, that of the link or payment it belongs to; `invoice` is
    None when this workspace has no such invoice. `link_invoice_id` is whose link the event names, if one of ours.
    `new_payment_id` and `new_link_id` are for what has to be made. `is_patient`: what is unclear may wait.
    """

    event: PaymentFact
    workspace_id: str
    mode: Mode
    invoice_id: str | None
    invoice: InvoiceState | None
    customer_id: str | None
    payments: Sequence[PaymentState]
    links: Sequence[LinkState]
    link_invoice_id: str | None
    new_payment_id: str
    new_link_id: str
    is_patient: bool = False

    @property
    def wanted_currency(self) -> str | None:
        """The invoice's currency, which decides where a payment has two."""
        return self.invoice.currency if self.invoice else None

    @property
    def ledger(self) -> Ledger:
        """The books before the event."""
        return Ledger(self.invoice, self.payments, self.links)


class Absorbed(NamedTuple):
    """A payment that turned out to be another one."""

    id: str
    into: str


class LogEntry(NamedTuple):
    """What happened. The statuses are the invoice's, before and after, of an entry about the invoice alone."""

    type: EventType
    previous_status: InvoiceStatus | None = None
    status: InvoiceStatus | None = None


class Verdict(NamedTuple):
    """What changes. `payments` and `links` hold only those that changed or are new; `log` is in order."""

    status: WebhookEventStatus
    code: str | None = None
    invoice: InvoiceState | None = None
    payments: tuple[PaymentState, ...] = ()
    payment_id: str | None = None
    absorbed: tuple[Absorbed, ...] = ()
    links: tuple[LinkState, ...] = ()
    log: tuple[LogEntry, ...] = ()
