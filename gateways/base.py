"""What a payment provider is asked for, in our own words; each gateway says it in its provider's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.invoice import Invoice, LineItem


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A link to be made, over minor units of the invoice's currency; its lines may make up another amount."""

    invoice: Invoice
    lines: Sequence[LineItem]
    amount: int


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link as the provider answered it; `stripe_id` is the provider's own."""

    stripe_id: str
    url: str


class LinkGateway(Protocol):
    """Makes links and unmakes them. Each call is safe to repeat, and raises LinkNotMade."""

    async def create_payment_link(self, secret_key: str, request: LinkRequest, idempotency_key: str) -> MadeLink:
        """Make a link; asked again with the same key it is the same one."""

    async def find_payment_link(self, secret_key: str, invoice: Invoice, known: Collection[str]) -> MadeLink | None:
        """The newest link of an invoice that can be paid and isn't known yet, as far back as is looked."""

    async def deactivate_payment_link(self, secret_key: str, stripe_id: str) -> None:
        """Make a link unpayable; one that is already is left so."""

    async def expire_open_sessions(self, secret_key: str, payment_link: str) -> None:
        """Close the pages of an unpayable link that customers have open."""
