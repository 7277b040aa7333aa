"""uvicorn, set up once: bounded heads, no version header, and what is in flight is answered before it stops."""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors import Multiprocess
from websockets.frames import Frame

from models.errors import ConfigurationError

GRACE_S: Final = 10
KEEP_ALIVE_S: Final = 75
"""Longer than the idle timeout of usual load balancers, so that it is they who hang up."""

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_TIMEOUT_S: Final = 10.0
MAX_WEBSOCKET_MESSAGE_BYTES: Final = 1024 * 1024
MAX_WEBSOCKET_FRAGMENTS: Final = 1024
MAX_UNREAD_BYTES: Final = 4 * 1024 * 1024
DRAIN_S: Final = 10.0
MAX_DRAINED_BYTES: Final = 64 * 1024 * 1024
"""How long and how much a client may go on sending that was answered before its end."""

UNREAD_S: Final = 30.0
"""How long a client of HTTP may read nothing of what was sent to it."""

PING_S: Final = 20.0
"""How often an open WebSocket is pinged, and how long its answer may take."""

_WHOLE_TEXT: Final = 0x81
_TWO_BYTES_OF_SIZE: Final = 126
_EIGHT_BYTES_OF_SIZE: Final = 127

CLOSE_S: Final = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose heads are bounded in size and time, and who reads no answers is let go; uvicorn's is not so.

    Who is answered while it still sends is read on for a while: the kernel takes back an answer that was not read yet
    when a connection is closed on unread bytes.

    Answers that go on for ever are given the ASGI extension "fluxrate.stopping", an asyncio.Event.
    """

    unread_s = UNREAD_S
    drain_s = DRAIN_S

    _drained: int | None = None
    _unread = 0
    _in_body = False
    _timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._stopping = asyncio.Event()
        self._extensions = {"fluxrate.stopping": self._stopping}
        self._gentle = _GentleTransport(transport, self.close_gently)
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

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
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_unread_timer()

    def _start_unread_timer(self) -> None:
        if self._unread_timer is None:
            waiting = self.transport.get_write_buffer_size()
            self._unread_timer = self.loop.call_later(self.unread_s, self._let_go_unless_read, waiting)

    def _let_go_unless_read(self, waiting: int) -> None:
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
        if self._in_body and self._is_answered():  # nobody reads the rest
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
        """Answer what is no request."""
        self.transport.write(_REFUSAL % (status, len(reason), reason.encode("ascii")))
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._begin_to_drain()
        else:  # the answer to a request before it would still be written
            self.transport.close()

    def close_gently(self) -> None:
        """Close, as soon as the client has stopped to send."""
        if self._in_body and not self.transport.is_closing():
            self._begin_to_drain()
        else:
            self.transport.close()

    def _begin_to_drain(self) -> None:
        """Say that this was all, and drop what still comes until the client has closed too."""
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
        if self.scope["method"] == "GET":
            super().handle_websocket_upgrade()
        else:
            self.send_400_response("A WebSocket begins with GET.")

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._stop_timer()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # it is not, for a WebSocket
            self.cycle.transport = self._gentle  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._unread = 0
        self._in_body = False
        self._stop_timer()
        super().on_message_complete()

    def shutdown(self) -> None:
        super().shutdown()
        self._stopping.set()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _GentleTransport:
    """A transport as an answer sees it: what is written goes straight out, and closing waits for the client."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, close


_REFUSAL: Final = (
    b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)

_UNREADABLE_HANDSHAKE: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """WebSockets that end, whether or not the other side reads what is left to say to it.

    uvicorn's own wait until their buffer has gone out, which for a peer that doesn't read is never. The application
    finds this protocol as the ASGI extension "fluxrate.texts": to `write` what it framed itself takes a third of what
    `send` does.
    """

    _last_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._last_timer is not None:
            self._last_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.close_sent and not self.transport.is_closing():
            self.transport.write(_UNREADABLE_HANDSHAKE)  # uvicorn's own says nothing and waits
            self.transport.close()

    def send_keepalive_ping(self) -> None:
        if self.close_sent or self.transport.is_closing():
            self.transport.abort()
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Hang up without a close frame: nobody listens, and after code 1011 clients would not come back."""
        self.transport.abort()

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MAX_WEBSOCKET_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1009, f"A message has at most {MAX_WEBSOCKET_FRAGMENTS} fragments.")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Say why it ends, and drop what still comes: hanging up on it would take our words away too."""
        if self.close_sent or (sent := self.conn.close_sent) is None:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.close_timer = self.loop.call_later(CLOSE_S, self.transport.abort)
        else:
            self.transport.close()

    @staticmethod
    def head(size: int) -> bytes:
        """What stands before a text of so many bytes. Source: RFC 6455, 5.2."""
        if size < _TWO_BYTES_OF_SIZE:
            return bytes((_WHOLE_TEXT, size))
        if size < 1 << 16:
            return bytes((_WHOLE_TEXT, _TWO_BYTES_OF_SIZE, size >> 8, size & 0xFF))
        return bytes((_WHOLE_TEXT, _EIGHT_BYTES_OF_SIZE)) + size.to_bytes(8, "big")

    def write(self, frames: bytes) -> bool:
        """Send frames at once; False when they would have to wait, as what was written before is not read yet.

        Raises:
            OSError: The client has gone.
        """
        if self.disconnected or self.close_sent:
            raise ClientDisconnected
        if not self.writable.is_set():
            return False
        self.transport.write(frames)
        return True

    async def write_in_time(self, frames: bytes) -> None:
        """Send frames as soon as what was written before is read.

        Raises:
            OSError: The client has gone.
        """
        while not self.write(frames):
            await self.writable.wait()

    async def run_asgi(self) -> None:
        self.scope["extensions"]["fluxrate.texts"] = self  # type: ignore[assignment]
        await super().run_asgi()
        if not self.disconnected:
            self._last_timer = self.loop.call_later(CLOSE_S, self.transport.abort)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address of this machine; port 0 takes any that is free.

    Raises:
        ConfigurationError: It can't be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # whoever comes before the application has started waits
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {host} port {port} ({error.strerror}): stop what uses it or choose another --port, or"
            " --host."
        ) from None
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """Where this machine reaches a bound socket."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    factory: str | Callable[[], ASGIApp],
    bound: socket.socket,
    *,
    workers: int = 1,
    ping_s: float = PING_S,
) -> None:
    """Serve until told to stop. Several workers are processes of their own and need the factory's import string."""
    config = uvicorn.Config(
        factory,
        factory=True,
        workers=workers,
        http=BoundedProtocol,
        ws=BoundedWebSocket,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # edge/forwarded.py reads them: uvicorn takes any text for an address
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ws_max_size=MAX_WEBSOCKET_MESSAGE_BYTES,
        ws_ping_interval=ping_s,
        ws_ping_timeout=ping_s,
        ws_per_message_deflate=False,  # it would compress the same bytes anew for every subscriber
    )
    if workers == 1:
        server = uvicorn.Server(config)
        server.run(sockets=[bound])
        started = server.started
    else:
        supervisor = Multiprocess(config, sockets=[bound])
        supervisor.run()
        started = not any(process.exitcode == uvicorn.config.STARTUP_FAILURE for process in supervisor.processes)
    if not started:
        sys.exit(1)
