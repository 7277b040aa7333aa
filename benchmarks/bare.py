"""The floor: a Starlette route that reads the body and answers, and does nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def receive(request: Request) -> JSONResponse:
    """Read the body, say thanks."""
    await request.body()
    return JSONResponse({"received": True})


def create_app() -> Starlette:
    """The application, for `uvicorn --factory`."""
    return Starlette(routes=[Route("/webhooks/stripe/{token}", receive, methods=["POST"])])
