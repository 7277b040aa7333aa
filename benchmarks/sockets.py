"""Opens many WebSockets in one process at little cost to it: frames are counted, not parsed."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

_PING: Final = 0x9
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_MASKED: Final = 0x80
_SHORT: Final = 126
_LONG: Final = 127
_AT_ONCE: Final = 50


class Crowd:
    """Subscribers to one server. `arrived` counts the text frames since their sockets were opened."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._members: list[_Subscriber] = []
        self._awaited = 0
        self._enough: asyncio.Future[float] | None = None
        self._arrivals: list[float] = []
        self._each = 0
        self._noted = 0
        self.arrived = 0

    async def join(self, opening: Sequence[Sequence[dict[str, Any]]], headers: str = "") -> None:
        """Open a socket for each sequence of messages and send them; the next message waits for the server's answer."""
        for start in range(0, len(opening), _AT_ONCE):
            members = [_Subscriber(messages, headers, self._count) for messages in opening[start : start + _AT_ONCE]]
            loop = asyncio.get_running_loop()
            await asyncio.gather(
                *(loop.create_connection(lambda m=member: m, "127.0.0.1", self._port) for member in members)  # type: ignore[misc]
            )
            await asyncio.gather(*(member.opened for member in members))
            self._members += members

    def expect(self, frames: int) -> "asyncio.Future[float]":
        """Return a future of the time at which this many more frames have arrived."""
        self._awaited = self.arrived + frames
        self._enough = asyncio.get_running_loop().create_future()
        return self._enough

    def note_arrivals(self, each: int) -> list[float]:
        """Return a list that gets the time of every `each`-th frame from now on: when the last socket has an event."""
        self._arrivals, self._each, self._noted = [], each, self.arrived
        return self._arrivals

    def leave(self) -> None:
        """Disconnect all."""
        for member in self._members:
            member.hang_up()

    @property
    def received(self) -> list[int]:
        """Return how many frames each socket has received."""
        return [member.frames for member in self._members]

    def _count(self, frames: int) -> None:
        self.arrived += frames
        while self._each and self.arrived - self._noted >= self._each:
            self._noted += self._each
            self._arrivals.append(time.perf_counter())
        if self.arrived >= self._awaited and self._enough is not None and not self._enough.done():
            self._enough.set_result(time.perf_counter())


class _Subscriber(asyncio.Protocol):
    def __init__(self, messages: Sequence[dict[str, Any]], headers: str, count: Callable[[int], None]) -> None:
        self._messages = list(messages)
        self._headers = headers
        self._count = count
        self._buffer = b""
        self._upgraded = False
        self.frames = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            (
                "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n{self._headers}\r\n"
            ).encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("hung up before it was opened"))

    def data_received(self, chunk: bytes) -> None:
        self._buffer += chunk
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.opened.set_exception(ConnectionError(head.decode()))
                return
            self._upgraded, self._buffer = True, rest
            self._send_next()
        self._read()

    def _read(self) -> None:
        buffer, at, texts = self._buffer, 0, 0
        while len(buffer) - at >= 2:
            length, head = buffer[at + 1] & 0x7F, 2
            if length == _SHORT:
                length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif length == _LONG:
                length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + length:
                break
            opcode = buffer[at] & 0x0F
            if opcode == _PING:
                self._frame(0xA, buffer[at + head : at + head + length])
            elif opcode == _TEXT and self.opened.done():
                texts += 1
            elif opcode == _TEXT:
                self._send_next()
            elif opcode == _CLOSE and not self.opened.done():
                self.opened.set_exception(ConnectionError(repr(buffer[at + head : at + head + length])))
            at += head + length
        self._buffer = buffer[at:]
        if texts:
            self.frames += texts
            self._count(texts)

    def _send_next(self) -> None:
        """Send the next message; after the last one the socket counts as open."""
        if self._messages:
            self._frame(_TEXT, json.dumps(self._messages.pop(0)).encode())
        if not self._messages:
            self.opened.set_result(None)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if len(payload) < _SHORT:
            head = bytes([_MASKED | opcode, _MASKED | len(payload)])
        else:
            head = bytes([_MASKED | opcode, _MASKED | _SHORT]) + len(payload).to_bytes(2, "big")
        self._transport.write(head + bytes(4) + payload)  # masked with zeros

    def hang_up(self) -> None:
        """Close the connection at once."""
        self._transport.abort()
