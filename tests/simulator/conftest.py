"""A simulator of the test's own, its API as Stripe's library sees it, and somebody who receives webhooks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import stripe

from simulator.app import create_app
from tests.simulator.serving import Receiver, Stage
from tests.world.local import LOCAL

MakeClient = Callable[..., stripe.StripeClient]
MakeLink = Callable[..., Awaitable[stripe.PaymentLink]]

# stripe 16.1.0 hands httpx its forms in a way that httpx would rather not take.
with_stripe = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")


@pytest.fixture(scope="session")
def stages() -> Iterator[tuple[Stage, Stage]]:
    """Where simulators are served, and those who receive webhooks."""
    with Stage() as of_simulators, Stage() as of_receivers:
        yield of_simulators, of_receivers


@pytest.fixture
def simulator_url(stages: tuple[Stage, Stage]) -> Iterator[str]:
    """A simulator that tries again at once."""
    with stages[0].showing(create_app(retry_delays_s=(0.01, 0.01, 0.01))) as url:
        yield url


@pytest.fixture
def receiver(stages: tuple[Stage, Stage]) -> Iterator[Receiver]:
    """An application that receives webhooks."""
    receiver = Receiver()
    with stages[1].showing(receiver.app()) as url:
        receiver.url = f"{url}/webhooks"
        yield receiver


@pytest.fixture
async def http(simulator_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP without a library, for what Stripe's can't ask."""
    async with httpx.AsyncClient(base_url=simulator_url, **LOCAL, timeout=20) as client:
        yield client


@pytest.fixture
async def client_of(simulator_url: str) -> AsyncIterator[MakeClient]:
    """Stripe's own library, for any key."""
    async with AsyncExitStack() as stack:

        def make(key: str, max_network_retries: int = 0) -> stripe.StripeClient:
            http_client = stripe.HTTPXClient(timeout=20)
            stack.push_async_callback(http_client.close_async)
            return stripe.StripeClient(
                key,
                base_addresses={"api": simulator_url},
                http_client=http_client,
                max_network_retries=max_network_retries,
            )

        yield make


@pytest.fixture
def client(client_of: MakeClient) -> stripe.StripeClient:
    """Stripe's own library, with a key of the account `acme`."""
    return client_of("sk_test_acme_1")


@pytest.fixture
def make_link(client: stripe.StripeClient) -> MakeLink:
    """Make a link over 19.99 USD, or as told."""

    async def make(options: Any = None, **params: Any) -> stripe.PaymentLink:
        return await client.v1.payment_links.create_async(link_params(**params), options=options)

    return make


def line_item(unit_amount: int = 1999, quantity: int = 1, currency: str = "usd") -> dict[str, Any]:
    """One line of a link."""
    price = {"currency": currency, "unit_amount": unit_amount, "product_data": {"name": "Consulting"}}
    return {"price_data": price, "quantity": quantity}


def link_params(**params: Any) -> Any:
    """What a link over 19.99 USD is made with."""
    return {"line_items": [line_item()], **params}
