"""Requests to Stripe that make and deactivate Payment Links."""

from collections.abc import Collection
from typing import Final

from errors import LinkNotMadeError
from gateways.base import LinkRequest, MadeLink
from gateways.stripe.api import PAGE, StripeApi
from gateways.stripe.errors import link_errors
from gateways.stripe.links import LINK_ID, metadata_of, params_of
from models.invoice import Invoice
from models.reason import Reason

_LINK_PAGES: Final = 5
_SESSION_PAGES: Final = 20


class LinkCalls(StripeApi):
    """Implements `LinkGateway` for Stripe."""

    async def create_payment_link(self, secret_key: str, request: LinkRequest, idempotency_key: str) -> MadeLink:
        """Make a Payment Link.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached.
        """
        with link_errors():
            link = await self.client(secret_key).v1.payment_links.create_async(
                params_of(request), {"idempotency_key": idempotency_key}
            )
        return MadeLink(link.id, link.url)

    async def find_payment_link(
        self, secret_key: str, invoice: Invoice, link_id: str, known: Collection[str]
    ) -> MadeLink | None:
        """Find the newest active Payment Link with a link's metadata that is not `known`, among the newest 500.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached.
        """
        metadata = metadata_of(invoice)
        payment_links = self.client(secret_key).v1.payment_links
        with link_errors():
            page = await payment_links.list_async({"active": True, "limit": PAGE})
            for _ in range(_LINK_PAGES):
                for link in page.data:
                    ours = all(getattr(link.metadata, name, None) == value for name, value in metadata.items())
                    if ours and getattr(link.metadata, LINK_ID, link_id) == link_id and link.id not in known:
                        return MadeLink(link.id, link.url)
                if not page.has_more or not page.data:
                    return None
                page = await payment_links.list_async(
                    {"active": True, "limit": PAGE, "starting_after": page.data[-1].id}
                )
        return None

    async def deactivate_payment_link(self, secret_key: str, provider_id: str) -> None:
        """Deactivate a Payment Link; do nothing if it is inactive already.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached.
        """
        with link_errors():
            await self.client(secret_key).v1.payment_links.update_async(provider_id, {"active": False})

    async def expire_open_sessions(self, secret_key: str, payment_link: str) -> None:
        """Close the pages that customers have open for a Payment Link, which must be inactive already.

        A session that is paid or expires meanwhile is no error.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached, or some sessions are still open.
        """
        import stripe

        sessions = self.client(secret_key).v1.checkout.sessions
        refused, left = set[str](), list[str]()
        with link_errors():
            for _ in range(_SESSION_PAGES):
                page = await sessions.list_async({"payment_link": payment_link, "status": "open", "limit": PAGE})
                left = [session.id for session in page.data]
                if refused >= set(left):
                    break
                for session_id in left:
                    try:
                        await sessions.expire_async(session_id)
                    except stripe.InvalidRequestError:
                        refused.add(session_id)  # the next request shows whether it is still open
        if left:
            raise LinkNotMadeError(
                Reason.STRIPE_BUSY,
                f"{len(left)} checkout sessions are still open.",
                outcome_unknown=False,
                may_retry=True,
                same_attempt=False,
            )
