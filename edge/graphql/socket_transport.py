"""Reads and writes a socket's text frames: limits size and rate, and writes shared payloads without ASGI messages."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected

from edge.size import MAX_REQUEST_BYTES
from execution.limits import Limit

_MAX_REASON_BYTES: Final = 123
"""The most that a close frame holds. Source: RFC 6455, section 5.5."""

MESSAGE_BYTES: Final = Limit("messageBytes", MAX_REQUEST_BYTES, "A message has at most {maximum} bytes.")
MESSAGES: Final = Limit("messagesPerSecond", 50, "More than {maximum} messages a second, 200 at once: send fewer.")
MAX_MESSAGES_AT_ONCE: Final = 200


class Texts(Protocol):
    """The ASGI extension "fluxrate.texts" of our server, which writes frames without an ASGI message for each."""

    def in_use(self) -> None:
        """Mark the socket as in use; until then it is closed first when connections are short."""

    def head(self, size: int) -> bytes:
        """Make the header of a text frame of this many bytes."""

    def write(self, frames: bytes) -> bool:
        """Write at once; False if the client has not read the earlier frames yet."""

    def write_in_time(self, frames: bytes) -> Coroutine[Any, Any, None]:
        """Write once the client has read the earlier frames."""


class Socket(WebSocket):
    """A WebSocket that can send shared payloads at little cost.

    `send_raw` is the server's `send`, without Starlette's checks of every message.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.send_raw = send
        self.texts: Texts | None = (scope.get("extensions") or {}).get("fluxrate.texts")

    async def send_all(self, texts: Iterable[bytes]) -> None:
        """Send texts in UTF-8 by ASGI messages, which every server understands."""
        for text in texts:
            await self.send_raw({"type": "websocket.send", "text": text.decode()})


class SocketAdapter(ASGIWebSocketAdapter):
    """Sends text frames; raises instead of sending after a disconnect."""

    ws: Socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tokens = _Bucket(MAX_MESSAGES_AT_ONCE, MESSAGES.maximum)

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """Yield the client's messages until it disconnects."""
        while self.ws.application_state is not WebSocketState.DISCONNECTED:
            frame = await self.ws.receive()
            if frame["type"] == "websocket.disconnect":
                return
            text = frame.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text) > MESSAGE_BYTES.maximum:  # for other servers; uvicorn limits the bytes
                await self.close(1009, MESSAGE_BYTES.message)
                return
            if not self._tokens.take():
                await self.close(1013, MESSAGES.message)
                return
            try:
                yield orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise NonJsonMessageReceived from error

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self.send_text(orjson.dumps(message).decode())

    async def send_text(self, text: str) -> None:
        """Send a frame.

        Raises:
            WebSocketDisconnected: The client is gone.
        """
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send_raw({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            await self.ws.close(code=code, reason=reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))


class _Bucket:
    """A token bucket: one token per message, refilled at a steady rate."""

    def __init__(self, size: int, per_second: int) -> None:
        self._size, self._per_second = size, per_second
        self._tokens, self._at = float(size), _now()

    def take(self) -> bool:
        """Take a token; False if none is left."""
        at = _now()
        self._tokens = min(self._size, self._tokens + (at - self._at) * self._per_second)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
