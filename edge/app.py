"""The application as the server sees it: Starlette with telemetry, and JSON for what is not found."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.forwarded import Forwarded
from edge.metrics import Metrics
from edge.server.direct import Answer, DirectRoute, Header
from edge.telemetry import Telemetry, masked_error
from errors import FluxrateError


class Application(Starlette):
    """Starlette inside the telemetry. Requests to the paths in `quiet` are logged only if they fail.

    `short` routes are matched first and bypass Starlette's middleware: the telemetry answers and logs what they raise.
    `take` may take the posts to the first of them directly: it gets the value of the path's parameter, the headers, the
    body, and what sends the answer.
    """

    def __init__(
        self,
        *,
        routes: Sequence[BaseRoute],
        short: Sequence[Route] = (),
        take: Callable[[str, Sequence[Header], bytes, Answer], bool] | None = None,
        quiet: frozenset[str],
        metrics: Metrics,
        lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        super().__init__(
            routes=routes,
            lifespan=lifespan,
            exception_handlers={HTTPException: _as_json, Exception: _masked},
        )
        self.router.redirect_slashes = False
        self.count_dropped = metrics.count_dropped
        self._forwarded = Forwarded(trusted_proxies)
        self._short = tuple(short)
        self._layered = super().__call__
        self._observed = Telemetry(self._served, metrics, _template_of, quiet)
        self.direct = self._directly(short[0].path, take) if take is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, _with_readable_startup_error(send))
        else:
            self._forwarded.read(scope)
            await self._observed(scope, receive, send)

    def _directly(self, path: str, take: Callable[[str, Sequence[Header], bytes, Answer], bool]) -> DirectRoute:
        def take_of(scope: Scope, end: str, body: bytes, answer: Answer) -> bool:
            return take(end, scope["headers"], body, answer)

        observed = self._observed.observed(take_of, path, self._forwarded.read)
        return DirectRoute(path.partition("{")[0].encode(), observed)

    def _served(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        for route in self._short:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found, route=route)
                return route.app(scope, receive, send)
        return self._layered(scope, receive, send)


def with_cors(app: ASGIApp, allowed_origins: Sequence[str]) -> ASGIApp:
    """Let pages of other origins call an endpoint."""
    if not allowed_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "last-event-id", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
        max_age=3600,
    )


def _template_of(scope: Scope) -> str:
    """Return the template of a request's route, never its path, which may hold a webhook token."""
    return getattr(scope.get("route"), "path", "unmatched")


def _with_readable_startup_error(send: Send) -> Send:
    """Replace the traceback of an application that does not start by the message of our own error."""

    async def send_readable(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, FluxrateError):
            message = {**message, "message": error.message}
        await send(message)

    return send_readable


async def _as_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for these)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _masked(request: Request, _: Exception) -> Response:
    return masked_error(request.scope)
