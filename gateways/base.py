"""What a payment provider is asked for, in our own words; each gateway says it in its provider's."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.invoice import Invoice, LineItem
from models.payment_fact import PaymentFact
from models.reason import Reason


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A link to be made, over minor units of the invoice's currency; its lines may make up another amount.

    `link_id` is ours: by it a link is found whose making was not answered.
    """

    invoice: Invoice
    link_id: str
    lines: Sequence[LineItem]
    amount: int


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link as the provider answered it; `provider_id` is the provider's own."""

    provider_id: str
    url: str


class LinkGateway(Protocol):
    """Makes links and unmakes them. Each call is safe to repeat, and raises LinkNotMadeError."""

    async def create_payment_link(self, secret_key: str, request: LinkRequest, idempotency_key: str) -> MadeLink:
        """Make a link; asked again with the same key it is the same one."""

    async def find_payment_link(
        self, secret_key: str, invoice: Invoice, link_id: str, known: Collection[str]
    ) -> MadeLink | None:
        """The newest link that was made as that one, can be paid and isn't known yet, as far back as is looked."""

    async def deactivate_payment_link(self, secret_key: str, provider_id: str) -> None:
        """Make a link unpayable; one that is already is left so."""

    async def expire_open_sessions(self, secret_key: str, payment_link: str) -> None:
        """Close the pages of an unpayable link that customers have open."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of a provider's list, as it wrote it, and whether there is more."""

    rows: Sequence[Mapping[str, Any]]
    has_more: bool


class EventGateway(Protocol):
    """Says what happened at the provider. Each call raises StripeRefusedError or StripeUnavailableError."""

    async def list_events(
        self, secret_key: str, *, created_gte: int, created_lt: int, starting_after: str | None = None, limit: int = 100
    ) -> EventPage:
        """A page of the events of the types that are read, made within Unix seconds, the newest first."""

    async def completed_sessions(self, secret_key: str, payment_link: str) -> Sequence[Mapping[str, Any]]:
        """What was paid by a link; nothing when the provider has no such link."""


class Verify(Protocol):
    """Whether a header signs a body with one of the secrets, as of an instant in Unix seconds."""

    def __call__(self, header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float) -> bool: ...


class Examine(Protocol):
    """Why a header signs a body with none of the secrets: a diagnosis' code and its detail."""

    def __call__(
        self, header: bytes | str | None, body: bytes, secrets: Sequence[str], now: float
    ) -> tuple[Reason, str | None]: ...


class EventType(Protocol):
    """A type of event that is read."""

    @property
    def when_sent(self) -> str:
        """What the provider sends it for."""

    @property
    def is_needed(self) -> bool:
        """Whether invoices are not marked as paid without it."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a provider's gateway knows without asking the provider.

    `read` reads a verified body; `reader_version` grows with every change that reads more. `session_event` makes the
    event that should have arrived for a paid session, found at an instant in Unix seconds.
    """

    name: str
    read: Callable[[bytes], PaymentFact]
    reader_version: int
    session_event: Callable[[Mapping[str, Any], int], Mapping[str, Any]]
    verify: Verify
    could_sign: Callable[[bytes | str | None, float], bool]
    examine: Examine
    event_types: Mapping[str, EventType]
    step_of: Callable[[str], int]
    is_chargeable: Callable[[int, str], bool]
