"""The metrics of this process, for Prometheus."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)
from prometheus_client import generate_latest as _generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import ValueClass

from periodic import Periodic

SAMPLE_INTERVAL_S: Final = 1.0
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters and gauges of one application; several worker processes share files and are shown as one."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for
        self._registry: Final = CollectorRegistry()
        self._is_shared: Final = bool(getattr(ValueClass, "_multiprocess", False))
        if not self._is_shared:
            ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "fluxrate_http_requests",
            "HTTP requests answered, by the route's template.",
            ["route", "status"],
            registry=self._registry,
        )
        self._deliveries = Counter(
            "fluxrate_webhook_deliveries",
            "Requests to webhook URLs, by outcome.",
            ["outcome"],
            registry=self._registry,
        )
        self._delivery_seconds = Histogram(
            "fluxrate_webhook_seconds",
            "Seconds from the head of an accepted webhook to its answer.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._dropped = Counter(
            "fluxrate_connections_dropped",
            "Connections dropped because they were short: idle ones closed, and new ones refused.",
            ["why"],
            registry=self._registry,
        )
        self._queries = Counter(
            "fluxrate_graphql_queries",
            'Queries executed, by what answered them: "plan", or why graphql-core did.',
            ["answered_by"],
            registry=self._registry,
        )
        self._queued = Gauge(
            "fluxrate_inbox_queued",
            "Deliveries that wait for their commit.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._subscriptions = Gauge(
            "fluxrate_subscriptions",
            "Subscriptions that are open.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._background_seconds = Summary(
            "fluxrate_background_seconds",
            "Seconds that background work took, by job.",
            ["job"],
            registry=self._registry,
        )
        self._background_failures = Counter(
            "fluxrate_background_failures",
            "Background work that failed and is done again in the next run, by job.",
            ["job"],
            registry=self._registry,
        )
        self._request_counters: dict[tuple[str, int], Counter] = {}
        self._delivery_counters: dict[str, Counter] = {}
        self._query_counters: dict[str, Counter] = {}

    def count_request(self, route: str, status: int) -> None:
        """Count an answered request."""
        counter = self._request_counters.get((route, status))
        if counter is None:
            counter = self._request_counters[route, status] = self._requests.labels(route, str(status))
        counter.inc()

    def count_delivery(self, outcome: str, seconds: float) -> None:
        """Count a request to a webhook URL."""
        counter = self._delivery_counters.get(outcome)
        if counter is None:
            counter = self._delivery_counters[outcome] = self._deliveries.labels(outcome)
        counter.inc()
        if outcome == "accepted":
            self._delivery_seconds.observe(seconds)

    def count_query(self, answered_by: str) -> None:
        """Count an executed query."""
        counter = self._query_counters.get(answered_by)
        if counter is None:
            counter = self._query_counters[answered_by] = self._queries.labels(answered_by)
        counter.inc()

    def count_dropped(self, why: str) -> None:
        """Count a connection that was closed or refused because connections were short."""
        self._dropped.labels(why).inc()

    def count_background(self, job: str, seconds: float, failed: bool) -> None:
        """Count a run of a background job."""
        self._background_seconds.labels(job).observe(seconds)
        self._background_failures.labels(job).inc(int(failed))

    def sample(self, *, queued: int, subscriptions: int) -> None:
        """Set the gauges to the numbers of now."""
        self._queued.set(queued)
        self._subscriptions.set(subscriptions)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        registry = self._registry
        if self._is_shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return _generate_latest(registry)


@contextlib.asynccontextmanager
async def sampled(metrics: Metrics, look: Callable[[], tuple[int, int]]) -> AsyncIterator[None]:
    """Set the gauges every second: `look` counts the webhooks that wait for their commit and the open subscriptions."""

    async def sample() -> None:
        queued, subscriptions = look()
        metrics.sample(queued=queued, subscriptions=subscriptions)

    await sample()
    async with Periodic("gauges", SAMPLE_INTERVAL_S, sample):
        yield
