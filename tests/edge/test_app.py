"""What the server answers around GraphQL and webhooks."""

import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.app import Application
from edge.metrics import Metrics
from edge.server.direct import Answer
from tests.world.app import RunningApp, StartApp, running_app
from tests.world.local import LOCAL
from tests.world.postgres import Postgres

FRIEND = "https://app.example.com"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The embedded product, with a friend."""
    with running_app(cwd=tmp_path_factory.mktemp("app"), env={"FLUXRATE_ALLOWED_ORIGINS": FRIEND}) as app:
        yield app


@pytest.fixture(scope="module")
def http(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, **LOCAL) as client:
        yield client


def test_the_root_says_what_is_where(app: RunningApp, http: httpx.Client) -> None:
    answer = http.get("/")

    assert answer.json()["graphql"] == f"{app.url}/graphql"
    assert answer.json()["subscriptions"] == f"{app.ws_url}/graphql"
    assert "server" not in answer.headers


def test_health_readiness_and_metrics_need_no_key(http: httpx.Client) -> None:
    assert (http.get("/healthz").status_code, http.get("/healthz").json()) == (200, {"status": "ok"})
    assert (http.get("/readyz").status_code, http.get("/readyz").json()) == (200, {"status": "ok"})
    assert 'fluxrate_http_requests_total{route="/readyz",status="200"}' in http.get("/metrics").text


def test_without_its_database_it_is_alive_but_not_ready(postgres_server: Postgres, start_app: StartApp) -> None:
    name = postgres_server.create_database(postgres_server.migrated)
    app = start_app(postgres_server.url(name))

    postgres_server.drop_database(name)

    unready = httpx.get(f"{app.url}/readyz", **LOCAL)
    assert unready.status_code == 503
    assert unready.json()["reason"] == "The database can't be reached or is not migrated."
    assert httpx.get(f"{app.url}/healthz", **LOCAL).status_code == 200


def test_what_is_not_there_is_json(http: httpx.Client) -> None:
    missing, wrong = http.get("/nothing"), http.post("/healthz")

    assert (missing.status_code, missing.json()) == (404, {"error": "Not Found"})
    assert (wrong.status_code, wrong.json()) == (405, {"error": "Method Not Allowed"})
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_every_answer_has_a_request_id(http: httpx.Client) -> None:
    """The caller's, if it is a sane one."""
    for path in ("/", "/graphql", "/nothing", "/webhooks/stripe/x"):
        assert re.fullmatch(r"[0-9a-f]{32}", http.get(path).headers["x-request-id"])
        assert http.get(path, headers={"X-Request-Id": "a-b_c.1"}).headers["x-request-id"] == "a-b_c.1"
        assert http.get(path, headers={"X-Request-Id": "x" * 65}).headers["x-request-id"] != "x" * 65


async def test_no_two_answers_have_the_same_request_id() -> None:
    """They are drawn many at once."""
    app = Application(routes=[], quiet=frozenset({"unmatched"}), metrics=Metrics(), lifespan=_nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        ids = [(await client.get("/")).headers["x-request-id"] for _ in range(600)]

    assert len(set(ids)) == 600


def test_the_log_has_templates_and_no_secrets(app: RunningApp, http: httpx.Client) -> None:
    http.get("/graphql?query=hush", headers={"Authorization": "Bearer flx_hush", "X-Request-Id": "logged"})
    http.get("/hush")

    (line,) = [line for line in app.log() if line.get("request_id") == "logged"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/graphql", 401)
    assert "hush" not in app.stderr
    assert all(line["route"] != "/healthz" for line in app.log())


@pytest.mark.parametrize(("origin", "allowed"), [(FRIEND, FRIEND), ("https://evil.example.com", None)])
def test_a_browser_elsewhere_may_ask_if_it_is_a_friend(http: httpx.Client, origin: str, allowed: str | None) -> None:
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    preflight = http.options("/graphql", headers=asking)
    answer = http.post("/graphql", json={"query": "{ __typename }"}, headers={"Origin": origin})
    elsewhere = http.get("/healthz", headers={"Origin": origin})

    assert preflight.headers.get("access-control-allow-origin") == allowed
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-origin" not in elsewhere.headers


def test_a_heads_size_is_bounded(app: RunningApp) -> None:
    address = urlsplit(app.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
        answer = b""
        for _ in range(100):
            connection.sendall(b"x" * 8192)
            time.sleep(0.005)
            connection.setblocking(False)
            try:
                answer = connection.recv(1000)
                break
            except BlockingIOError:
                connection.setblocking(True)

    assert answer.startswith(b"HTTP/1.1 431")


def test_a_websocket_that_does_not_begin_with_get_is_refused(app: RunningApp) -> None:
    address = urlsplit(app.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

        answer = connection.recv(1000)

    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("path", ["/graphql", "/webhooks/stripe/x"])
@pytest.mark.parametrize(
    "field", [b"Content-Length: 4", b"X-Long: " + b"x" * 9000, b"\r\n".join(b"X-%d: x" % n for n in range(200))]
)
def test_a_websockets_handshake_that_can_not_be_read_is_refused(app: RunningApp, path: str, field: bytes) -> None:
    address = urlsplit(app.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(
            b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path.encode(), field)
        )

        answer = connection.recv(1000)
        over = connection.recv(1000)

    assert answer.startswith(b"HTTP/1.1 400")
    assert over == b""


async def _fails(_: Request) -> Response:
    raise RuntimeError("hush")


@asynccontextmanager
async def _nothing(_: Starlette) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("is_short", [False, True])
async def test_an_unexpected_error_is_masked_and_logged_with_the_request_id(is_short: bool) -> None:
    routes = [Route("/fails", _fails), Route("/quiet/{x}", _fails)]
    app = Application(
        routes=[] if is_short else routes,
        short=routes if is_short else [],
        quiet=frozenset({"/quiet/{x}"}),
        metrics=Metrics(),
        lifespan=_nothing,
    )
    transport = httpx.ASGITransport(app)

    with structlog.testing.capture_logs() as log:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [await client.get(path, headers={"X-Request-Id": "r1"}) for path in ("/fails", "/quiet/1")]

    assert [answer.status_code for answer in answers] == [500, 500]
    expected = {"error": "Something went wrong on our side.", "requestId": "r1"}
    assert [answer.json() for answer in answers] == [expected] * 2
    failures = [line for line in log if line["event"] == "request failed"]
    assert [line["route"] for line in failures] == ["/fails", "/quiet/{x}"]


def test_a_post_that_is_taken_is_logged_with_its_client_if_it_fails() -> None:
    answers: list[Answer] = []

    def take(_name: str, _headers: object, _body: bytes, answer: Answer) -> bool:
        answers.append(answer)
        return True

    app = Application(
        routes=[],
        short=[Route("/hooks/{name}", _fails)],
        take=take,
        quiet=frozenset({"/hooks/{name}"}),
        metrics=Metrics(),
        lifespan=_nothing,
        trusted_proxies=["10.0.0.1"],
    )
    scope = {"type": "http", "client": ("10.0.0.1", 80), "headers": [(b"x-forwarded-for", b"192.0.2.1")]}
    assert app.direct is not None

    with structlog.testing.capture_logs() as log:
        assert app.direct.take(scope, "a", b"", lambda *_: None)
        answers[0](503, (), b"")

    assert [(line["route"], line["status"], line["client"]) for line in log] == [("/hooks/{name}", 503, "192.0.2.1")]
