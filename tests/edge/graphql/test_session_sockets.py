"""WebSockets and streams that a session opens, and that end with it."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from models.instant import utc_now
from models.session import Session
from tests.edge.site import (
    COOKIE,
    EVENT_STREAM,
    EVENTS,
    FRIEND,
    KEYRING,
    LATE_S,
    PUBLIC,
    SECURE_COOKIE,
    UNAUTHORIZED,
    WITHIN_S,
    Site,
    close_code,
    open_socket,
    refusal_code,
)
from tests.world import documents
from tests.world.local import LOCAL

pytestmark = pytest.mark.long(site="postgres")  # it has nothing to do with the database


async def test_a_page_of_this_server_opens_a_socket_by_its_session(site: Site) -> None:
    """FLUXRATE_ALLOWED_ORIGINS has nothing to do with it."""
    async with open_socket(site, cookie=site.cookie()) as socket:
        acknowledged = await socket.receive()
        subscription = await socket.subscribe(EVENTS)
        await socket.subscribe("{ __typename }")
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        given = {"input": {"name": "Ada", "email": "ada@example.com"}}
        site.ask(site.cookie(), {"query": documents.CREATE_CUSTOMER, "variables": given})
        event = await subscription.next()

    assert acknowledged == {"type": "connection_ack"}
    assert event == {"type": "CUSTOMER_CREATED", "actor": site.key_id()}


@pytest.mark.parametrize("by", ["a proxy that says so", "the public URL"])
async def test_by_https_a_socket_takes_the_secure_cookie_alone(site: Site, by: str) -> None:
    sealed = site.cookie().partition("=")[2]
    proxied = {"origin": site.app.url.replace("http", "https"), "x_forwarded_proto": "https"}
    by_https = {"origin": PUBLIC} if by == "the public URL" else proxied

    async with open_socket(site, None, cookie=f"{SECURE_COOKIE}={sealed}", **by_https) as socket:
        acknowledged = await socket.receive()
    code = await refusal_code(site, None, cookie=f"{COOKIE}={sealed}", **by_https)

    assert acknowledged == {"type": "connection_ack"}
    assert code == UNAUTHORIZED


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ""},
        {"origin": FRIEND},
        {"origin": "https://{host}"},
        {"origin": "", "sec_fetch_site": "same-origin"},
        {"origin": "https://evil.example.com", "sec_fetch_site": "same-origin"},
    ],
    ids=["no origin", "a friend", "another scheme", "no origin but a site", "another origin but a site"],
)
async def test_a_session_opens_no_socket_for_others(site: Site, headers: dict[str, str]) -> None:
    """Those who are let in, such as friends, bring a key."""
    host = site.app.url.removeprefix("http://")
    told = {name: text.replace("{host}", host) for name, text in headers.items()}

    code = await refusal_code(site, None, cookie=site.cookie(), **told)
    async with open_socket(site, {"authorization": f"Bearer {site.key}"}, **told) as socket:
        with_a_key = await socket.receive()

    assert code == UNAUTHORIZED
    assert with_a_key == {"type": "connection_ack"}


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1:1"])
async def test_other_pages_open_no_socket_at_all(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await refusal_code(site, cookie=site.cookie(), origin=origin)

    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("given", ["Bearer flx_test_00", "", 1, ["x"]])
async def test_a_key_in_the_payload_counts_before_a_session(site: Site, given: object) -> None:
    assert await refusal_code(site, {"authorization": given}, cookie=site.cookie()) == UNAUTHORIZED


async def test_an_open_socket_is_closed_when_the_key_of_its_session_is_revoked(site: Site) -> None:
    key_id, key = site.new_key("READ")

    async with open_socket(site, cookie=site.cookie(key)) as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.subscribe(EVENTS)
        site.revoke(key_id)

        assert await close_code(socket) == UNAUTHORIZED


@pytest.mark.parametrize("is_busy", [True, False])
async def test_an_open_socket_is_closed_when_its_session_ends(site: Site, is_busy: bool) -> None:
    session = Session(site.key_id(), utc_now() + timedelta(seconds=3))

    async with open_socket(site, cookie=f"{COOKIE}={session.sealed(KEYRING)}") as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        if is_busy:
            await socket.subscribe(EVENTS)
        code = await close_code(socket)

    assert code == UNAUTHORIZED
    assert abs((utc_now() - session.ends_at).total_seconds()) < LATE_S


@pytest.mark.parametrize("ending", ["revoked", "over"])
async def test_a_stream_ends_with_its_session(site: Site, ending: str) -> None:
    key_id, _ = site.new_key("READ")
    session = Session(key_id, utc_now() + timedelta(seconds=3 if ending == "over" else 3600))
    headers = {"Origin": site.app.url, "Accept": EVENT_STREAM, "Cookie": f"{COOKIE}={session.sealed(KEYRING)}"}
    async with (
        httpx.AsyncClient(base_url=site.app.url, timeout=WITHIN_S, **LOCAL) as http,
        http.stream("POST", "/graphql", json={"query": EVENTS}, headers=headers) as response,
    ):
        lines = response.aiter_lines()
        await anext(lines)
        if ending == "revoked":
            await asyncio.to_thread(site.revoke, key_id)
        rest = [line async for line in lines]

    told = next(json.loads(line[6:]) for line in rest if line.startswith("data: {"))
    assert told["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "event: complete" in rest
