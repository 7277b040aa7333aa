"""uvicorn's WebSockets with limits on fragments, on unread data, and on the time that closing takes."""

import asyncio
from typing import Any, Final

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from edge.server.connections import connections_of

MAX_WEBSOCKET_FRAGMENTS: Final = 1024
MAX_UNREAD_BYTES: Final = 4 * 1024 * 1024
CLOSE_S: Final = 10.0

_WHOLE_TEXT: Final = 0x81
_TWO_BYTES_OF_SIZE: Final = 126
_EIGHT_BYTES_OF_SIZE: Final = 127
_UNREADABLE_HANDSHAKE: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that closes even if the client reads nothing.

    uvicorn's waits until its buffer is sent, which never happens if the client doesn't read. The application reaches
    this protocol by the ASGI extension "fluxrate.texts": `write`, with frames that the application made, takes a third
    of the time of `send`.
    """

    _last_timer: asyncio.TimerHandle | None = None
    _is_paused = False

    def __init__(self, config: uvicorn.Config, server_state: ServerState, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, server_state, *args, **kwargs)
        self._kept = connections_of(config, server_state)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._kept.keep(self, self.client[0] if self.client else "")

    def pause_writing(self) -> None:
        self._is_paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._is_paused = False
        super().resume_writing()

    def drop(self) -> bool:
        """Close it at once."""
        self.transport.abort()
        return True

    def in_use(self) -> None:
        """Mark it as in use, once its client has sent a valid key."""
        self._kept.busy(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.forget(self)
        if self._last_timer is not None:
            self._last_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.close_sent and not self.transport.is_closing():
            self.transport.write(_UNREADABLE_HANDSHAKE)  # uvicorn would answer nothing and wait
            self.transport.close()

    def send_keepalive_ping(self) -> None:
        if self.close_sent or self.transport.is_closing():
            self.transport.abort()
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close without a close frame: the client is gone, and after code 1011 clients would not reconnect."""
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
        """Send the reason, then discard what still arrives: to close at once would discard the reason too."""
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
        """Make the header of a text frame of this many bytes. Source: RFC 6455, 5.2."""
        if size < _TWO_BYTES_OF_SIZE:
            return bytes((_WHOLE_TEXT, size))
        if size < 1 << 16:
            return bytes((_WHOLE_TEXT, _TWO_BYTES_OF_SIZE, size >> 8, size & 0xFF))
        return bytes((_WHOLE_TEXT, _EIGHT_BYTES_OF_SIZE)) + size.to_bytes(8, "big")

    def write(self, frames: bytes) -> bool:
        """Send frames at once; False if the client has not read the earlier ones yet.

        Raises:
            OSError: The client has gone.
        """
        if self.disconnected or self.close_sent:
            raise ClientDisconnected
        if self._is_paused:
            return False
        self.transport.write(frames)
        return True

    async def write_in_time(self, frames: bytes) -> None:
        """Send frames once the client has read the earlier ones.

        Raises:
            OSError: The client has gone.
        """
        while not self.write(frames):
            await self.writable.wait()

    async def run_asgi(self) -> None:
        self.scope["extensions"]["fluxrate.texts"] = self  # type: ignore[assignment]
        await super().run_asgi()
        self._kept.idle(self)
        if not self.disconnected:
            self._last_timer = self.loop.call_later(CLOSE_S, self.transport.abort)
