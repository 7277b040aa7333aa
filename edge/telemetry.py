"""The outermost middleware: gives every request an id, counts and logs it, and hides why it failed.

It logs the route's template, never the path, the query or a header: paths hold webhook tokens.
"""

import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.metrics import Metrics
from edge.server.direct import Answer, Header, Take

log = structlog.get_logger(__name__)

REQUEST_ID_HEADER: Final = b"x-request-id"
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHING_PROTOCOLS: Final = 101
_SERVER_ERROR: Final = 500
_ID_BYTES: Final = 16
_IDS_AT_ONCE: Final = 256


class Telemetry:
    """Wraps an application. `template_of` names a request's route; `quiet` routes are logged only if they fail."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, template_of: Callable[[Scope], str], quiet: frozenset[str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._template_of = template_of
        self._quiet = quiet
        self._random_ids = _random_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or serve one WebSocket."""
        began_at = time.monotonic()
        request_id = self._id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        status = 0

        def send_with_id(message: Message) -> Awaitable[None]:  # not a coroutine: that would cost time at every message
            nonlocal status
            if message["type"] in _STARTS:
                status = message.get("status", _SWITCHING_PROTOCOLS)
                headers = [*message.get("headers", ()), (REQUEST_ID_HEADER, request_id)]
                message = {**message, "headers": headers}
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", route=self._template_of(scope))
            if not status and scope["type"] == "http":
                await masked_error(scope)(scope, receive, send_with_id)
        route = self._template_of(scope)
        if scope["type"] == "http" and status:
            self._metrics.count_request(route, status)
        if route not in self._quiet or status >= _SERVER_ERROR:
            _log(scope, route, status, time.monotonic() - began_at)

    def observed(self, take: Take, route: str, find_client: Callable[[Scope], None]) -> Take:
        """Wrap what takes requests directly: give each an id, count its answer, and log it if it failed.

        `find_client` puts the client's address into the scope of a request that is logged.
        """

        def take_observed(scope: Scope, end: str, body: bytes, answer: Answer) -> bool:
            began_at = time.monotonic()
            request_id = self._id_of(scope)

            def answer_with_id(status: int, headers: Sequence[Header], content: bytes) -> None:
                answer(status, headers, content, (REQUEST_ID_HEADER, request_id))
                self._metrics.count_request(route, status)
                if status >= _SERVER_ERROR:
                    logged = {**scope, "method": "POST"}
                    find_client(logged)
                    with structlog.contextvars.bound_contextvars(request_id=request_id.decode()):
                        _log(logged, route, status, time.monotonic() - began_at)

            try:
                return take(scope, end, body, answer_with_id)
            except Exception:  # as good as not taken: what fails again the usual way is logged there
                return False

        return take_observed

    def _id_of(self, scope: Scope) -> bytes:
        return _given_id(scope) or next(self._random_ids)


def masked_error(scope: Scope) -> JSONResponse:
    """Answer an unexpected error with the id under which the log has it."""
    answer = {"error": "Something went wrong on our side.", "requestId": scope["state"]["request_id"]}
    return JSONResponse(answer, _SERVER_ERROR)


def _given_id(scope: Scope) -> bytes | None:
    """Return the request id that the caller sent, if it is valid."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _SANE_ID.fullmatch(value):
            return bytes(value)
    return None


def _random_ids() -> Iterator[bytes]:
    """Yield ids of 128 random bits. One call of the kernel fetches many, since it costs as much as all else here."""
    while True:
        bits = os.urandom(_IDS_AT_ONCE * _ID_BYTES).hex().encode()
        for start in range(0, len(bits), 2 * _ID_BYTES):
            yield bits[start : start + 2 * _ID_BYTES]


def _log(scope: Scope, route: str, status: int, seconds: float) -> None:
    client = scope.get("client")
    log.info(
        scope["type"],
        method=scope.get("method"),
        route=route,
        status=status or None,
        ms=round(seconds * 1000, 2),
        client=client[0] if client else None,
    )
