"""The simulator as one Starlette application; nothing starts until it is served."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import act, control, customer, fault_page, hosted_page
from simulator.api import Api
from simulator.delivery import Courier
from simulator.errors import StripeError, foreign_page
from simulator.outage import Outage
from simulator.world import World

RETRY_DELAYS_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Pauses before an event that wasn't received is posted again; Stripe's add up to three days."""

Endpoint = Callable[[World, Request], Awaitable[Response]]


def create_app(retry_delays_s: Sequence[float] = RETRY_DELAYS_S) -> Starlette:
    """Make an empty simulator."""
    outage = Outage()
    courier = Courier(retry_delays_s, outage)
    world = World(courier, outage)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await courier.aclose()

    def route(method: str, path: str, endpoint: Endpoint) -> Route:
        return Route(path, _refusing(world, endpoint), methods=[method])

    return Starlette(
        lifespan=lifespan,
        routes=[
            route("GET", "/", control.describe),
            route("GET", "/pay/{link}", hosted_page.show_page),
            route("POST", "/pay/{link}", customer.pay_link),
            route("POST", "/pay/{link}/settle", customer.settle_link),
            route("POST", "/pay/{link}/refund", customer.refund_link),
            route("POST", "/pay/{link}/dispute", customer.dispute_link),
            route("POST", "/pay/{link}/dispute/close", customer.close_link_dispute),
            route("POST", "/pay/{link}/page", hosted_page.press_button),
            route("GET", "/faults", fault_page.show_page),
            route("POST", "/faults", fault_page.press_button),
            route("POST", "/simulator/actions", act.act_on_invoice),
            route("POST", "/simulator/faults", control.inject_fault),
            route("DELETE", "/simulator/faults", control.clear_faults),
            route("GET", "/simulator/requests", control.list_requests),
            route("DELETE", "/simulator/requests", control.clear_requests),
            Route("/v1/{path:path}", Api(world)),
        ],
    )


def _refusing(world: World, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint to answer its refusals as JSON."""

    async def answer(request: Request) -> Response:
        try:
            _refuse_foreign(request)
            return await endpoint(world, request)
        except StripeError as error:
            return JSONResponse(error.envelope, error.status)

    return answer


def _refuse_foreign(request: Request) -> None:
    """Refuse requests from other servers' pages, which any browser on this machine may have open.

    Source: WHATWG Fetch, "`Origin` header": browsers send it with all but reads, and no script can write it.
    """
    for origin in request.headers.getlist("origin"):
        if request.method != "GET" and origin.partition("://")[2] != request.headers.get("host"):
            raise foreign_page(origin)
