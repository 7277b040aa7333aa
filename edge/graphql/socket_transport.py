"""How texts come and go over a socket: bounded in size and number, and by a short way for what many are sent."""

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
"""What a close frame holds. Source: RFC 6455, section 5.5."""

MESSAGE_BYTES: Final = Limit("messageBytes", MAX_REQUEST_BYTES, "A message has at most {maximum} bytes.")
MESSAGES: Final = Limit("messagesPerSecond", 50, "More than {maximum} messages a second, 200 at once: send fewer.")
MAX_MESSAGES_AT_ONCE: Final = 200


class Texts(Protocol):
    """The ASGI extension "fluxrate.texts" of our server, by which texts are written without a message each."""

    def in_use(self) -> None:
        """Say that its client is known; until then the socket makes room for others when connections are short."""

    def head(self, size: int) -> bytes:
        """The header of a text frame of this many bytes."""

    def write(self, frames: bytes) -> bool:
        """Write at once; False when it would have to wait."""

    def write_in_time(self, frames: bytes) -> Coroutine[Any, Any, None]:
        """Write as soon as possible."""


class Socket(WebSocket):
    """A WebSocket with a short way for what many are sent.

    `send_raw` is the server's own, without a look at every message.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.send_raw = send
        self.texts: Texts | None = (scope.get("extensions") or {}).get("fluxrate.texts")

    async def send_all(self, texts: Iterable[bytes]) -> None:
        """Send texts in UTF-8 to any server, a message each."""
        for text in texts:
            await self.send_raw({"type": "websocket.send", "text": text.decode()})


class SocketAdapter(ASGIWebSocketAdapter):
    """Sends text frames; raises instead of sending after a disconnect."""

    ws: Socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tokens = _Bucket(MAX_MESSAGES_AT_ONCE, MESSAGES.maximum)

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """What the client sends, until it leaves."""
        while self.ws.application_state is not WebSocketState.DISCONNECTED:
            frame = await self.ws.receive()
            if frame["type"] == "websocket.disconnect":
                return
            text = frame.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text) > MESSAGE_BYTES.maximum:  # uvicorn, where it serves, counted the bytes
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
    """Tokens that come back at a steady rate; who takes one more than there are is too fast."""

    def __init__(self, size: int, per_second: int) -> None:
        self._size, self._per_second = size, per_second
        self._tokens, self._at = float(size), _now()

    def take(self) -> bool:
        """Whether there was one to take."""
        at = _now()
        self._tokens = min(self._size, self._tokens + (at - self._at) * self._per_second)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
