"""Refusals, in Stripe's words.

StripeError             found before the work began: its idempotency key stays free
└── ExecutionError      found while working: what its idempotency key replays
"""

from collections.abc import Mapping
from typing import Any

Payload = dict[str, Any]
"""An object of Stripe's API, as its JSON has it."""


class StripeError(Exception):
    """A refusal that is answered with Stripe's error envelope."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        doc_url = f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}" if code else None
        told = {"code": code, "doc_url": doc_url, "message": message, "param": param, "type": type}
        self.envelope: Payload = {"error": {name: value for name, value in told.items() if value is not None}}


class ExecutionError(StripeError):
    """A refusal met after the work began."""


def unauthorized(message: str, code: str | None = None) -> StripeError:
    """Refuse a key."""
    return StripeError(message, status=401, code=code, headers={"WWW-Authenticate": 'Basic realm="Stripe"'})


def no_such(noun: str, object_id: str, param: str = "id", *, status: int = 404) -> ExecutionError:
    """Refuse the id of an object that this account doesn't have."""
    message = f"No such {noun}: '{object_id}'"
    return ExecutionError(message, status=status, code="resource_missing", param=param)


def unrecognized_url(method: str, path: str) -> StripeError:
    """Refuse a path, or a method of it, that the simulator doesn't answer."""
    message = (
        f"Unrecognized request URL ({method}: {path}). "
        "The simulator answers a part of Stripe's API only: GET / lists it."
    )
    return StripeError(message, status=404)


def foreign_page(origin: str) -> StripeError:
    """Refuse what a page of another server sent from somebody's browser."""
    message = (
        f"A page of {origin} sent this request, and the simulator takes them from its own pages only."
        " Open the simulator at the address to which the request goes. A client that is no browser sends no Origin."
    )
    return StripeError(message, status=403)


def server_error(status: int) -> StripeError:
    """Make Stripe's answer for an internal error (5xx) or too many requests (429)."""
    if status == 429:
        message = "Request rate limit exceeded. Learn more about rate limits at https://docs.stripe.com/rate-limits."
        headers = {"Stripe-Rate-Limited-Reason": "global-rate"}
        return StripeError(message, status=status, code="rate_limit", headers=headers)
    if status >= 500:
        message = "An unknown error occurred. The simulator was told to answer so."
        return StripeError(message, status=status, type="api_error")
    return StripeError("The simulator was told to refuse this call.", status=status)
