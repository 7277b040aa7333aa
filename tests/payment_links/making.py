"""What the tests of making and stopping links share."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from database.access import transaction
from database.scope import scoped
from gateways.stripe.client import StripeGateway
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import PaymentLinkStatus
from models.payment_link import PaymentLink
from payment_links import lifecycle
from payment_links.maker import Job, LinkMaker
from resolvers.context import Services
from tests.simulator.serving import serve
from tests.world import documents
from tests.world.business import Business
from tests.world.stripe_payloads import payment_intent_succeeded

NOBODY: Final = "http://127.0.0.1:1"
"""Where nothing listens."""


@asynccontextmanager
async def link_maker(
    services: Services,
    url: str,
    *,
    timeout_s: float = 10.0,
    on_commit: Callable[[Mapping[str, int]], None] | None = None,
) -> AsyncIterator[LinkMaker]:
    """Another process's link maker, which looks for Stripe elsewhere and sweeps for nobody."""
    async with StripeGateway(url, timeout_s=timeout_s) as gateway:
        yield LinkMaker(services.keyring, gateway, on_commit=on_commit or services.feed.wake)


class SlowStripe:
    """Stripe's API where the creation of a link is answered when the test says so, as it says."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.times = 0
        self._asked, self._may_answer = threading.Event(), threading.Event()

    def app(self) -> Starlette:
        """The application to serve."""
        return Starlette(routes=[Route("/v1/payment_links", self._create, methods=["POST"])])

    async def asked(self) -> None:
        """Wait until the creation was asked for."""
        assert await asyncio.to_thread(self._asked.wait, 10)

    def answer(self) -> None:
        """Answer now, and whatever comes after."""
        self._may_answer.set()

    async def _create(self, _: Request) -> Response:
        self.times += 1
        self._asked.set()
        await asyncio.to_thread(self._may_answer.wait, 10)
        return JSONResponse({"error": {"message": "No.", "type": "invalid_request_error"}}, self._status)


@contextmanager
def slow_stripe(status: int) -> Iterator[tuple[SlowStripe, str]]:
    slow = SlowStripe(status)
    with serve(slow.app()) as url:
        try:
            yield slow, url
        finally:
            slow.answer()


ENDINGS: Final = {"void": documents.VOID, "write off": documents.MARK_UNCOLLECTIBLE, "paid": documents.MARK_PAID}


async def planned(business: Business, integration_id: str) -> PaymentLink:
    """A link that is due to be made, and was never tried."""
    await business.update_integration(integration_id, isActive=False)
    invoice_id = (await business.finalized("20.00"))["id"]
    await business.update_integration(integration_id, isActive=True)
    async with transaction():
        row = await scoped(Invoice, business.workspace.id).filter(id=invoice_id).select_for_update().get()
        assert await scoped(Integration, business.workspace.id).filter(id=integration_id).exists()
        return await lifecycle.plan(row, integration_id)


async def claimed(business: Business, link: PaymentLink) -> Job:
    """A link's job, claimed by a process that is slow to carry it out."""
    async with transaction():
        invoice = await scoped(Invoice, business.workspace.id).get(id=link.invoice_id)
        integration = await scoped(Integration, business.workspace.id).get(id=link.integration_id)
        return await business.services.link_maker.claim(link, invoice, integration)


async def has_status(business: Business, invoice_id: str, status: PaymentLinkStatus) -> bool:
    return (await business.link(invoice_id)).status is status


async def was_asked(business: Business) -> bool:
    return len(await business.stripe.calls("POST")) > 0


def paid(business: Business, invoice_id: str, amount: int) -> dict[str, Any]:
    return payment_intent_succeeded(amount=amount, invoice_id=invoice_id, workspace_id=business.workspace.id)
