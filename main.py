"""The composition root: `create_app` is the server, `cli` the command line."""

import contextlib
import gc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from cli.app import run
from settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

HEALTH: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def create_app(settings: Settings | None = None, dist: "Path | None" = None) -> "Starlette":
    """Build the application, not yet started: `uvicorn main:create_app --factory`.

    `dist` is the folder of the built dashboard.

    Raises:
        ConfigurationError: There are no settings and the environment holds none that work.
    """
    from starlette.routing import Route, WebSocketRoute

    from edge.app import Application, with_cors
    from edge.dashboard import ASSETS, DIST, Dashboard
    from edge.graphql.cookie import SessionCookies
    from edge.graphql.endpoint import GraphQLEndpoint
    from edge.graphql.rate_limit import RateLimits
    from edge.graphql.session import SessionEndpoint
    from edge.health import health_routes, index_route
    from edge.logs import configure_logging
    from edge.metrics import Metrics, sampled
    from edge.origin import OwnOrigin
    from execution.persisted import documents_of
    from parts import compose, unready_because
    from webhooks.stripe import StripeWebhook

    settings = settings or Settings.from_env()
    configure_logging()
    parts, metrics = compose(settings), Metrics()
    for each in parts.background:
        each.on_ran = metrics.count_background
    rate_limits = RateLimits(settings.broadcast_url, settings.rate_limit_per_key, settings.rate_limit_per_address)
    cookies, dashboard = None, None
    if settings.dashboard:
        own = OwnOrigin(settings.public_url if settings.knows_public_url else None)
        cookies = SessionCookies(parts.services.keyring, own)
        dashboard = Dashboard(dist or DIST, graphiql=settings.graphiql)
    graphql = GraphQLEndpoint(
        parts.services,
        allowed_origins=settings.allowed_origins,
        rate_limits=rate_limits,
        documents=documents_of(settings.trusted_documents),
        introspection=settings.introspection,
        graphiql=settings.graphiql,
        cookies=cookies,
        graphiql_path=lambda: dashboard.graphiql_path() if dashboard else None,
        count_query=metrics.count_query,
    )
    webhook = StripeWebhook(parts.services, metrics.count_delivery)

    @contextlib.asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncIterator[None]:
        gauges = sampled(metrics, lambda: (webhook.waiting, parts.services.feed.follower_count))
        async with parts.running([rate_limits, graphql, gauges]):
            gc.set_threshold(50_000, 20, 50)
            gc.enable()
            gc.freeze()  # what lives as long as the process need not be looked at again
            yield

    return Application(
        short=[webhook.route],
        take=webhook.take,
        routes=[
            WebSocketRoute("/graphql", graphql),
            Route("/graphql", with_cors(graphql, settings.allowed_origins)),
            *([Route("/session", SessionEndpoint(graphql, cookies))] if cookies else ()),
            *(dashboard.routes if dashboard else ()),
            index_route(settings.public_url),
            *health_routes(metrics, unready_because),
        ],
        quiet=HEALTH | {webhook.route.path, ASSETS},
        metrics=metrics,
        lifespan=lifespan,
        trusted_proxies=settings.trusted_proxies,
    )


def cli() -> None:
    """Run the command line."""
    run(create_app)


if __name__ == "__main__":
    cli()
