"""Two peers for subscriptions: a bare Starlette broadcast, and Strawberry unchanged.

POST /publish gives them an event.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL

# --- The floor -------------------------------------------------------------------------------------------------


class Broadcast:
    """Sends every text that is posted to all sockets."""

    def __init__(self) -> None:
        self._sockets: set[WebSocket] = set()

    async def join(self, socket: WebSocket) -> None:
        """Accept a socket, and keep it until it disconnects."""
        await socket.accept("graphql-transport-ws")
        self._sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self._sockets.discard(socket)

    async def publish(self, request: Request) -> JSONResponse:
        """Send the posted text to every socket."""
        text = (await request.body()).decode()
        for socket in list(self._sockets):
            await socket.send_text(text)
        return JSONResponse({"received": True})


def bare() -> Starlette:
    """Create the bare broadcast, for `uvicorn --factory`."""
    broadcast = Broadcast()
    routes = [Route("/publish", broadcast.publish, methods=["POST"]), WebSocketRoute("/graphql", broadcast.join)]
    return Starlette(routes=routes)


# --- Strawberry unchanged --------------------------------------------------------------------------------------


@strawberry.type
class Invoice:
    id: strawberry.ID
    number: str
    status: str


@strawberry.type
class Event:
    type: str
    cursor: str
    previous_status: str | None
    status: str | None
    occurred_at: str
    invoice: Invoice


_followers: set["asyncio.Queue[Event]"] = set()


@strawberry.type
class Query:
    ready: bool = True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def events(
        self, status: Annotated[list[str] | None, strawberry.argument()] = None
    ) -> AsyncGenerator[Event, None]:
        """Yield everything that is published."""
        del status
        queue: asyncio.Queue[Event] = asyncio.Queue()
        _followers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            _followers.discard(queue)


async def _publish(request: Request) -> JSONResponse:
    content = await request.json()
    invoice = Invoice(**content["invoice"])
    event = Event(
        type=content["type"],
        cursor=content["cursor"],
        previous_status=content["previousStatus"],
        status=content["status"],
        occurred_at=content["occurredAt"],
        invoice=invoice,
    )
    for queue in _followers:
        queue.put_nowait(event)
    return JSONResponse({"received": True})


def stock() -> Starlette:
    """Create the application with Strawberry unchanged, for `uvicorn --factory`."""
    graphql: GraphQL[None, None] = GraphQL(strawberry.Schema(query=Query, subscription=Subscription))
    return Starlette(
        routes=[
            Route("/publish", _publish, methods=["POST"]),
            Route("/graphql", graphql),
            WebSocketRoute("/graphql", graphql),
        ]
    )
