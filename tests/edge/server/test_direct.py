"""Posts that are taken without a task are answered, counted and ended as all others are."""

import asyncio
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from edge.server import http
from edge.server.direct import Answer, DirectRoute
from edge.server.http import MAX_TAKEN_BYTES, BoundedProtocol
from tests.edge.server.served import Served
from tests.edge.server.test_http_pieces import Wire
from tests.world.local import LOCAL
from tests.world.seed import WEBHOOK_SECRET
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers

PREFIX: Final = "/hooks/"
JSON: Final = ((b"content-type", b"application/json"), (b"content-length", b"4"))


@dataclass
class App:
    """An application with a direct route: it takes what is not marked, and keeps how to answer it."""

    taken: list[tuple[str, bytes, Answer]] = field(default_factory=list)
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def direct(self) -> DirectRoute:
        """What the server looks for."""
        return DirectRoute(PREFIX.encode(), self._take)

    def _take(self, scope: Scope, end: str, content: bytes, answer: Answer) -> bool:
        assert scope["type"] == "http"
        if end == "leave":
            return False
        self.taken.append((end, content, answer))
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI does."""
        content, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                content, more = b"GONE", False
            else:
                content, more = content + message["body"], message["more_body"]
        self.asked.append((scope["path"], content))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"asgi"})


@pytest.fixture
def app() -> App:
    """A new application."""
    return App()


@pytest.fixture
def wire() -> Wire:
    """A new connection."""
    return Wire()


@pytest.fixture
async def protocol(wire: Wire, app: App) -> BoundedProtocol:
    """What the server makes for a connection."""
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_level="critical", interface="asgi3")
    config.load()
    config.loaded_app = app
    made = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
    made.connection_made(wire)
    return made


async def turns() -> None:
    """Let the event loop do what it can do now."""
    for _ in range(10):
        await asyncio.sleep(0)


def post(end: str, content: bytes = b"{}", *fields: str, version: str = "HTTP/1.1") -> bytes:
    """A whole post."""
    lines = [f"POST {PREFIX}{end} {version}", "Host: x", f"Content-Length: {len(content)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + content


async def test_a_whole_post_is_answered_in_one_piece_without_asgi(
    wire: Wire, app: App, protocol: BoundedProtocol
) -> None:
    for number in range(2):
        protocol.data_received(post("a", b"%d" % number))
        app.taken[number][2](200, JSON, b"abcd", (b"x-request-id", b"r"))

    assert [(end, content) for end, content, _ in app.taken] == [("a", b"0"), ("a", b"1")]
    assert app.asked == []
    assert wire.pieces == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\nx-request-id: r\r\n\r\nabcd"
    ] * 2  # fmt: skip
    assert not wire.is_closed


async def test_a_body_in_pieces_is_put_together(wire: Wire, app: App, protocol: BoundedProtocol) -> None:
    for byte in post("a", b"abc"):
        protocol.data_received(bytes([byte]))

    assert [(end, content) for end, content, _ in app.taken] == [("a", b"abc")]


@pytest.mark.parametrize(
    "request_",
    [
        post("leave", b"abc"),
        post("a", b"abc").replace(b"POST", b"PUT"),
        post("a", b"abc").replace(PREFIX.encode(), b"/other/"),
        post("a", b"abc").replace(b"Content-Length: 3", b"Content-Length: 0000003"),
        post("a", b"3\r\nabc\r\n0\r\n\r\n").replace(b"Content-Length: 13", b"Transfer-Encoding: chunked"),
    ],
    ids=["left", "method", "path", "length", "chunks"],
)
async def test_what_is_not_taken_goes_the_usual_way(
    wire: Wire, app: App, protocol: BoundedProtocol, request_: bytes
) -> None:
    protocol.data_received(request_)
    await turns()

    assert app.taken == []
    assert [content for _, content in app.asked] == [b"abc"]
    assert [piece[-4:] for piece in wire.pieces] == [b"asgi"]


async def test_a_long_body_is_not_waited_for(app: App, protocol: BoundedProtocol) -> None:
    content = b" " * (MAX_TAKEN_BYTES + 1)
    protocol.data_received(post("a", content)[:-1])
    assert protocol.cycle is not None

    protocol.data_received(content[-1:])
    await turns()

    assert (app.taken, app.asked) == ([], [(f"{PREFIX}a", content)])


async def test_a_body_that_does_not_come_is_left_to_the_application(
    wire: Wire, app: App, protocol: BoundedProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE_WITHIN_S", 0.01)
    protocol.data_received(post("a", b"abc")[:-1])
    await asyncio.sleep(0.05)
    assert protocol.cycle is not None

    protocol.data_received(b"c")
    await turns()

    assert (app.taken, app.asked) == ([], [(f"{PREFIX}a", b"abc")])


async def test_a_client_that_goes_before_its_body_came_is_noticed(app: App, protocol: BoundedProtocol) -> None:
    protocol.data_received(post("a", b"abc")[:-1])
    protocol.connection_lost(None)
    await turns()

    assert (app.taken, app.asked) == ([], [(f"{PREFIX}a", b"GONE")])


async def test_a_client_that_goes_before_its_answer_harms_nobody(
    wire: Wire, app: App, protocol: BoundedProtocol
) -> None:
    protocol.data_received(post("a"))
    protocol.connection_lost(None)

    app.taken[0][2](200, JSON, b"abcd")

    assert wire.pieces == []


@pytest.mark.parametrize("end", ["late", "gone", "stopped"])
async def test_a_path_that_cannot_be_read_is_refused_at_once(
    wire: Wire, app: App, protocol: BoundedProtocol, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(http, "WHOLE_WITHIN_S", 0.01)
    request = post("a" * 66_000, b"abc")[:-1]
    protocol.data_received(request[:60_000])
    protocol.data_received(request[60_000:])

    if end == "late":
        await asyncio.sleep(0.05)
    elif end == "stopped":
        protocol.shutdown()
    protocol.connection_lost(None)

    assert [piece[:12] for piece in wire.pieces] == [b"HTTP/1.1 400"]
    assert (app.taken, app.asked) == ([], [])
    assert protocol not in protocol.connections


async def test_a_slow_body_after_an_answer_has_all_its_time(
    wire: Wire, app: App, protocol: BoundedProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE_WITHIN_S", 0.01)
    monkeypatch.setattr(protocol, "drain_s", 0.05)
    protocol.data_received(post("a"))
    app.taken[0][2](200, JSON, b"abcd")

    protocol.data_received(post("b", b"abc")[:-1])
    await asyncio.sleep(0.15)
    assert not wire.is_closed
    protocol.data_received(b"c")
    await turns()

    assert app.asked == [(f"{PREFIX}b", b"abc")]
    assert [piece[-4:] for piece in wire.pieces] == [b"abcd", b"asgi"]


async def test_what_is_sent_before_the_answer_waits_its_turn(wire: Wire, app: App, protocol: BoundedProtocol) -> None:
    protocol.data_received(post("a") + post("b") + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await turns()
    assert [end for end, _, _ in app.taken] == ["a"]
    assert wire.pieces == []

    app.taken[0][2](200, JSON, b"abcd")
    await turns()

    assert [piece[-4:] for piece in wire.pieces] == [b"abcd", b"asgi", b"asgi"]
    assert [path for path, _ in app.asked] == [f"{PREFIX}b", "/"]


@pytest.mark.parametrize(
    "request_", [post("a", b"{}", "Connection: close"), post("a", version="HTTP/1.0")], ids=["asked", "1.0"]
)
async def test_a_connection_that_is_not_kept_is_closed_after_the_answer(
    wire: Wire, app: App, protocol: BoundedProtocol, request_: bytes
) -> None:
    protocol.data_received(request_)

    app.taken[0][2](200, JSON, b"abcd")

    assert b"\r\nconnection: close\r\n" in wire.pieces[0]
    assert wire.is_closed


async def test_a_server_that_stops_answers_first(wire: Wire, app: App, protocol: BoundedProtocol) -> None:
    protocol.data_received(post("a"))
    protocol.shutdown()
    assert not wire.is_closed

    app.taken[0][2](200, JSON, b"abcd")

    assert wire.pieces[0].endswith(b"\r\nconnection: close\r\n\r\nabcd")
    assert wire.is_closed


async def test_a_server_that_stops_reads_a_body_to_its_end(wire: Wire, app: App, protocol: BoundedProtocol) -> None:
    protocol.data_received(post("a", b"abc")[:-1])
    protocol.shutdown()
    assert not wire.is_closed

    protocol.data_received(b"c")
    await turns()

    assert app.asked == [(f"{PREFIX}a", b"abc")]
    assert [piece[-4:] for piece in wire.pieces] == [b"asgi"]
    assert wire.is_closed


# --- Of the product ----------------------------------------------------------------------------------------------


PAYLOAD: Final = body(payment_intent_succeeded())


def hook(path: str, *fields: str, secret: str = WEBHOOK_SECRET, content: bytes = PAYLOAD, start: str = "POST") -> bytes:
    """A signed post as it goes over the wire; the connection ends with it."""
    signed = [f"{name}: {value}" for name, value in signed_headers(content, secret).items()]
    lines = [f"{start} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join([*lines, *signed, *fields, "", ""]).encode() + content


REQUESTS: Final[dict[str, Callable[[str], bytes]]] = {
    "valid": hook,
    "forged": lambda path: hook(path, secret="whsec_forged"),
    "another token": lambda path: hook(path[:-4] + "AAAA"),
    "a query": lambda path: hook(f"{path}?a=1"),
    "a longer path": lambda path: hook(f"{path}/"),
    "an escaped path": lambda path: hook(path.replace("/stripe/", "/%73tripe/")),
    "another method": lambda path: hook(path, start="PUT"),
    "not JSON": lambda path: hook(path, content=b"{"),
    "nothing": lambda path: hook(path, content=b""),
    "an id of the request": lambda path: hook(path, "X-Request-Id: mine.1"),
    "no id at all": lambda path: hook(path, "X-Request-Id: mi ne"),
    "two signatures": lambda path: hook(path, "Stripe-Signature: t=1,v1=00"),
    "a bad header": lambda path: hook(path, "Bad\x00Header: x"),
    "two lengths": lambda path: hook(path, "Content-Length: 3"),
    "it may go on": lambda path: hook(path, "Expect: 100-continue"),
    "an upgrade": lambda path: hook(path, "Upgrade: websocket"),
}


def asked(url: str, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that is answered to pieces that are sent one by one."""
    address = urlsplit(url)
    answer = b""
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_a_client_that_goes_before_its_answers_leaves_no_error(served: Served) -> None:
    address = urlsplit(served.app.url)
    whole = hook(served.webhook_path).replace(b"Connection: close\r\n", b"")
    for _ in range(3):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
            connection.sendall(whole * 3)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    asked(served.app.url, hook(served.webhook_path))
    assert [line["event"] for line in served.app.log() if line["level"] == "error"] == []


def comparable(answer: bytes) -> list[bytes]:
    """An answer without what differs from one to the next; header names in order."""
    said = re.sub(rb"x-request-id: [0-9a-f]{32}\r\n", b"x-request-id: *\r\n", answer)
    head, _, content = re.sub(rb"date: [^\r]*\r\n", b"", said).partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    return [first, *sorted(fields), content]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_post_is_answered_alike_whether_its_body_comes_at_once_late_or_in_chunks(served: Served, name: str) -> None:
    request = REQUESTS[name](served.webhook_path)
    asked(served.app.url, hook(served.webhook_path))  # the integration is known now
    head, end, content = request.partition(b"\r\n\r\n")

    at_once = asked(served.app.url, request)
    late = asked(served.app.url, head + end + content[:1], content[1:], pause_s=0.02)
    in_chunks = asked(
        served.app.url,
        re.sub(rb"Content-Length: \d+\r\nConn", b"Transfer-Encoding: chunked\r\nConn", head)
        + end
        + (b"%x\r\n%b\r\n" % (len(content), content) if content else b"")
        + b"0\r\n\r\n",
    )

    assert comparable(at_once) == comparable(late)
    if name in ("valid", "forged"):
        later = asked(served.app.url, head + end + content[:1], content[1:], pause_s=http.WHOLE_WITHIN_S + 0.1)
        assert comparable(later) == comparable(at_once)
    if name != "two lengths":
        assert comparable(in_chunks) == comparable(at_once)


def test_a_taken_post_is_counted_once_and_answers_follow_in_order(served: Served) -> None:
    def counts() -> dict[str, float]:
        lines = httpx.get(f"{served.app.url}/metrics", **LOCAL).text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"}

    counted: list[Any] = [
        'fluxrate_http_requests_total{route="/webhooks/stripe/{token}",status="200"}',
        'fluxrate_webhook_deliveries_total{outcome="accepted"}',
        "fluxrate_webhook_seconds_count",
    ]
    whole = hook(served.webhook_path).replace(b"Connection: close\r\n", b"")
    before = counts()

    answer = asked(served.app.url, whole + whole + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    after = counts()
    assert [re.sub(rb"\s.*", b"", part) for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3
    assert answer.count(b'{"received":true}') == 2
    assert answer.rindex(b'{"received":true}') < answer.rindex(b"HTTP/1.1 200")
    assert [after[name] - before.get(name, 0) for name in counted] == [2.0] * 3
