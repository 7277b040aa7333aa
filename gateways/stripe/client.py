"""Calls Stripe's API by Stripe's SDK, with timeouts, and turns its errors into ours.

The SDK takes half a second to load, so it is loaded in the background after the start, or by the first call.
"""

import asyncio
import importlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from errors import LinkNotMadeError, StripeRefusedError
from gateways.base import EventPage, LinkRequest, MadeLink
from gateways.stripe.decoding import decoded
from gateways.stripe.endpoints import Endpoint
from gateways.stripe.errors import asking_errors, link_errors, refused
from gateways.stripe.events import EVENTS_TO_SEND
from gateways.stripe.links import LINK_ID, metadata_of, params_of
from models.invoice import Invoice
from models.reason import Reason

if TYPE_CHECKING:
    import stripe
    from stripe.params import WebhookEndpointCreateParams

log = structlog.get_logger(__name__)

API_VERSION: Final = "2026-10-28.endive"
"""The version of the pinned SDK, to which we also pin the webhook endpoints that we add."""

TIMEOUT_S: Final = 10.0
NETWORK_RETRIES: Final = 1
_LOAD_AFTER_S: Final = 1.0
_PAGE: Final = 100
_SESSION_PAGES: Final = 20
_LINK_PAGES: Final = 5
GONE: Final = "resource_missing"
_KEY_PATH: Final = ["input", "secretKey"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A new webhook endpoint and its secret."""

    provider_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a key has a permission, and by how much Stripe's clock is ahead of ours; None if Stripe sent no time."""

    permitted: bool
    clock_ahead_s: float | None


class StripeGateway:
    """Calls Stripe. `api_base` is another host than Stripe's, for trying the product without an account."""

    def __init__(self, api_base: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._api_base = api_base
        self._timeout_s = timeout_s
        self._http: stripe.HTTPXClient | None = None
        self._loading: asyncio.Task[None] | None = None

    @property
    def live_keys_allowed(self) -> bool:
        """Whether calls go to Stripe itself, so that live keys may be sent."""
        return self._api_base is None

    async def __aenter__(self) -> "StripeGateway":
        self._loading = asyncio.create_task(_load_sdk())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]

    def _client(self, secret_key: str) -> "stripe.StripeClient":
        import stripe

        if self._http is None:
            self._http = stripe.HTTPXClient(timeout=self._timeout_s)
        return stripe.StripeClient(
            secret_key,
            http_client=self._http,
            max_network_retries=NETWORK_RETRIES,
            base_addresses={"api": self._api_base} if self._api_base else None,
        )

    async def account_of(self, secret_key: str) -> str | None:
        """Fetch the id of a secret key's account; None if Stripe is unavailable or the key may not read it.

        Raises:
            StripeRefusedError: Stripe does not accept the key.
        """
        import stripe

        try:
            account = await self._client(secret_key).v1.accounts.retrieve_current_async()
        except stripe.AuthenticationError as error:
            raise refused(error, Reason.KEY_REJECTED, "Stripe does not accept this secret key", _KEY_PATH) from None
        except stripe.StripeError as error:
            log.info("stripe did not name the account", reason=type(error).__name__, request_id=error.request_id)
            return None
        return account.id

    async def create_payment_link(self, secret_key: str, request: LinkRequest, idempotency_key: str) -> MadeLink:
        """Make a Payment Link.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached.
        """
        with link_errors():
            link = await self._client(secret_key).v1.payment_links.create_async(
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
        payment_links = self._client(secret_key).v1.payment_links
        with link_errors():
            page = await payment_links.list_async({"active": True, "limit": _PAGE})
            for _ in range(_LINK_PAGES):
                for link in page.data:
                    ours = all(getattr(link.metadata, name, None) == value for name, value in metadata.items())
                    if ours and getattr(link.metadata, LINK_ID, link_id) == link_id and link.id not in known:
                        return MadeLink(link.id, link.url)
                if not page.has_more or not page.data:
                    return None
                page = await payment_links.list_async(
                    {"active": True, "limit": _PAGE, "starting_after": page.data[-1].id}
                )
        return None

    async def deactivate_payment_link(self, secret_key: str, provider_id: str) -> None:
        """Deactivate a Payment Link; do nothing if it is inactive already.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached.
        """
        with link_errors():
            await self._client(secret_key).v1.payment_links.update_async(provider_id, {"active": False})

    async def expire_open_sessions(self, secret_key: str, payment_link: str) -> None:
        """Close the pages that customers have open for a Payment Link, which must be inactive already.

        A session that is paid or expires meanwhile is no error.

        Raises:
            LinkNotMadeError: Stripe refused, failed or could not be reached, or some sessions are still open.
        """
        import stripe

        sessions = self._client(secret_key).v1.checkout.sessions
        refused, left = set[str](), list[str]()
        with link_errors():
            for _ in range(_SESSION_PAGES):
                page = await sessions.list_async({"payment_link": payment_link, "status": "open", "limit": _PAGE})
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

    async def list_events(
        self,
        secret_key: str,
        *,
        created_gte: int,
        created_lt: int,
        types: Sequence[str] = EVENTS_TO_SEND,
        starting_after: str | None = None,
        limit: int = _PAGE,
    ) -> EventPage:
        """Fetch a page of events of some types created in a range of Unix seconds, newest first, in Stripe's format.

        Raises:
            StripeRefusedError: Stripe does not let the key read its events.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        params: dict[str, object] = {
            "created": {"gte": created_gte, "lt": created_lt},
            "types": list(types),
            "limit": limit,
        }
        if starting_after is not None:
            params["starting_after"] = starting_after
        return await self._page(secret_key, "/v1/events", params)

    async def completed_sessions(self, secret_key: str, payment_link: str) -> Sequence[Mapping[str, Any]]:
        """Fetch the newest completed checkout sessions of a Payment Link, in Stripe's format.

        There are none if Stripe has no such link, for instance after a change of the account.

        Raises:
            StripeRefusedError: Stripe does not let the key read checkout sessions.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        params = {"payment_link": payment_link, "status": "complete", "limit": _PAGE}
        try:
            return (await self._page(secret_key, "/v1/checkout/sessions", params)).rows
        except StripeRefusedError as refusal:
            if refusal.stripe_code != GONE:
                raise
            return ()

    async def _page(self, secret_key: str, path: str, params: Mapping[str, object]) -> EventPage:
        with asking_errors(f"read {path}"):
            answer = await self._client(secret_key).raw_request_async("get", path, **params)
        listed = decoded(answer.body)
        return EventPage(listed["data"], bool(listed["has_more"]))

    # --- Webhook endpoints -------------------------------------------------------------------------------------

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
            endpoint = await self._client(secret_key).v1.webhook_endpoints.create_async(
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
        params: dict[str, object] = {"limit": _PAGE}
        rows: list[Mapping[str, Any]] = []
        while True:
            page = await self._page(secret_key, "/v1/webhook_endpoints", params)
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
            await self._client(secret_key).raw_request_async("post", f"/v1/webhook_endpoints/{provider_id}", **params)

    async def delete_webhook_endpoint(self, secret_key: str, provider_id: str) -> None:
        """Delete a webhook endpoint; do nothing if it is gone already.

        Raises:
            StripeRefusedError: Stripe gave a definite no.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        try:
            with asking_errors("remove webhook endpoints"):
                await self._client(secret_key).v1.webhook_endpoints.delete_async(provider_id)
        except StripeRefusedError as refusal:
            if refusal.stripe_code != GONE:
                raise

    # --- The key -----------------------------------------------------------------------------------------------

    async def probe(self, secret_key: str, method: Literal["get", "post"], path: str) -> Probe:
        """Test whether a key may make a request that changes nothing: a read, or a write to no existing object.

        Raises:
            StripeRefusedError: Stripe does not accept the key.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        import stripe

        asked_at = time.time()
        permitted = True
        with asking_errors(path):
            try:
                headers = (await self._client(secret_key).raw_request_async(method, path)).headers
            except (stripe.InvalidRequestError, stripe.PermissionError) as error:
                headers = error.headers or {}
                permitted = isinstance(error, stripe.InvalidRequestError)
        return Probe(permitted, _clock_ahead_s(headers, asked_at, time.time()))


async def _load_sdk() -> None:
    await asyncio.sleep(_LOAD_AFTER_S)
    await asyncio.to_thread(importlib.import_module, "stripe")


def _endpoint(row: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        provider_id=row["id"],
        url=row["url"],
        is_enabled=row["status"] == "enabled",
        events=tuple(row["enabled_events"]),
        api_version=row["api_version"],
        created=row["created"],
    )


def _clock_ahead_s(headers: Mapping[str, str], asked_at: float, answered_at: float) -> float | None:
    """Compute how far the answer's Date lies after it arrived, or before it was requested (negative); 0 in between."""
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return max(theirs - answered_at, 0.0) + min(theirs + 1 - asked_at, 0.0)
