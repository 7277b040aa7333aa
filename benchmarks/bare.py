"""The floor for webhooks: a Starlette route that reads the body, answers, and does nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def receive(request: Request) -> JSONResponse:
    """Read the body and answer."""
    await request.body()
    return JSONResponse({"received": True})


def create_app() -> Starlette:
    """Create the application, for `uvicorn --factory`."""
    return Starlette(routes=[Route("/webhooks/stripe/{token}", receive, methods=["POST"])])
