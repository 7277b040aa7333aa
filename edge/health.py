"""Health checks, the metrics, and an index of the server's paths."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.metrics import CONTENT_TYPE, Metrics

_UNCACHED: Final = {"cache-control": "no-store"}


def health_routes(metrics: Metrics, unready_because: Callable[[], Awaitable[str | None]]) -> list[Route]:
    """Make /healthz, /readyz and /metrics. `unready_because` says why requests can't be served, or None."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_UNCACHED)

    async def readyz(_: Request) -> Response:
        reason = await unready_because()
        if reason is None:
            return JSONResponse({"status": "ok"}, headers=_UNCACHED)
        return JSONResponse({"status": "unavailable", "reason": reason}, 503, headers=_UNCACHED)

    async def exposition(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE, headers=_UNCACHED)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", exposition)]


def index_route(public_url: str) -> Route:
    """Make the route /, which lists the server's paths."""
    endpoints = {
        "name": "Fluxrate",
        "graphql": f"{public_url}/graphql",
        "subscriptions": f"{public_url.replace('http', 'ws', 1)}/graphql",
        "health": f"{public_url}/healthz",
        "readiness": f"{public_url}/readyz",
        "metrics": f"{public_url}/metrics",
    }

    async def index(_: Request) -> Response:
        return JSONResponse(endpoints)

    return Route("/", index)
