"""Streams results over HTTP, as server-sent events or multipart.

Sources: WHATWG HTML, "Server-sent events"; graphql-sse, "Distinct connections mode"; Apollo, "Multipart HTTP protocol
for GraphQL subscriptions".
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError
from starlette.types import Message, Receive, Scope, Send
from strawberry.http.parse_content_type import parse_content_type
from strawberry.types import ExecutionResult

from edge.graphql.keys import KeyWatch, ends_with
from errors import UnauthenticatedError
from execution.errors import of_exception
from execution.shown import GoneError, Shown, StuckError, until_sent
from models.session import Session
from resolvers.event import cursor_of
from schema.context import Operation

KEEP_ALIVE_S: Final = 10.0
"""After so long without a result an empty frame is sent, so that no proxy closes the stream as idle."""

REVOKED: Final = "This API key was revoked or has expired."

ENDED: Final = "This session has ended, or its API key was revoked or has expired: sign in again."

STOPPING: Final = "fluxrate.stopping"
"""The ASGI extension of our server that is an asyncio.Event, set when it is about to stop."""


class Framing(ABC):
    """How results are framed in a body. `keep_alive` is an empty frame, `end` the last one."""

    content_type: str
    begin: bytes
    keep_alive: bytes
    end: bytes

    @abstractmethod
    def frame(self, payload: bytes, cursor: str | None) -> bytes:
        """Frame a result in JSON; `cursor` is where to resume after it."""


class EventStream(Framing):
    """Server-sent events; the id of each is its cursor. Lines end with LF alone: urql reads no others."""

    content_type = "text/event-stream"
    begin = keep_alive = b":\n\n"
    end = b"event: complete\ndata:\n\n"

    def frame(self, payload: bytes, cursor: str | None) -> bytes:
        id_ = b"" if cursor is None else b"id: %b\n" % cursor.encode()
        return b"event: next\n%bdata: %b\n\n" % (id_, payload)


class Multipart(Framing):
    """Parts of a multipart body. They have no cursors: clients use the `cursor` field of events."""

    content_type = "multipart/mixed; boundary=graphql; subscriptionSpec=1.0"
    begin = b"\r\n--graphql"
    end = b"--\r\n"

    def __init__(self) -> None:
        self.keep_alive = self._part(b"{}")

    def frame(self, payload: bytes, cursor: str | None) -> bytes:  # noqa: ARG002
        return self._part(b'{"payload":%b}' % payload)

    @staticmethod
    def _part(body: bytes) -> bytes:
        return b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n%b\r\n--graphql" % body


EVENT_STREAM: Final = EventStream()
MULTIPART: Final = Multipart()


def framing_of(accept: str) -> Framing | None:
    """Choose the framing that a client accepts; None if it names JSON first, or neither."""
    for entry in accept.split(","):
        media_type, parameters = parse_content_type(entry.strip())
        if media_type == "text/event-stream":
            return EVENT_STREAM
        if media_type == "multipart/mixed" and _is_ours(parameters):
            return MULTIPART
        if media_type in {"application/json", "application/graphql-response+json"}:
            return None
    return None


def _is_ours(parameters: Mapping[str, object]) -> bool:
    version, boundary = (str(parameters.get(name, "")).strip("\"'") for name in ("subscriptionspec", "boundary"))
    return version.startswith("1.") and boundary in {"", "graphql"}


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer. It ends after its results, or when the client leaves, the key is revoked or the server stops.

    If the server stops, or the client stops reading, it ends without a last frame: clients then reconnect.
    """

    framing: Framing
    results: AsyncGenerator[Shown, None]
    operation: Operation
    keys: KeyWatch
    keep_alive_s: float = KEEP_ALIVE_S
    outlives_key: bool = False
    """Whether it goes on if its key is revoked meanwhile: queries and mutations do, subscriptions don't."""
    session: Session | None = None
    """The session that the request came with; the stream ends with it too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        stopping: asyncio.Event | None = (scope.get("extensions") or {}).get(STOPPING)
        loop = asyncio.get_running_loop()
        revoked = asyncio.Event()
        gone = loop.create_task(_disconnection(receive))
        over: set[asyncio.Future[Any]] = {loop.create_task(revoked.wait()), gone}
        if stopping is not None:
            over.add(loop.create_task(stopping.wait()))
        try:
            with self._holding(revoked):
                await send({"type": "http.response.start", "status": 200, "headers": self._headers()})
                async with aclosing(self._frames(over, revoked)) as frames:
                    async for frame in frames:
                        await until_sent(send(_body(frame)))
            if not gone.done():
                await until_sent(send(_body(b"", is_last=True)))
        except (StuckError, GoneError):  # our server closes the connection of a client that stops reading
            pass
        finally:
            for each in over:
                each.cancel()
            await asyncio.wait(over)

    @contextmanager
    def _holding(self, revoked: asyncio.Event) -> Iterator[None]:
        if self.outlives_key:
            yield
            return
        with self.keys.holding(self.operation.caller.api_key.id, revoked.set), ends_with(self.session, revoked.set):
            yield

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", self.framing.content_type.encode()),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),  # for nginx
        ]

    async def _frames(self, over: set[asyncio.Future[Any]], revoked: asyncio.Event) -> AsyncGenerator[bytes, None]:
        framing = self.framing
        yield framing.begin
        async with aclosing(self._shown(over, revoked)) as shown:
            async for each in shown:
                if each is None:
                    yield framing.keep_alive
                    continue
                if each.is_last:
                    yield framing.frame(_ended_by(each.result.errors).payload, None)
                    break
                yield framing.frame(each.payload, cursor_of(self.operation, each.number) if each.number else None)
        if revoked.is_set():
            why = UnauthenticatedError(ENDED if self.session else REVOKED)
            yield framing.frame(self._failure(why).payload, None)
        if revoked.is_set() or not any(each.done() for each in over):
            yield framing.end

    async def _shown(
        self, over: set[asyncio.Future[Any]], revoked: asyncio.Event
    ) -> AsyncGenerator[Shown | None, None]:
        """Yield the results until one of `over` is done, and None after each pause of `keep_alive_s`."""
        step: asyncio.Future[Shown | None] | None = None
        try:
            if not self.outlives_key:
                await self.keys.check([self.operation.caller.api_key.id])  # it may have been revoked before it was held
            while True:
                step = step or asyncio.ensure_future(anext(self.results, None))
                await asyncio.wait({step, *over}, timeout=self.keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
                if revoked.is_set() or any(each.done() for each in over):
                    return
                if not step.done():
                    yield None
                    continue
                shown, step = step.result(), None
                if shown is None:
                    return
                yield shown
        except Exception as error:
            yield self._failure(error)
        finally:
            if step is not None:
                step.cancel()
                await asyncio.wait({step})
            await self.results.aclose()

    def _failure(self, error: Exception) -> Shown:
        return _ended_by([of_exception(error, self.operation.request_id)])


def _ended_by(errors: list[GraphQLError] | None) -> Shown:
    """Make a subscription's last result: without data and cursor, so that nobody takes half an event for a whole."""
    return Shown(0, ExecutionResult(data=None, errors=errors))


async def _disconnection(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(body: bytes, *, is_last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not is_last}
