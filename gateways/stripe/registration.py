"""Adds an integration's webhook endpoint at Stripe, exactly once even if answers are lost, and removes it."""

import contextlib
import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from errors import FluxrateError, StripeRefusedError, StripeUnavailableError
from gateways.stripe.client import StripeGateway
from gateways.stripe.endpoint_calls import Registered
from models.reason import Reason

log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Registration:
    """An endpoint that was added, and Stripe's ids of the others that post to the same URL."""

    registered: Registered
    others: list[str]


async def register(gateway: StripeGateway, secret_key: str, url: str, request: str) -> Registration:
    """Add a webhook endpoint; a repetition with the same `request` and URL returns the same endpoint.

    Stripe replays its first answer to an idempotency key. That may be a failure, although the endpoint exists with a
    secret that nobody knows, or an endpoint that was removed since: then the next key is used.

    Raises:
        StripeRefusedError: Stripe refused: nothing was added.
        StripeUnavailableError: It is unknown whether it was added.
    """
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            registered = await gateway.register_webhook(secret_key, url, f"{request}:{attempt}")
        except StripeUnavailableError as error:
            if last or error.code != Reason.STRIPE_BUSY:
                raise
            continue
        found = await _posting_to(gateway, secret_key, url)
        if found is None or registered.provider_id in found:
            return Registration(registered, [each for each in found or [] if each != registered.provider_id])
    raise StripeRefusedError(
        "Stripe answered with webhook endpoints that are gone: try again with another idempotencyKey."
    )


async def withdraw(gateway: StripeGateway, secret_key: str, url: str) -> None:
    """Remove all endpoints with a URL that Stripe lets the key remove."""
    await remove(gateway, secret_key, await _posting_to(gateway, secret_key, url) or [])


async def remove(gateway: StripeGateway, secret_key: str, endpoint_ids: list[str]) -> list[str]:
    """Remove webhook endpoints if Stripe lets the key; return those that are gone now."""
    gone = []
    for endpoint_id in endpoint_ids:
        try:
            await gateway.delete_webhook_endpoint(secret_key, endpoint_id)
        except FluxrateError as error:
            log.warning("a webhook endpoint could not be removed at stripe", endpoint=endpoint_id, error=error.message)
        else:
            gone.append(endpoint_id)
    return gone


async def _posting_to(gateway: StripeGateway, secret_key: str, url: str) -> list[str] | None:
    """Find the ids of the endpoints with a URL; None if Stripe doesn't list them."""
    with contextlib.suppress(FluxrateError):
        return [each.provider_id for each in await gateway.webhook_endpoints(secret_key) if each.url == url]
    return None


def not_registered(
    error: StripeRefusedError | StripeUnavailableError, public_url: str, token: str, path: list[str] | None
) -> StripeRefusedError:
    """Make the refusal that says why the endpoint could not be added and what to do, without the URL's token."""
    refusal = error if isinstance(error, StripeRefusedError) else None
    said = error.message.replace(token, "…")
    return StripeRefusedError(
        "Nothing was changed, because the webhook endpoint could not be added at Stripe."
        f" {said} {_remedy(error, public_url)}",
        code="WEBHOOK_NOT_REGISTERED",
        path=path,
        stripe_code=refusal.stripe_code if refusal else None,
        request_id=refusal.request_id if refusal else None,
    )


def _remedy(error: StripeRefusedError | StripeUnavailableError, public_url: str) -> str:
    if isinstance(error, StripeUnavailableError):
        return "Or add the endpoint by hand in Stripe → Developers → Webhooks and save its signing secret here."
    if error.code == Reason.KEY_NOT_PERMITTED:
        return (
            "In Stripe → Developers → API keys give the key write access to Webhook Endpoints, or add the endpoint by"
            " hand in Stripe → Developers → Webhooks and save its signing secret here."
        )
    if error.stripe_code == "url_invalid" or not _is_public(public_url):
        return (
            f"Stripe posts only to public https URLs, and this server says that it is at {public_url}: set"
            " FLUXRATE_PUBLIC_URL to the https URL under which it can be reached. Where there is none, leave"
            " registerWebhook out and forward with the Stripe CLI (stripe listen --forward-to the webhookUrl), or add"
            " an endpoint by hand, and save its signing secret here."
        )
    return "Fix what Stripe names, or add the endpoint by hand and save its signing secret here."


def _is_public(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return parts.scheme == "https" and ipaddress.ip_address(host).is_global
    return parts.scheme == "https" and host != "localhost" and "." in host
