"""Who the client is, behind a proxy and without one."""

import socket
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from edge.address import address_in
from edge.forwarded import Forwarded
from tests.world.app import running_app
from tests.world.local import LOCAL

TRUSTED: Final = ("10.0.0.0/8", "2001:db8:aaaa::/48")


def scope_of(peer: str, *headers: tuple[str, str], kind: str = "http") -> dict[str, Any]:
    """A request as it reaches us."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": kind, "scheme": "ws" if kind == "websocket" else "http", "client": (peer, 4242), "headers": raw}


def client_of(peer: str, *forwarded_for: str) -> str:
    """Whom a request counts as, by what its X-Forwarded-For say."""
    scope = scope_of(peer, *(("X-Forwarded-For", value) for value in forwarded_for))
    Forwarded(TRUSTED).read(scope)
    return str(scope["client"][0])


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1:4000"], "192.0.2.1"),
        (["[2001:db8::1]:4000"], "2001:db8::1"),
        (["2001:DB8:0::1"], "2001:db8::1"),
        (["198.51.100.1, 192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        (["198.51.100.1", "192.0.2.1", "10.0.0.7"], "192.0.2.1"),
        (["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        (["somebody, 10.0.0.7"], "10.0.0.7"),
        (["somebody"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["192.0.2.1\u00e9"], "10.0.0.1"),
        (["fe80::1%" + "x" * 1000], "fe80::1"),
        (["192.0.2.1, unknown"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_tells_the_client_where_it_is_an_address(forwarded_for: list[str], client: str) -> None:
    """What is no address counts as nothing, and so does all that stands before it."""
    assert client_of("10.0.0.1", *forwarded_for) == client


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("::ffff:10.0.0.1", "192.0.2.1"),
        ("2001:db8:aaaa::1", "192.0.2.1"),
        ("203.0.113.1", "203.0.113.1"),
        ("testclient", "testclient"),
    ],
)
def test_who_is_not_trusted_is_the_client_itself(peer: str, client: str) -> None:
    assert client_of(peer, "192.0.2.1") == client


@pytest.mark.parametrize(
    ("kind", "told", "scheme"),
    [
        ("http", "https", "https"),
        ("websocket", "https", "wss"),
        ("websocket", "wss", "wss"),
        ("http", "gopher", "http"),
    ],
)
def test_a_trusted_proxy_tells_the_scheme(kind: str, told: str, scheme: str) -> None:
    scope = scope_of("10.0.0.1", ("X-Forwarded-Proto", told), kind=kind)

    Forwarded(TRUSTED).read(scope)

    assert (scope["scheme"], scope["client"]) == (scheme, ("10.0.0.1", 4242))


def test_that_a_sender_is_not_trusted_is_told_once() -> None:
    forwarded = Forwarded(())
    with capture_logs() as log:
        for _ in range(3):
            forwarded.read(scope_of("203.0.113.1"))
            forwarded.read(scope_of("203.0.113.1", ("X-Forwarded-For", "192.0.2.1")))

    (line,) = log
    assert line["log_level"] == "warning"
    assert "FLUXRATE_TRUSTED_PROXIES" in line["event"]
    assert line["sender"] == "203.0.113.1"


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "]", ":", "::1]", "1.2.3", "0x7f000001", "192.0.2.1:80:80", "a" * 70_000]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_in(text) is None


def test_the_server_warns_of_a_proxy_that_it_is_not_told_of(tmp_path: Path) -> None:
    """Whatever the header holds, it is answered."""
    with running_app(cwd=tmp_path) as app:
        for value in ("192.0.2.1", "nonsense", ",,,"):
            assert httpx.get(f"{app.url}/healthz", headers={"X-Forwarded-For": value}, **LOCAL).is_success
        address = urlsplit(app.url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \xff\xfe\r\n\r\n")
            answer = connection.recv(1000)
        warned = [line for line in app.log() if "X-Forwarded-For" in line["event"]]

    assert answer.startswith(b"HTTP/1.1 200")
    assert [line["sender"] for line in warned] == ["127.0.0.1"]
