"""The application as the server sees it: JSON for what is not found, and express lanes past the router."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.forwarded import Forwarded
from edge.metrics import Metrics
from edge.telemetry import Telemetry, masked_error
from errors import FluxrateError

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True, slots=True)
class ExpressLane:
    """What is of a `kind` and at `path`, or under it when it ends with a slash, goes straight to `app`.

    `template` names it in logs and metrics.
    """

    kind: Literal["http", "websocket"]
    path: str
    template: str
    app: ASGIApp

    def takes(self, scope: Scope) -> bool:
        """Whether a request is to go this way."""
        path: str = scope["path"]
        is_there = path.startswith(self.path) if self.path.endswith("/") else path == self.path
        return is_there and scope["type"] == self.kind


class Application(Starlette):
    """Starlette with telemetry around it. Express requests pass neither its middleware nor its router."""

    def __init__(
        self,
        *,
        routes: Sequence[BaseRoute],
        express: Sequence[ExpressLane],
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
        self._express = express
        self.count_dropped = metrics.count_dropped
        self._forwarded = Forwarded(trusted_proxies)
        quiet = QUIET | {lane.template for lane in express if lane.kind == "http"}
        self._observed = Telemetry(self._dispatch, metrics, self._template_of, quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, _in_a_sentence(send))
        else:
            self._forwarded.read(scope)
            await self._observed(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        for lane in self._express:
            if lane.takes(scope):
                await lane.app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _template_of(self, scope: Scope) -> str:
        for lane in self._express:
            if lane.takes(scope):
                return lane.template
        return getattr(scope.get("route"), "path", "unmatched")


def _in_a_sentence(send: Send) -> Send:
    """Tell why the application does not start without a traceback, where a sentence says it."""

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
