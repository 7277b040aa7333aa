"""uvicorn's HTTP/1.1 with limits on heads, on unread answers, and on clients that never stop sending."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from edge.server.answer_transport import AnswerTransport
from edge.server.connections import admission_of, connections_of
from edge.server.direct import DirectCycle, DirectRoute

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_TIMEOUT_S: Final = 10.0
DRAIN_S: Final = 10.0
MAX_DRAINED_BYTES: Final = 64 * 1024 * 1024
"""How long, and how much, a client may go on sending after it was answered early."""

WHOLE_WITHIN_S: Final = 1.0
MAX_TAKEN_BYTES: Final = 64 * 1024
"""How long a post that may be taken waits for its body, and how long that body may be."""

_MAX_TAKEN_URL: Final = 1024
"""How long its URL may be: uvicorn raises for a very long one, which must happen while the head is parsed."""

UNREAD_S: Final = 30.0
"""How long a client may leave sent data unread."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits on a head's size and time, which drops clients that don't read. uvicorn's has neither.

    If a client is answered while it still sends, its data is read for a while longer: to close a connection with unread
    data makes the kernel discard an answer that the client has not read yet.

    A post that the application's DirectRoute takes gets no ASGI task. It is offered when its body is whole; if that
    takes longer than WHOLE_WITHIN_S, the application reads the body itself.

    The ASGI extension "fluxrate.stopping", an asyncio.Event, is set when the server stops, for answers without an end.
    """

    unread_s = UNREAD_S
    drain_s = DRAIN_S

    _was_short = False
    _is_refused = False
    _drained: int | None = None
    _unread = 0
    _in_body = False
    _timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _waiting: list[bytes] | None = None
    """The body so far of a request that may be taken."""

    _waiting_timer: asyncio.TimerHandle | None = None

    def __init__(self, config: uvicorn.Config, server_state: ServerState, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, server_state, *args, **kwargs)
        self._kept = connections_of(config, server_state)
        self._direct: DirectRoute | None = getattr(config.loaded_app, "direct", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._kept.admit(self, self.client[0] if self.client else ""):
            transport.abort()
        self._was_short = self._kept.is_short(self)
        self._stopping = asyncio.Event()
        self._extensions = {"fluxrate.stopping": self._stopping}
        self._answer_transport = AnswerTransport(transport, self.close_after_client)
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        self._kept.forget(self)
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def drop(self) -> bool:
        """Close the connection unless an answer is still being sent."""
        is_quiet = not self.transport.get_write_buffer_size()
        if is_quiet:
            self.transport.abort()
        return is_quiet

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._start_unread_timer()

    def on_response_complete(self) -> None:
        self._answer_transport.end_answer()
        super().on_response_complete()
        if self._is_answered():
            self._kept.idle(self)
        if self.transport.is_closing():
            self._start_unread_timer()

    def _start_unread_timer(self) -> None:
        if self._unread_timer is None:
            waiting = self.transport.get_write_buffer_size()
            self._unread_timer = self.loop.call_later(self.unread_s, self._abort_unless_read, waiting)

    def _abort_unless_read(self, waiting: int) -> None:
        self._unread_timer = None
        if self.transport.get_write_buffer_size() < waiting:
            self._start_unread_timer()
        else:
            self.transport.abort()

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def data_received(self, data: bytes) -> None:
        if self._drained is not None:
            self._drain(data)
            return
        self._unread += len(data)
        super().data_received(data)
        if self._waiting is not None and self._waiting_timer is None:
            self._waiting_timer = self.loop.call_later(WHOLE_WITHIN_S, self._wait_no_longer)
        if self._in_body and self._waiting is None and self._is_answered():  # nobody reads the rest
            if self._unread > MAX_DRAINED_BYTES:
                self.transport.abort()
            elif self._timer is None:
                self._timer = self.loop.call_later(self.drain_s, self.transport.abort)
        if not self._unread or self._in_body or self.transport.is_closing() or self._drained is not None:
            return
        if self._unread > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", f"A head has at most {MAX_HEAD_BYTES} bytes.")
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        self._refuse(b"400 Bad Request", msg)

    def _refuse(self, status: bytes, reason: str) -> None:
        """Answer data that is not a valid request, and close."""
        self.transport.write(_REFUSAL % (status, len(reason), reason.encode("ascii")))
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._start_draining()
        else:  # an earlier request is not answered yet, and its answer would follow
            self.transport.close()

    def close_after_client(self) -> None:
        """Close once the client has stopped sending."""
        if self._in_body and not self.transport.is_closing():
            self._start_draining()
        else:
            self.transport.close()

    def _start_draining(self) -> None:
        """Close our side, and discard what still arrives until the client closes its own."""
        self._drained = 0
        self._stop_timer()
        self._timer = self.loop.call_later(self.drain_s, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _drain(self, data: bytes) -> None:
        self._drained = (self._drained or 0) + len(data)
        if self._drained > MAX_DRAINED_BYTES:
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        if self.scope["method"] != "GET":
            self.send_400_response("A WebSocket begins with GET.")
        elif self._is_refused:
            self._refuse(b"503 Service Unavailable", _FULL)
        else:
            self._kept.forget(self)
            super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._stop_timer()
        self._kept.busy(self)
        if self._may_be_taken():
            self._waiting = []
        else:
            self._begin()

    def _begin(self) -> None:
        """Give a request to the application by ASGI."""
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        before = self.cycle
        self._is_refused = self._is_to_be_refused()
        self.app = _unavailable if self._is_refused else self.config.loaded_app
        super().on_headers_complete()
        if self.cycle is not before:  # a WebSocket gets none
            self.cycle.transport = self._answer_transport  # type: ignore[assignment]

    # --- Posts that may be taken ---

    def _may_be_taken(self) -> bool:
        """Whether a post whose head was read goes to the direct route, and nothing is to be answered before it."""
        direct = self._direct
        cycle: RequestResponseCycle | None = self.cycle
        return (
            direct is not None
            and self.url.startswith(direct.prefix)
            and len(self.url) <= _MAX_TAKEN_URL
            and (cycle is None or cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and not self._was_short
            and not self.flow.write_paused
            and _has_short_body(self.headers)
        )

    def _offer(self, body: list[bytes]) -> bool:
        """Offer a whole post to the direct route; return whether it was taken."""
        assert self._direct is not None  # noqa: S101  (or it would not have waited)
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle = DirectCycle(self, keep_alive=keep_alive)
        end = self.url[len(self._direct.prefix) :].decode("latin-1")
        if not self._direct.take(cast("Scope", self.scope), end, b"".join(body), cycle.answer):
            return False
        self.cycle = cast("RequestResponseCycle", cycle)
        return True

    def _wait_no_longer(self) -> None:
        """Have the application read the body of a post that waits."""
        waiting = self._end_waiting()
        if waiting is None:
            return
        self._begin()
        for chunk in waiting:
            super().on_body(chunk)

    def _end_waiting(self) -> list[bytes] | None:
        waiting, self._waiting = self._waiting, None
        if self._waiting_timer is not None:
            self._waiting_timer.cancel()
            self._waiting_timer = None
        return waiting

    def on_body(self, body: bytes) -> None:
        if self._waiting is None:
            super().on_body(body)
        else:
            self._waiting.append(body)

    def _is_to_be_refused(self) -> bool:
        """Whether connections were short when this one came, still are, and its request is not urgent."""
        if not self._was_short:
            return False
        self._was_short = self._kept.is_short(self)
        if not self._was_short or self.url.startswith(admission_of(self.config).reserved_paths):
            return False
        self._kept.note("refused")
        return True

    def on_message_complete(self) -> None:
        self._unread = 0
        self._in_body = False
        self._stop_timer()
        if self._waiting is not None:
            if self._offer(self._waiting):
                self._end_waiting()
                return
            self._wait_no_longer()
        super().on_message_complete()

    def shutdown(self) -> None:
        self._wait_no_longer()  # else there would be nothing to wait for before the connection is closed
        super().shutdown()
        self._stopping.set()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_MAX_DIGITS: Final = len(str(MAX_TAKEN_BYTES))


def _has_short_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-length":
            return value.isdigit() and len(value) <= _MAX_DIGITS and int(value) <= MAX_TAKEN_BYTES
    return False


_FULL: Final = "The server has as many connections as it can keep: try again in a few seconds."


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"connection": "close", "retry-after": "5"}
    await JSONResponse({"error": _FULL}, 503, headers)(scope, receive, send)


_REFUSAL: Final = (
    b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)
