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
from edge.telemetry import Telemetry, masked_error
from errors import FluxrateError


class Application(Starlette):
    """Starlette with telemetry around it. Requests to the paths of `quiet` are logged when they fail only.

    `short` routes are asked first, and without Starlette's layers: the telemetry alone answers and logs what they
    raise.
    """

    def __init__(
        self,
        *,
        routes: Sequence[BaseRoute],
        short: Sequence[Route] = (),
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, _in_a_sentence(send))
        else:
            self._forwarded.read(scope)
            await self._observed(scope, receive, send)

    def _served(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        for route in self._short:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found, route=route)
                return route.app(scope, receive, send)
        return self._layered(scope, receive, send)


def with_cors(app: ASGIApp, allowed_origins: Sequence[str]) -> ASGIApp:
    """An endpoint that browsers may ask from other origins too."""
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
    """A request's route, never its path: that may hold a webhook token."""
    return getattr(scope.get("route"), "path", "unmatched")


def _in_a_sentence(send: Send) -> Send:
    """Log why the application does not start, without a traceback where a sentence says it."""

    async def tell(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, FluxrateError):
            message = {**message, "message": error.message}
        await send(message)

    return tell


async def _as_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for these)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _masked(request: Request, _: Exception) -> Response:
    return masked_error(request.scope)
