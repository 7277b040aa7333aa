"""Requests to Stripe about a secret key: whose it is, and what it may do."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import structlog

from gateways.stripe.api import StripeApi
from gateways.stripe.errors import asking_errors, refused
from models.reason import Reason

_KEY_PATH: Final = ["input", "secretKey"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a key has a permission, and by how much Stripe's clock is ahead of ours; None if Stripe sent no time."""

    permitted: bool
    clock_ahead_s: float | None


class KeyCalls(StripeApi):
    """Asks Stripe about secret keys."""

    async def account_of(self, secret_key: str) -> str | None:
        """Fetch the id of a secret key's account; None if Stripe is unavailable or the key may not read it.

        Raises:
            StripeRefusedError: Stripe does not accept the key.
        """
        import stripe

        try:
            account = await self.client(secret_key).v1.accounts.retrieve_current_async()
        except stripe.AuthenticationError as error:
            raise refused(error, Reason.KEY_REJECTED, "Stripe does not accept this secret key", _KEY_PATH) from None
        except stripe.StripeError as error:
            log.info("stripe did not name the account", reason=type(error).__name__, request_id=error.request_id)
            return None
        return account.id

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
                headers = (await self.client(secret_key).raw_request_async(method, path)).headers
            except (stripe.InvalidRequestError, stripe.PermissionError) as error:
                headers = error.headers or {}
                permitted = isinstance(error, stripe.InvalidRequestError)
        return Probe(permitted, _clock_ahead_s(headers, asked_at, time.time()))


def _clock_ahead_s(headers: Mapping[str, str], asked_at: float, answered_at: float) -> float | None:
    """Compute how far the answer's Date lies after it arrived, or before it was requested (negative); 0 in between."""
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return max(theirs - answered_at, 0.0) + min(theirs + 1 - asked_at, 0.0)
