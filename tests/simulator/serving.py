"""Real servers on free ports of this machine, and one that receives webhooks."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Final, Self

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PATIENCE_S: Final = 10.0


@contextmanager
def serve(app: Starlette) -> Iterator[str]:
    """Serve an application for as long as the block lasts, and say where."""
    config = uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, and not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.01)


class Stage:
    """A server that lasts, for one application after the other: to start and stop one for each takes half a second."""

    def __init__(self) -> None:
        self._app: Starlette | None = None
        config = uvicorn.Config(
            self._answer, port=0, log_level="critical", interface="asgi3", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server: Final = uvicorn.Server(config)
        self._loop: Final = asyncio.new_event_loop()
        self._thread: Final = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)

    @contextmanager
    def showing(self, app: Starlette) -> Iterator[str]:
        """Serve an application for as long as the block lasts, and say where."""
        lifespan = app.router.lifespan_context(app)
        self._await(lifespan.__aenter__())
        self._app = app
        try:
            yield f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            self._app = None
            self._await(lifespan.__aexit__(None, None, None))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None, "The test is over."
        await self._app(scope, receive, send)

    def _await(self, work: Coroutine[object, object, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._server.serve())


@dataclass(frozen=True)
class Delivery:
    """One post, as it was received."""

    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """The event that was posted."""
        event: dict[str, Any] = orjson.loads(self.body)
        return event


@dataclass
class Receiver:
    """Receives webhooks; answers the statuses it was given in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        """The types of the events received, in order."""
        return [delivery.event["type"] for delivery in self.deliveries]

    def app(self) -> Starlette:
        """The application to serve."""
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        self.deliveries.append(Delivery(request.url.path, body, dict(request.headers)))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)


async def eventually_apart(receiver: Receiver, posts: int) -> None:
    """Wait for so many posts, without stopping the test's own loop."""
    await asyncio.to_thread(eventually, lambda: len(receiver.deliveries) >= posts)
