"""Posts that are answered by a callback once their body is whole: without a task and the messages of ASGI."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from edge.server.http import BoundedProtocol

Header = tuple[bytes, bytes]
Answer = Callable[..., None]
"""Sends the answer: its status, a tuple of headers with the content-length, its body, and further single headers."""

Take = Callable[[Scope, str, bytes, Answer], bool]
"""Takes a request, given what is known of its scope, the end of its path and its body, and answers later. False: it did
nothing, and the request goes its usual way.
"""


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """The posts whose path begins with `prefix`. The server reads it from the application's attribute `direct`."""

    prefix: bytes
    take: Take


class DirectCycle:
    """Stands for a request that was taken, where uvicorn's protocol expects its RequestResponseCycle.

    So a request that is sent before the answer waits its turn, and a server that stops waits for the answer.
    """

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")

    message_event: Final = asyncio.Event()
    """uvicorn sets it when the client has gone; nobody waits for it."""

    def __init__(self, protocol: "BoundedProtocol", *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def answer(self, status: int, headers: Sequence[Header], body: bytes, *more: Header) -> None:
        """Send the answer, in one piece."""
        protocol = self._protocol
        transport = protocol.transport
        self.response_complete = True
        if self.disconnected or transport.is_closing():
            return
        lines = [_head(status, tuple(headers))]
        for name, value in (*protocol.server_state.default_headers, *more):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        transport.write(b"".join((*lines, body)))
        if not self.keep_alive:
            protocol.close_after_client()
        protocol.on_response_complete()


@cache
def _head(status: int, headers: tuple[Header, ...]) -> bytes:
    return b"".join((STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)))
