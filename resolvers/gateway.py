"""Stripe's API, as far as we call it: through Stripe's own SDK, with timeouts, and every refusal made one of ours.

The SDK takes half a second to load: it is loaded after the start, in the background, or by the first call.
"""

import asyncio
import importlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

from models.errors import FluxrateError, StripeRefused
from models.integration import EVENTS_TO_SEND
from models.secret import without_secrets

if TYPE_CHECKING:
    import stripe
    from stripe.params import PaymentLinkCreateParams, WebhookEndpointCreateParams

log = structlog.get_logger(__name__)

API_VERSION: Final = "2026-10-28.endive"
"""What the pinned SDK speaks, and what webhook endpoints that we add are pinned to."""

TIMEOUT_S: Final = 10.0
NETWORK_RETRIES: Final = 1
_LOAD_AFTER_S: Final = 1.0
_PAGE: Final = 100
_LINK_PAGES: Final = 5
_KEY_PATH: Final = ["input", "secretKey"]
_MESSAGE_LENGTH: Final = 500


class LinkNotMade(FluxrateError):
    """A Payment Link that Stripe did not say it made.

    `outcome_unknown`: it may have been made all the same. `may_retry`: trying again can help.
    `same_attempt`: the next try has to repeat the idempotency key.
    """

    def __init__(self, code: str, detail: str, *, outcome_unknown: bool, may_retry: bool, same_attempt: bool) -> None:
        super().__init__(detail, code=code)
        self.outcome_unknown = outcome_unknown
        self.may_retry = may_retry
        self.same_attempt = same_attempt


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A Payment Link as Stripe answered it."""

    stripe_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A webhook endpoint that was made at Stripe."""

    stripe_id: str
    secret: str = field(repr=False)


class StripeGateway:
    """Calls Stripe. `api_base` is another host than Stripe's, for trying the product without an account."""

    def __init__(self, api_base: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._api_base = api_base
        self._timeout_s = timeout_s
        self._http: stripe.HTTPXClient | None = None
        self._loading: asyncio.Task[None] | None = None

    @property
    def live_keys_allowed(self) -> bool:
        """Whether live keys may be sent to where the calls go."""
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
        """The id of the account that a secret key opens; None when Stripe can't be reached or won't tell this key.

        Raises:
            StripeRefused: Stripe says that the key is none.
        """
        import stripe

        try:
            account = await self._client(secret_key).v1.accounts.retrieve_current_async()
        except stripe.AuthenticationError as error:
            raise _refused(error, "KEY_REJECTED", "Stripe does not accept this secret key", _KEY_PATH) from None
        except stripe.StripeError as error:
            log.info("stripe account not told", reason=type(error).__name__, request_id=error.request_id)
            return None
        return account.id

    async def create_payment_link(
        self, secret_key: str, params: "PaymentLinkCreateParams", idempotency_key: str
    ) -> MadeLink:
        """Make a Payment Link.

        Raises:
            LinkNotMade: Stripe refused, failed or could not be reached.
        """
        with _link_errors():
            link = await self._client(secret_key).v1.payment_links.create_async(
                params, {"idempotency_key": idempotency_key}
            )
        return MadeLink(link.id, link.url)

    async def find_payment_link(
        self, secret_key: str, metadata: Mapping[str, str], known: Collection[str]
    ) -> MadeLink | None:
        """The newest active Payment Link with this metadata that isn't known yet, among the newest 500.

        Raises:
            LinkNotMade: Stripe could not be asked.
        """
        payment_links = self._client(secret_key).v1.payment_links
        with _link_errors():
            page = await payment_links.list_async({"active": True, "limit": _PAGE})
            for _ in range(_LINK_PAGES):
                for link in page.data:
                    ours = all(getattr(link.metadata, name, None) == value for name, value in metadata.items())
                    if ours and link.id not in known:
                        return MadeLink(link.id, link.url)
                if not page.has_more or not page.data:
                    return None
                page = await payment_links.list_async(
                    {"active": True, "limit": _PAGE, "starting_after": page.data[-1].id}
                )
        return None

    async def deactivate_payment_link(self, secret_key: str, stripe_id: str) -> None:
        """Make a Payment Link unpayable; one that is unpayable already is left so.

        Raises:
            LinkNotMade: Stripe refused, failed or could not be reached.
        """
        with _link_errors():
            await self._client(secret_key).v1.payment_links.update_async(stripe_id, {"active": False})

    async def register_webhook(self, secret_key: str, url: str, idempotency_key: str) -> Registered:
        """Add a webhook endpoint with our events at Stripe.

        Raises:
            StripeRefused: Stripe refused, failed or could not be reached.
        """
        import stripe

        params: WebhookEndpointCreateParams = {
            "url": url,
            "enabled_events": list(EVENTS_TO_SEND),
            "api_version": API_VERSION,
            "description": "Fluxrate",
        }
        try:
            endpoint = await self._client(secret_key).v1.webhook_endpoints.create_async(
                params, {"idempotency_key": idempotency_key}
            )
        except stripe.StripeError as error:
            raise _refused(
                error,
                "WEBHOOK_NOT_REGISTERED",
                "The account is connected, but Stripe did not add the webhook endpoint (add it by hand)",
                None,
            ) from None
        if endpoint.secret is None:
            raise StripeRefused("Stripe added the webhook endpoint but did not tell its signing secret.")
        return Registered(endpoint.id, endpoint.secret)


async def _load_sdk() -> None:
    await asyncio.sleep(_LOAD_AFTER_S)
    await asyncio.to_thread(importlib.import_module, "stripe")


@contextmanager
def _link_errors() -> Iterator[None]:
    """Stripe's errors as LinkNotMade: what is known of the outcome, and whether trying again can help."""
    import stripe

    try:
        yield
    except stripe.APIConnectionError:
        raise LinkNotMade(
            "STRIPE_UNREACHABLE",
            "no answer came in time.",
            outcome_unknown=True,
            may_retry=True,
            same_attempt=True,
        ) from None
    except stripe.StripeError as error:
        raise _not_made(error) from None


def _not_made(error: "stripe.StripeError") -> LinkNotMade:
    import stripe

    if isinstance(error, stripe.AuthenticationError):
        return _definite("KEY_REJECTED", error)
    if isinstance(error, stripe.PermissionError):
        return _definite("KEY_NOT_PERMITTED", error)
    if isinstance(error, stripe.RateLimitError):
        return _definite("STRIPE_BUSY", error, may_retry=True)
    if error.http_status == HTTPStatus.CONFLICT:  # the same idempotency key is in use: another try is under way
        return LinkNotMade("STRIPE_BUSY", _said(error), outcome_unknown=True, may_retry=True, same_attempt=True)
    if error.http_status is not None and error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # Stripe replays a stored 5xx for its idempotency key, and may have made the link before it failed.
        return LinkNotMade("STRIPE_BUSY", _said(error), outcome_unknown=True, may_retry=True, same_attempt=False)
    return _definite("STRIPE_REFUSED", error)


def _definite(code: str, error: "stripe.StripeError", *, may_retry: bool = False) -> LinkNotMade:
    return LinkNotMade(code, _said(error), outcome_unknown=False, may_retry=may_retry, same_attempt=False)


def _said(error: "stripe.StripeError") -> str:
    """What Stripe said, without anything that looks like a key."""
    message = without_secrets(str(error.user_message or "no reason was given"))[:_MESSAGE_LENGTH]
    return message if message.endswith(".") else f"{message}."


def _refused(error: "stripe.StripeError", code: str, sentence: str, path: list[str] | None) -> StripeRefused:
    return StripeRefused(
        f"{sentence}: {_said(error)}",
        code=code,
        path=path,
        stripe_code=error.code,
        request_id=error.request_id,
    )
