"""What goes out at once: an answer of known length in one piece, the head of any other before its body is there."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from edge.server.http import BoundedProtocol

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LENGTH: Final = (b"content-length", b"4")


class Wire(asyncio.Transport):
    """A connection that keeps each piece as it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Keep a piece; none comes after the end."""
        assert not self.is_closed
        self.pieces.append(bytes(data))

    def close(self) -> None:
        """End it."""
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.is_closed

    def can_write_eof(self) -> bool:
        """It ends in both directions at once."""
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """Hear nothing for a while."""

    def resume_reading(self) -> None:
        """Hear again."""


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """As the path says."""
    await receive()
    headers = [] if scope["path"] == "/endless" else [LENGTH]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/endless":
        await asyncio.Event().wait()
    if scope["path"] == "/broken":
        raise RuntimeError("hush")
    if scope["path"] == "/parts":
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"cd"})
    else:
        await send({"type": "http.response.body", "body": b"abcd"})


@pytest.fixture
def wire() -> Wire:
    """A new connection."""
    return Wire()


@pytest.fixture
async def hear(wire: Wire) -> Callable[[bytes], Any]:
    """What lets the server hear something, and do what can be done about it."""
    config = uvicorn.Config(answer, http=BoundedProtocol, lifespan="off", log_level="critical")
    config.load()
    protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(wire)

    async def heard(data: bytes) -> None:
        protocol.data_received(data)
        for _ in range(10):
            await asyncio.sleep(0)

    return heard


def ask(path: str, method: str = "GET", *fields: str) -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


async def test_an_answer_of_known_length_goes_out_in_one_piece(wire: Wire, hear: Callable[[bytes], Any]) -> None:
    for _ in range(2):
        await hear(ask("/"))

    assert [piece.partition(b"\r\n\r\n")[2] for piece in wire.pieces] == [b"abcd", b"abcd"]
    assert all(piece.startswith(b"HTTP/1.1 200 OK\r\n") for piece in wire.pieces)
    assert not wire.is_closed


async def test_answers_to_what_is_asked_at_once_go_out_in_order(wire: Wire, hear: Callable[[bytes], Any]) -> None:
    await hear(ask("/") + ask("/parts") + ask("/", "HEAD") + ask("/"))

    assert [piece.rpartition(b"\r\n\r\n")[2] for piece in wire.pieces] == [b"abcd", b"ab", b"cd", b"", b"abcd"]


async def test_a_head_without_a_length_does_not_wait(wire: Wire, hear: Callable[[bytes], Any]) -> None:
    await hear(ask("/endless"))

    (head,) = wire.pieces
    assert head.endswith(b"\r\n\r\n")


async def test_who_waits_to_be_let_go_on_is_told_at_once(wire: Wire, hear: Callable[[bytes], Any]) -> None:
    await hear(ask("/", "POST", "Content-Length: 2", "Expect: 100-continue"))
    assert wire.pieces == [CONTINUE]

    await hear(b"xy")

    assert [piece[-4:] for piece in wire.pieces[1:]] == [b"abcd"]


@pytest.mark.parametrize("path", ["/", "/broken"])
async def test_what_was_written_goes_out_before_the_end(wire: Wire, hear: Callable[[bytes], Any], path: str) -> None:
    await hear(ask(path, "GET", "Connection: close"))

    assert wire.pieces[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.is_closed
