"""The question that settlement answers, and the answer."""

from collections.abc import Sequence
from typing import NamedTuple

from models.invoice import InvoiceState
from models.kinds import EventType, InvoiceStatus, Mode, WebhookEventStatus
from models.payment import PaymentState
from models.payment_fact import PaymentFact
from models.payment_link import LinkState


class Ledger(NamedTuple):
    """An invoice with its payments and links; or, without an invoice, payments that fit none."""

    invoice: InvoiceState | None
    payments: Sequence[PaymentState]
    links: Sequence[LinkState]


class Case(NamedTuple):
    """Everything `settle` decides from.

    `payments` are the invoice's payments and those known under one of the event's ids, each once. `invoice_id` is named
    by the event or, if it names none, by its link or payment; `invoice` is None if this workspace has no such invoice.
    `link_invoice_id` is the invoice of the link that the event names, if the link is ours. `new_payment_id` and
    `new_link_id` are used for whatever has to be created. With `is_patient`, an event whose money may be counted
    already waits.
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
    """A payment `id` that turned out to be the same as the payment `into`, which stays."""

    id: str
    into: str


class LogEntry(NamedTuple):
    """A line for the log. The statuses before and after are the invoice's, in an entry about the invoice alone."""

    type: EventType
    previous_status: InvoiceStatus | None = None
    status: InvoiceStatus | None = None


class Verdict(NamedTuple):
    """The event's outcome and all changes. `payments` and `links` hold only changed and new ones; `log` is in order."""

    status: WebhookEventStatus
    code: str | None = None
    invoice: InvoiceState | None = None
    payments: tuple[PaymentState, ...] = ()
    payment_id: str | None = None
    absorbed: tuple[Absorbed, ...] = ()
    links: tuple[LinkState, ...] = ()
    log: tuple[LogEntry, ...] = ()
