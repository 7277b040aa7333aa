"""What an answer writes to, in place of the connection's transport."""

import asyncio
from collections.abc import Callable
from typing import Final

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length: "


class AnswerTransport:
    """The transport that an answer writes to: it writes at once, and closes only after the client has stopped sending.

    The head of an answer with a content-length waits for the body: one segment costs half of what two do.
    """

    __slots__ = ("_close", "_head", "_is_begun", "_write_open", "is_closing")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._write_open, self.is_closing, self._close = transport.write, transport.is_closing, close
        self._head = b""
        self._is_begun = False

    def write(self, data: bytes) -> None:
        if self._head:
            self._write(self._head + data)
            self._head = b""
        elif not self._is_begun and _LENGTH in data:
            self._head, self._is_begun = data, True
        else:
            self._is_begun = self._is_begun or data != _CONTINUE
            self._write(data)

    def close(self) -> None:
        self._flush()
        self._close()

    def end_answer(self) -> None:
        """Write what is left of an answer, and expect the head of the next one."""
        self._flush()
        self._is_begun = False

    def _flush(self) -> None:
        if self._head:
            self._write(self._head)
            self._head = b""

    def _write(self, data: bytes) -> None:
        """Write, unless the client has gone: uvloop raises then, and uvicorn notices it only for the newest request."""
        if not self.is_closing():
            self._write_open(data)
