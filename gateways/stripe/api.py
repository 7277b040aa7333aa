"""The connection to Stripe's API: Stripe's SDK with timeouts.

The SDK takes half a second to load, so it is loaded in the background after the start, or by the first call.
"""

import asyncio
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from gateways.base import EventPage
from gateways.stripe.decoding import decoded
from gateways.stripe.errors import asking_errors

if TYPE_CHECKING:
    import stripe

TIMEOUT_S: Final = 10.0
NETWORK_RETRIES: Final = 1
PAGE: Final = 100
"""How many rows a page of a list has."""

GONE: Final = "resource_missing"
"""Stripe's code for an object that does not exist."""

_LOAD_AFTER_S: Final = 1.0


class StripeApi:
    """Sends requests to Stripe. `api_base` is another host than Stripe's, for trying the product without an account."""

    def __init__(self, api_base: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._api_base = api_base
        self._timeout_s = timeout_s
        self._http: stripe.HTTPXClient | None = None
        self._loading: asyncio.Task[None] | None = None

    @property
    def live_keys_allowed(self) -> bool:
        """Whether calls go to Stripe itself, so that live keys may be sent."""
        return self._api_base is None

    async def __aenter__(self) -> Self:
        self._loading = asyncio.create_task(_load_sdk())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]

    def client(self, secret_key: str) -> "stripe.StripeClient":
        """Make a client of Stripe's SDK with a secret key; all share their connections."""
        import stripe

        if self._http is None:
            self._http = stripe.HTTPXClient(timeout=self._timeout_s)
        return stripe.StripeClient(
            secret_key,
            http_client=self._http,
            max_network_retries=NETWORK_RETRIES,
            base_addresses={"api": self._api_base} if self._api_base else None,
        )

    async def page(self, secret_key: str, path: str, params: Mapping[str, object]) -> EventPage:
        """Fetch a page of a list in Stripe's format.

        Raises:
            StripeRefusedError: Stripe does not let the key read the list.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        with asking_errors(f"read {path}"):
            answer = await self.client(secret_key).raw_request_async("get", path, **params)
        listed = decoded(answer.body)
        return EventPage(listed["data"], bool(listed["has_more"]))


async def _load_sdk() -> None:
    await asyncio.sleep(_LOAD_AFTER_S)
    await asyncio.to_thread(importlib.import_module, "stripe")
