"""What an event says about a payment, in provider-neutral terms: the input of settlement."""

from enum import Enum, auto
from typing import NamedTuple


class Evidence(Enum):
    """What an event proves about its payment."""

    PAID = auto()
    PENDING = auto()
    FAILED = auto()
    REFUNDED = auto()
    REFUND = auto()
    DISPUTED = auto()
    DISPUTE_CLOSED = auto()
    OUT_OF_BAND = auto()


class UnreadableError(ValueError):
    """A verified body that is not a Stripe event as Stripe documents it; the message says where it differs.

    `event_id` and `event_type` are given if they could be read. `is_money`: the event may be about money, because its
    type is one that we handle.
    """

    def __init__(
        self, message: str, event_id: str | None = None, event_type: str | None = None, *, is_money: bool = False
    ) -> None:
        super().__init__(message)
        self.event_id = event_id
        self.event_type = event_type
        self.is_money = is_money


class DisputeFact(NamedTuple):
    """An event's statement about a dispute.

    `amount` is minor units of the payment's currency, `opened` Unix seconds.
    """

    id: str
    status: str
    reason: str
    amount: int
    opened: int


class RefundFact(NamedTuple):
    """An event's statement about one refund. `created` is Unix seconds; `is_gone`: it failed or was canceled."""

    id: str
    created: int
    is_gone: bool


class Presentment(NamedTuple):
    """The amount that the customer saw, if Stripe converted the price: minor units of a currency that may not be ours.

    Source: Stripe, "Adaptive Pricing", `presentment_details`.
    """

    amount: int
    currency: str


class PaymentFact(NamedTuple):
    """A Stripe event, reduced to what settlement needs. Amounts are minor units; `created` is Unix seconds.

    `evidence` is None if we don't handle the type or the event reports no payment. `is_handled`: we handle the type.
    The first of `provider_ids` is the payment's provider_payment_id; the others name the same payment. `order_id` is
    the Stripe invoice that it pays, perhaps together with other payments. `is_whole`: the event gives the total paid of
    that Stripe invoice, but not its payments. `paid_at` is when the money came in, if that is not when the event
    happened.

    `refunded` is the total refunded until then; for a single refund, `amount` is its own. `amount_received` is the part
    that has come in so far of money that comes in parts. `parts` are the facts of each payment, if there are several.
    `weight` orders a payment's events within one second: a cause has less weight than its consequence.
    """

    id: str
    type: str
    created: int
    livemode: bool
    api_version: str | None
    evidence: Evidence | None = None
    provider_ids: tuple[str, ...] = ()
    order_id: str | None = None
    is_whole: bool = False
    amount: int = 0
    currency: str = ""
    metadata_invoice_id: str | None = None
    metadata_customer_id: str | None = None
    metadata_workspace_id: str | None = None
    payment_link_id: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    paid_at: int | None = None
    refunded: int = 0
    refund: RefundFact | None = None
    dispute: DisputeFact | None = None
    presentment: Presentment | None = None
    amount_received: int | None = None
    parts: tuple["PaymentFact", ...] = ()
    is_handled: bool = False
    weight: int = 0

    @property
    def each(self) -> tuple["PaymentFact", ...]:
        """Return the facts of each payment, each as an event of that payment alone."""
        return self.parts or (self,)

    @property
    def order(self) -> str:
        """Return a text that sorts a payment's events: by Stripe's clock, within one second by `weight`, then by id."""
        return f"{self.created:012d} {self.weight:d}{self.refunded:019d} {self.id}"

    def without_metadata(self) -> "PaymentFact":
        """Return the event without its metadata, so that only its payment says what it belongs to."""
        return self._replace(metadata_invoice_id=None, metadata_customer_id=None, metadata_workspace_id=None)
