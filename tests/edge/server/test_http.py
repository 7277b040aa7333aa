"""Who is answered before they have sent all reads that answer, whoever they are, and is not read for ever."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from edge.server import listen
from edge.server.http import MAX_DRAINED_BYTES, BoundedProtocol
from tests.edge.server.served import Served
from tests.world.seed import WEBHOOK_SECRET
from tests.world.stripe_payloads import signed_headers

LARGE: Final = 10 * 1024 * 1024
AS_NGINX: Final = "HTTP/1.0\r\nConnection: close"
"""How nginx asks unless it is told otherwise."""


def connected(url: str) -> socket.socket:
    """A connection of its own."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=30)


def head_of(path: str, version: str, length: int, **headers: str) -> bytes:
    """The head of a post; the version may bring a header along."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    first = [f"POST {path} {version}", "Host: x", f"Content-Length: {length}", "Content-Type: application/json"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def read_to_its_end(connection: socket.socket) -> bytes:
    """All that is answered; fails where the connection is reset."""
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


def sent_whole(url: str, head: bytes, size: int) -> bytes:
    """What is answered to a client that reads only once it has sent all."""
    with connected(url) as connection:
        connection.sendall(head)
        for _ in range(size // 65536):
            connection.sendall(b" " * 65536)
            time.sleep(0.001)  # the answer is there long before the end, and must wait
        connection.shutdown(socket.SHUT_WR)
        return read_to_its_end(connection)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.1\r\nConnection: close", AS_NGINX])
def test_a_webhook_that_is_too_large_is_answered_413_after_its_last_byte(served: Served, version: str) -> None:
    signature = signed_headers(b"", WEBHOOK_SECRET)

    answer = sent_whole(served.url, head_of(served.webhook_path, version, LARGE, **signature), LARGE)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"error":"too large"}')


@pytest.mark.parametrize("version", ["HTTP/1.1\r\nConnection: close", AS_NGINX])
def test_a_request_that_is_too_large_is_answered_413_after_its_last_byte(served: Served, version: str) -> None:
    head = head_of("/graphql", version, LARGE, Authorization=f"Bearer {served.key}")

    answer = sent_whole(served.url, head, LARGE)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


@pytest.mark.parametrize(("path", "status"), [("/webhooks/stripe/unknown", 404), ("/graphql", 401), ("/nowhere", 404)])
def test_whatever_is_answered_early_arrives(served: Served, path: str, status: int) -> None:
    answer = sent_whole(served.url, head_of(path, AS_NGINX, LARGE), LARGE)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_who_drips_is_answered_408_and_may_go_on_dripping(served: Served) -> None:
    """For a while: the answer is read seconds after it was sent. Webhooks and queries, at once."""
    with connected(served.url) as webhook, connected(served.url) as query:
        for connection, path in ((webhook, served.webhook_path), (query, "/graphql")):
            connection.sendall(head_of(path, AS_NGINX, 1000, Authorization=f"Bearer {served.key}"))
        for _ in range(36):
            webhook.sendall(b" ")
            query.sendall(b" ")
            time.sleep(0.5)
        answers = [read_to_its_end(connection) for connection in (webhook, query)]

    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 408 "] * 2


def test_a_head_that_is_too_large_is_answered_431_after_its_last_byte(served: Served) -> None:
    with connected(served.url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        for number in range(1000):
            connection.sendall(f"X-{number}: {'x' * 1000}\r\n".encode())
        connection.sendall(b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = read_to_its_end(connection)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"at most 65536 bytes" in answer


# --- Within bounds -----------------------------------------------------------------------------------------------


class Impatient(BoundedProtocol):
    """What serves, with less patience."""

    drain_s = 0.5


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers without reading."""
    assert scope["type"] == "http"
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body"})


@pytest.fixture
def impatient_url() -> Iterator[str]:
    """A server that refuses all, in a thread of its own."""
    bound = listen.bind("127.0.0.1", 0)
    options: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False}
    uvicorn_ = uvicorn.Server(uvicorn.Config(refusing, http=Impatient, **options))
    thread = threading.Thread(target=uvicorn_.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield listen.url_of(bound)
    uvicorn_.should_exit = True
    thread.join(20)
    bound.close()


def test_who_never_stops_to_send_is_hung_up_on(impatient_url: str) -> None:
    with connected(impatient_url) as connection:
        connection.sendall(head_of("/", "HTTP/1.1", 1000))
        first = connection.recv(1000)
        went_on = False
        with suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(b" ")
                time.sleep(0.1)
            went_on = True

    assert first.startswith(b"HTTP/1.1 413 ")
    assert not went_on


@pytest.mark.parametrize("version", ["HTTP/1.1", AS_NGINX])
def test_who_sends_too_much_is_hung_up_on(served: Served, version: str) -> None:
    """Before the time is over."""
    with connected(served.url) as connection:
        connection.sendall(head_of("/webhooks/stripe/unknown", version, 10 * MAX_DRAINED_BYTES))
        sent = 0
        with suppress(ConnectionError):
            while sent < 10 * MAX_DRAINED_BYTES:
                sent += connection.send(b" " * 1024 * 1024)

    assert sent < 2 * MAX_DRAINED_BYTES
