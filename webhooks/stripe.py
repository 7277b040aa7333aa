"""POST /webhooks/stripe/{token}: verify, store, apply, acknowledge. A 2xx is sent only after the commit.

The server hands a request that arrived whole to `StripeWebhook.take`, which needs no task. What that does not take, the
ASGI endpoint answers.

The answer never says why a delivery was refused: the reason is stored with the integration.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from errors import UnavailableError
from gateways.stripe.endpoints import WEBHOOK_PATH
from gateways.stripe.signature import verify
from inbox.delivery import Delivery, Receipt, delivery_of
from inbox.quarantine.post import Post
from models.instant import utc_now
from models.kinds import WebhookEventStatus
from resolvers.context import Services
from webhooks.body import MAX_BODY_BYTES, GoneError, TooLargeError, TooSlowError, read_body
from webhooks.directory import Directory, Listener

log = structlog.get_logger(__name__)

PATH: Final = f"{WEBHOOK_PATH}{{token}}"
_KEPT: Final = frozenset({b"stripe-signature", b"content-type", b"user-agent"})
_RETRY_AFTER_S: Final = b"5"


class PostOutcome(StrEnum):
    """How a request ended, for metrics."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    WRONG_METHOD = "wrong_method"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    GONE = "gone"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes

    async def send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def _answer(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> _Answer:
    ordinary = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return _Answer(status, (*ordinary, *headers), body)


_CLOSE: Final = (b"connection", b"close")
_UNAVAILABLE: Final = _answer(503, b'{"error":"unavailable"}', (b"retry-after", _RETRY_AFTER_S))
_ANSWERS: Final = {
    PostOutcome.ACCEPTED: _answer(200, b'{"received":true}'),
    PostOutcome.REJECTED: _answer(400, b'{"error":"refused"}'),
    PostOutcome.UNKNOWN: _answer(404, b'{"error":"not found"}'),
    PostOutcome.WRONG_METHOD: _answer(405, b'{"error":"method not allowed"}', (b"allow", b"POST")),
    PostOutcome.TOO_SLOW: _answer(408, b'{"error":"timeout"}', _CLOSE),
    PostOutcome.TOO_LARGE: _answer(413, b'{"error":"too large"}', _CLOSE),
    PostOutcome.UNAVAILABLE: _UNAVAILABLE,
    PostOutcome.FAILED: _UNAVAILABLE,
}


class StripeWebhook:
    """The endpoint; `on_outcome` is called with each outcome and how many seconds it took."""

    def __init__(self, services: Services, on_outcome: Callable[[PostOutcome, float], None]) -> None:
        self._inbox = services.inbox
        self._on_outcome = on_outcome
        self._directory = Directory(services.keyring)
        self._quarantine = services.quarantine
        self.waiting = 0
        """How many deliveries wait for their commit."""

    @property
    def route(self) -> Route:
        """Its route. The endpoint itself refuses methods other than POST, so the router doesn't."""
        return Route(PATH, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        began_at = time.monotonic()
        try:
            outcome = await self._outcome(scope, receive, began_at)
        except Exception as error:
            outcome = _outcome_of(error)
        answer = _ANSWERS.get(outcome)
        if answer is not None:
            await answer.send(send)
        self._on_outcome(outcome, time.monotonic() - began_at)

    async def _outcome(self, scope: Scope, receive: Receive, began_at: float) -> PostOutcome:
        if scope["method"] != "POST":
            return PostOutcome.WRONG_METHOD
        token: str = scope["path_params"]["token"]
        listener = await self._directory.find(token)
        if listener is None:
            return PostOutcome.UNKNOWN
        signature = _last(scope["headers"], b"stripe-signature")
        try:
            body = await read_body(receive, _last(scope["headers"], b"content-length"))
        except TooLargeError:
            return PostOutcome.TOO_LARGE
        except TooSlowError:
            return PostOutcome.TOO_SLOW
        except GoneError:
            return PostOutcome.GONE
        signed = _signed_with(listener, signature, body)
        while not any(signed):
            current = await self._directory.find_since(token, began_at)
            if current is None:
                return PostOutcome.UNKNOWN
            listener = current
            signed = _signed_with(listener, signature, body)
            if not any(signed):
                if await self._quarantine.keep(_post(listener, scope, body)):
                    return PostOutcome.REJECTED
                began_at = time.monotonic()  # the secrets were replaced since the integration was read
        return await self._accept(token, listener, body, signed)

    async def _accept(self, token: str, listener: Listener, body: bytes, signed: tuple[bool, bool]) -> PostOutcome:
        self.waiting += 1
        try:
            return self._received(token, await self._inbox.accept(_delivery(listener, body, signed)))
        finally:
            self.waiting -= 1

    def take(self, token: str, headers: Headers, body: bytes, answer: Callable[[int, Headers, bytes], None]) -> bool:
        """Take a whole request if its signature is valid, and answer after the commit. False: nothing was done."""
        began_at = time.monotonic()
        listener = self._directory.known(token)
        if listener is None or len(body) > MAX_BODY_BYTES:
            return False
        signed = _signed_with(listener, _last(headers, b"stripe-signature"), body)
        if not any(signed):
            return False  # the secrets are read again before a request is refused

        def on_done(result: Receipt | Exception) -> None:
            self.waiting -= 1
            outcome = _outcome_of(result) if isinstance(result, Exception) else self._received(token, result)
            answered = _ANSWERS[outcome]
            answer(answered.status, answered.headers, answered.body)
            self._on_outcome(outcome, time.monotonic() - began_at)

        try:
            self._inbox.submit(_delivery(listener, body, signed), on_done)
        except UnavailableError:
            return False
        self.waiting += 1
        return True

    def _received(self, token: str, receipt: Receipt) -> PostOutcome:
        if receipt.status is None or receipt.is_outdated:
            self._directory.forget(token)
        if receipt.status is None:  # disconnected meanwhile, says the database
            return PostOutcome.UNKNOWN
        return PostOutcome.FAILED if receipt.status is WebhookEventStatus.FAILED else PostOutcome.ACCEPTED


def _outcome_of(error: Exception) -> PostOutcome:
    if isinstance(error, UnavailableError):
        return PostOutcome.UNAVAILABLE
    log.error("webhook delivery not handled", exc_info=error)
    return PostOutcome.FAILED


def _last(headers: Headers, wanted: bytes) -> bytes | None:
    """Return the value of the last header with a name."""
    found = None
    for name, value in headers:
        if name == wanted:
            found = value
    return found


def _delivery(listener: Listener, body: bytes, signed: tuple[bool, bool]) -> Delivery:
    signed_by = tuple(sealed for sealed, is_signed in zip(listener.sealed, signed, strict=True) if sealed and is_signed)
    return delivery_of(listener.origin, body, utc_now(), signed_by=signed_by, judged_by=listener.sealed)


def _signed_with(listener: Listener, signature: bytes | None, body: bytes) -> tuple[bool, bool]:
    """Check whether the current secret signed a delivery, and whether the previous one did, if that is still valid."""
    now = utc_now()
    current, previous = listener.secret, listener.previous_at(now)
    at = now.timestamp()
    by_current = current is not None and verify(signature, body, [current], at)
    return by_current, previous is not None and verify(signature, body, [previous], at)


def _post(listener: Listener, scope: Scope, body: bytes) -> Post:
    """Describe a delivery that could not be verified, with the headers that show its origin."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _KEPT}
    now = utc_now()
    return Post(
        origin=listener.origin,
        body=body,
        headers=headers,
        received_at=now,
        secrets=[secret for secret in (listener.secret, listener.previous_at(now)) if secret],
        judged_by=listener.sealed,
    )
