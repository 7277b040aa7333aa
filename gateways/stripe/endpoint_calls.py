"""Requests to Stripe that add, list, change and delete webhook endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from errors import StripeRefusedError
from gateways.stripe.api import GONE, PAGE, StripeApi
from gateways.stripe.endpoints import Endpoint
from gateways.stripe.errors import asking_errors
from gateways.stripe.events import EVENTS_TO_SEND

if TYPE_CHECKING:
    from stripe.params import WebhookEndpointCreateParams

API_VERSION: Final = "2026-10-28.endive"
"""The version of the pinned SDK, to which we also pin the webhook endpoints that we add."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new webhook endpoint and its secret."""

    provider_id: str
    secret: str = field(repr=False)


class EndpointCalls(StripeApi):
    """Manages an account's webhook endpoints."""

    async def register_webhook(self, secret_key: str, url: str, idempotency_key: str) -> Registered:
        """Add a webhook endpoint with our events, pinned to our API version.

        Raises:
            StripeRefusedError: Stripe refused: there is no new endpoint.
            StripeUnavailableError: Stripe failed (STRIPE_BUSY) or did not answer: the endpoint may exist.
        """
        params: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": list[Any](EVENTS_TO_SEND),
            "api_version": API_VERSION,
            "description": "Fluxrate",
        }
        with asking_errors("add webhook endpoints"):
            endpoint = await self.client(secret_key).v1.webhook_endpoints.create_async(
                params, {"idempotency_key": idempotency_key}
            )
        if endpoint.secret is None:
            raise StripeRefusedError("Stripe added the webhook endpoint but did not return its signing secret.")
        return Registered(endpoint.id, endpoint.secret)

    async def webhook_endpoints(self, secret_key: str) -> list[Endpoint]:
        """Fetch all webhook endpoints of the account, newest first.

        Raises:
            StripeRefusedError: Stripe does not let the key read them.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        params: dict[str, object] = {"limit": PAGE}
        rows: list[Mapping[str, Any]] = []
        while True:
            page = await self.page(secret_key, "/v1/webhook_endpoints", params)
            rows += page.rows
            if not page.has_more or not page.rows:
                return [_endpoint(row) for row in rows]
            params["starting_after"] = page.rows[-1]["id"]

    async def change_webhook_endpoint(
        self,
        secret_key: str,
        provider_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change a webhook endpoint; None leaves a field as it is.

        Raises:
            StripeRefusedError: Stripe gave a definite no.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        given = {"url": url, "enabled_events": events, "disabled": None if enabled is None else not enabled}
        params = {name: value for name, value in given.items() if value is not None}
        with asking_errors("change webhook endpoints"):
            await self.client(secret_key).raw_request_async("post", f"/v1/webhook_endpoints/{provider_id}", **params)

    async def delete_webhook_endpoint(self, secret_key: str, provider_id: str) -> None:
        """Delete a webhook endpoint; do nothing if it is gone already.

        Raises:
            StripeRefusedError: Stripe gave a definite no.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        try:
            with asking_errors("remove webhook endpoints"):
                await self.client(secret_key).v1.webhook_endpoints.delete_async(provider_id)
        except StripeRefusedError as refusal:
            if refusal.stripe_code != GONE:
                raise


def _endpoint(row: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        provider_id=row["id"],
        url=row["url"],
        is_enabled=row["status"] == "enabled",
        events=tuple(row["enabled_events"]),
        api_version=row["api_version"],
        created=row["created"],
    )
