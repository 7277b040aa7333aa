"""The interface to a payment provider, in neutral terms; each gateway translates it into its provider's API."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from models.invoice import Invoice, LineItem
from models.payment_fact import PaymentFact
from models.reason import Reason

EVENTS_LISTED_FOR: Final = timedelta(days=30)
"""How long a provider keeps its events. Source: Stripe, "List all events"."""


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A link to make, over minor units of the invoice's currency; the invoice's lines may add up to another amount.

    `link_id` is ours: it finds a link at the provider if the answer to making it was lost.
    """

    invoice: Invoice
    link_id: str
    lines: Sequence[LineItem]
    amount: int


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that the provider made; `provider_id` is the provider's id."""

    provider_id: str
    url: str


class LinkGateway(Protocol):
    """Makes and deactivates links. Each call is safe to repeat, and raises LinkNotMadeError."""

    async def create_payment_link(self, secret_key: str, request: LinkRequest, idempotency_key: str) -> MadeLink:
        """Make a link; a repetition with the same key returns the same one."""

    async def find_payment_link(
        self, secret_key: str, invoice: Invoice, link_id: str, known: Collection[str]
    ) -> MadeLink | None:
        """Find the newest payable link that was made under this id and is not `known`, among the provider's latest."""

    async def deactivate_payment_link(self, secret_key: str, provider_id: str) -> None:
        """Make a link unpayable; do nothing if it is already."""

    async def expire_open_sessions(self, secret_key: str, payment_link: str) -> None:
        """Close the payment pages that customers have open for a deactivated link."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a provider's list, unchanged, and whether there are more."""

    rows: Sequence[Mapping[str, Any]]
    has_more: bool


class EventGateway(Protocol):
    """Fetches the provider's events. Each call raises StripeRefusedError or StripeUnavailableError."""

    async def list_events(
        self, secret_key: str, *, created_gte: int, created_lt: int, starting_after: str | None = None, limit: int = 100
    ) -> EventPage:
        """Fetch a page of the events of handled types created in a range of Unix seconds, newest first."""

    async def completed_sessions(self, secret_key: str, payment_link: str) -> Sequence[Mapping[str, Any]]:
        """Fetch the completed sessions of a link; none if the provider has no such link."""


class Verify(Protocol):
    """Checks whether a header signs a body with one of the secrets, at an instant in Unix seconds."""

    def __call__(self, header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float) -> bool: ...


class Examine(Protocol):
    """Finds out why a header signs a body with none of the secrets: a diagnosis' code and its detail."""

    def __call__(
        self, header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float
    ) -> tuple[Reason, str | None]: ...


class ReadEventType(Protocol):
    """A type of event that the gateway handles."""

    @property
    def when_sent(self) -> str:
        """When the provider sends it."""

    @property
    def is_needed(self) -> bool:
        """Whether it is needed to mark invoices as paid."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The part of a gateway that needs no request to the provider.

    `read` reads a verified body; `reader_version` grows with every change that lets it read more. `session_event` makes
    the event that should have arrived for a paid session, which was found at an instant in Unix seconds.
    """

    name: str
    read: Callable[[bytes], PaymentFact]
    reader_version: int
    session_event: Callable[[Mapping[str, Any], int], Mapping[str, Any]]
    verify: Verify
    could_sign: Callable[[bytes | str | None, float], bool]
    examine: Examine
    event_types: Mapping[str, ReadEventType]
    step_of: Callable[[str], int]
    is_chargeable: Callable[[int, str], bool]
