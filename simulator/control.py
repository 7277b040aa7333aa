"""The simulator's own endpoints: faults to inject, and the calls that were received."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.form import read_params
from simulator.operations import OPERATIONS
from simulator.webhook import API_VERSION
from simulator.world import World


async def inject_fault(world: World, request: Request) -> Response:
    """Make the next calls of a path fail."""
    fault = world.faults.inject(await read_params(request, json_allowed=True))
    return JSONResponse(asdict(fault), 201)


async def clear_faults(world: World, request: Request) -> Response:  # noqa: ARG001 - an Endpoint takes both
    """Remove all faults."""
    world.faults.clear()
    return Response(status_code=204)


async def list_requests(world: World, request: Request) -> Response:  # noqa: ARG001 - an Endpoint takes both
    """List the API calls received, the oldest first."""
    return JSONResponse(world.requests.describe())


async def clear_requests(world: World, request: Request) -> Response:  # noqa: ARG001 - an Endpoint takes both
    """Forget the API calls received."""
    world.requests.clear()
    return Response(status_code=204)


async def describe(world: World, request: Request) -> Response:  # noqa: ARG001 - an Endpoint takes both
    """Describe the simulator and its endpoints."""
    return JSONResponse(
        {
            "name": "Stripe simulator",
            "description": "Stands in for Stripe's API, payment page and webhooks: no money moves.",
            "api_version": API_VERSION,
            "api": [f"{operation.method} {operation.path}" for operation in OPERATIONS],
            "payment_page": [
                "GET /pay/{link}",
                "POST /pay/{link}",
                "POST /pay/{link}/settle",
                "POST /pay/{link}/refund",
                "POST /pay/{link}/dispute",
                "POST /pay/{link}/dispute/close",
            ],
            "fault_page": ["GET /faults"],
            "simulator": [
                "POST /simulator/actions",
                "POST /simulator/faults",
                "DELETE /simulator/faults",
                "GET /simulator/requests",
                "DELETE /simulator/requests",
            ],
        }
    )
