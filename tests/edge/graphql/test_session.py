"""Signing in: a cookie for a key, for this server's own pages and no others, as long as the key is valid."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from models.instant import utc_now
from models.kinds import Mode
from models.secret import Keyring, generate_key
from models.session import Session
from resolvers.operator import create_workspace
from tests.world import documents
from tests.world.app import ENCRYPTION_KEY, RunningApp, running_app
from tests.world.graphql_client import Socket
from tests.world.local import LOCAL
from tests.world.migrated import sqlite_url
from tests.world.postgres import Postgres
from tests.world.seed import within

Json = dict[str, Any]

KEYRING: Final = Keyring.parse([ENCRYPTION_KEY])
PUBLIC: Final = "https://pay.example.com"
FRIEND: Final = "https://app.example.com"
COOKIE: Final = "fluxrate_session"
SECURE_COOKIE: Final = "__Host-fluxrate_session"
VIEWER: Final = {"query": "{ viewer { apiKey { id } } }"}
EVENTS: Final = "subscription { events { type actor } }"
CUSTOMERS: Final = {"query": "{ customers { totalCount } }"}
EVENT_STREAM: Final = "text/event-stream"
UNAUTHORIZED: Final = 4401
WITHIN_S: Final = 20.0
LATE_S: Final = 2.0


class Site:
    """The product as a browser meets it, and an API key of a workspace."""

    def __init__(self, app: RunningApp, database_url: str, client: httpx.Client) -> None:
        self.app = app
        self.client = client
        _, self.key = within(database_url, lambda: create_workspace("Acme", Mode.TEST))
        self.secrets = {self.key}

    def sign_in(self, key: str | None = None, **headers: str) -> httpx.Response:
        """Exchange a key for a cookie, as a page of this server does."""
        return self.send("POST", "/session", json={"apiKey": key or self.key}, **headers)

    def cookie(self, key: str | None = None) -> str:
        """The cookie of a session, as a browser sends it."""
        morsel = cookie_in(self.sign_in(key))
        self.secrets.add(morsel.value)
        return f"{morsel.key}={morsel.value}"

    def send(self, method: str, path: str, *, json: object = None, **headers: str) -> httpx.Response:
        """Send what a page of this server sends, but for the headers that are told: an empty one is left out."""
        named = {"Origin": self.app.url} | {name.replace("_", "-").title(): text for name, text in headers.items()}
        told = {name: text for name, text in named.items() if text or name == "Authorization"}
        response = self.client.request(method, path, json=json, headers=told)
        self.client.cookies.clear()  # each test says which cookie is sent
        return response

    def ask(self, cookie: str, asked: Mapping[str, Any] = VIEWER, **headers: str) -> httpx.Response:
        """Ask GraphQL by a cookie."""
        return self.send("POST", "/graphql", json=asked, cookie=cookie, **headers)

    def new_key(self, *scopes: str, **given: Any) -> tuple[str, str]:
        """Make an API key; its id and its text."""
        asked = {"query": documents.CREATE_API_KEY, "variables": {"input": {"name": "A", "scopes": scopes, **given}}}
        made = self.ask(self.cookie(), asked).json()["data"]["createApiKey"]
        self.secrets.add(made["key"])
        return made["apiKey"]["id"], made["key"]

    def key_id(self) -> str:
        """The id of its key."""
        answer = self.client.post("/graphql", json=VIEWER, headers={"Authorization": f"Bearer {self.key}"})
        return str(answer.json()["data"]["viewer"]["apiKey"]["id"])

    def revoke(self, key_id: str) -> None:
        """Revoke an API key."""
        asked = {"query": documents.REVOKE_API_KEY, "variables": {"id": key_id}}
        assert "errors" not in self.ask(self.cookie(), asked).json()

    def customers(self) -> int:
        """How many customers there are."""
        return int(self.ask(self.cookie(), CUSTOMERS).json()["data"]["customers"]["totalCount"])


def cookie_in(response: httpx.Response) -> "Morsel[str]":
    """The only cookie that an answer sets."""
    assert response.status_code == 204, response.text
    (line,) = response.headers.get_list("set-cookie")
    (morsel,) = SimpleCookie(line).values()
    return morsel


def refused(response: httpx.Response, status: int, code: str) -> str:
    """What a refusal says; it sets no cookie, and has the form of all the API's."""
    assert response.status_code == status, response.text
    assert "set-cookie" not in response.headers
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == code
    return str(error["message"])


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site behind a proxy on this machine, which tells none of its secrets whatever the tests do."""
    if request.param == "sqlite":
        copied = tmp_path_factory.mktemp("session") / "migrated.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), copied)
        yield from served(sqlite_url(copied))
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database(server.migrated) as url:
            yield from served(url)


def served(database_url: str) -> Iterator[Site]:
    env = {
        "FLUXRATE_ALLOWED_ORIGINS": FRIEND,
        "FLUXRATE_TRUSTED_PROXIES": "127.0.0.1",
        "FLUXRATE_PUBLIC_URL": PUBLIC,
        "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off",
        "FLUXRATE_RATE_LIMIT_PER_KEY": "off",
    }
    with (
        running_app(database_url, env=env) as app,
        httpx.Client(base_url=app.url, timeout=30, **LOCAL) as client,
    ):
        site = Site(app, database_url, client)
        yield site
        heard = app.stdout + app.stderr + client.get("/metrics").text
        assert "/session" in heard
        assert {secret for secret in site.secrets if secret in heard} == set()


# --- Signing in ----------------------------------------------------------------------------------------------------


def test_a_key_is_exchanged_for_a_cookie_that_no_script_and_no_other_page_gets(site: Site) -> None:
    response = site.sign_in()

    morsel = cookie_in(response)
    site.secrets.add(morsel.value)
    assert morsel.key == COOKIE
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/")
    assert (morsel["max-age"], morsel["secure"], morsel["domain"]) == ("43200", "", "")
    assert response.headers["cache-control"] == "no-store"
    assert response.content == b""
    assert site.key[9:] not in response.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_proto": "https", "host": "shop.example.com", "origin": "https://shop.example.com"},
        {"x_forwarded_proto": "https", "host": "shop.example.com:443", "origin": "https://shop.example.com"},
        {"x_forwarded_proto": "https", "host": "Shop.example.com:8443", "origin": "https://shop.example.com:8443"},
        {"host": "pay.example.com", "origin": PUBLIC},
        {"origin": PUBLIC},
    ],
    ids=["proxy", "port", "other port", "public URL", "public URL behind a proxy that says nothing"],
)
def test_by_https_the_cookie_is_secure_and_of_this_host_alone(site: Site, headers: dict[str, str]) -> None:
    morsel = cookie_in(site.sign_in(**headers))
    site.secrets.add(morsel.value)
    by_plain_name = site.ask(f"{COOKIE}={morsel.value}", VIEWER, **headers)
    by_its_own = site.ask(f"{SECURE_COOKIE}={morsel.value}", VIEWER, **headers)

    assert (morsel.key, morsel["secure"], morsel["path"], morsel["domain"]) == (SECURE_COOKIE, True, "/", "")
    assert (morsel["httponly"], morsel["samesite"]) == (True, "strict")
    assert by_its_own.json()["data"]["viewer"]["apiKey"]["id"] == site.key_id()
    assert "no API key" in refused(by_plain_name, 401, "UNAUTHENTICATED")


def test_a_session_asks_and_changes_as_its_key(site: Site) -> None:
    """The log names the key."""
    cookie = site.cookie()
    given = {"input": {"name": "Ada", "email": "ada@example.com"}}

    asked = site.ask(cookie).json()
    changed = site.ask(cookie, {"query": documents.CREATE_CUSTOMER, "variables": given}).json()
    log = site.ask(cookie, {"query": "{ events(last: 1) { nodes { type actor } } }"}).json()

    assert asked["data"] == {"viewer": {"apiKey": {"id": site.key_id()}}}
    assert changed["data"]["createCustomer"]["__typename"] == "CreateCustomerSuccess"
    assert log["data"]["events"]["nodes"] == [{"type": "CUSTOMER_CREATED", "actor": site.key_id()}]


def test_a_session_may_do_what_its_key_may(site: Site) -> None:
    _, reader = site.new_key("READ")
    given = {"input": {"name": "Ada", "email": "ada@example.com"}}

    answer = site.ask(site.cookie(reader), {"query": documents.CREATE_CUSTOMER, "variables": given}).json()

    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("flx_test_0000000000000000000000000000000000000000", "This API key is unknown"),
        ("flx_test_0000000000000000000000000000000000000000\n", "This API key is unknown"),
        ("sk_test_4242424242424242", "This is not an API key"),
        ("", "This is not an API key"),
        ("flx_ü", "This API key is unknown"),
    ],
)
def test_a_wrong_key_is_refused_as_ever(site: Site, key: str, says: str) -> None:
    answer = site.send("POST", "/session", json={"apiKey": key})

    assert refused(answer, 401, "UNAUTHENTICATED").startswith(says)
    assert key.strip() == "" or key.strip() not in answer.text


def test_a_key_that_is_over_begins_no_session(site: Site) -> None:
    key_id, revoked = site.new_key("READ")
    _, expired = site.new_key("READ", expiresAt=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    site.revoke(key_id)

    over = refused(site.sign_in(revoked), 401, "UNAUTHENTICATED")
    message = site.sign_in(expired)
    while message.status_code == 204:
        message = site.sign_in(expired)

    assert over.startswith("This API key was revoked")
    assert refused(message, 401, "UNAUTHENTICATED").startswith("This API key has expired")


@pytest.mark.parametrize(
    ("content", "type_", "status", "code"),
    [
        (b'{"apiKey": "flx_test_1"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"apiKey": "flx_test_1"}', "text/plain; application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"apiKey=flx_test_1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"apiKey": "flx_test_1"}', "", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"apiKey": ', "application/json", 400, "BAD_REQUEST"),
        (b"", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 400, "BAD_REQUEST"),
        (b'{"apiKey": ["flx_test_1"]}', "application/json", 400, "BAD_REQUEST"),
        (b'{"key": "flx_test_1"}', "application/json", 400, "BAD_REQUEST"),
        (b'{"apiKey": "%b"}' % (b"x" * 4096), "application/json", 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_what_is_no_small_json_with_a_key_is_refused(
    site: Site, content: bytes, type_: str, status: int, code: str
) -> None:
    headers = {"Origin": site.app.url, "Content-Type": type_}

    answer = site.client.post("/session", content=content, headers=headers)

    assert refused(answer, status, code)


def test_a_session_takes_three_methods(site: Site) -> None:
    answer = site.send("PUT", "/session", json={"apiKey": site.key})

    assert refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST, DELETE"


def test_it_is_told_whether_one_is_signed_in(site: Site) -> None:
    """A browser tells no origin of what a page reads from its own server, and by http nothing at all."""
    cookie = site.cookie()

    told = [
        site.send("GET", "/session", cookie=cookie, origin=""),
        site.send("GET", "/session", cookie=cookie, origin="", sec_fetch_site="same-origin"),
        site.send("GET", "/session", cookie=cookie, origin="", sec_fetch_site="none"),
        site.send("GET", "/session"),
        site.send("GET", "/session", cookie=f"{COOKIE}=made-up"),
    ]

    assert [(answer.status_code, answer.json()["signedIn"]) for answer in told] == [
        *[(200, True)] * 3,
        *[(200, False)] * 2,
    ]
    assert all(answer.headers["cache-control"] == "no-store" for answer in told)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_signing_out_clears_the_cookie(site: Site, scheme: str) -> None:
    origin = f"{scheme}://shop.example.com"

    response = site.send("DELETE", "/session", host="shop.example.com", origin=origin, x_forwarded_proto=scheme)

    morsel = cookie_in(response)
    assert (morsel.key, morsel.value, morsel["max-age"]) == (SECURE_COOKIE if scheme == "https" else COOKIE, "", "0")
    assert (morsel["path"], morsel["httponly"], bool(morsel["secure"])) == ("/", True, scheme == "https")


# --- Other pages ---------------------------------------------------------------------------------------------------

FOREIGN: Final[dict[str, dict[str, str]]] = {
    "another site": {"origin": "https://evil.example.com"},
    "a page that hides": {"origin": "null"},
    "a friend": {"origin": FRIEND},
    "another port": {"origin": "http://127.0.0.1:1"},
    "another scheme": {"origin": "https://{host}"},
    "a longer name": {"origin": "http://{host}.evil.example.com"},
    "a name before": {"origin": "http://evil@{host}"},
    "a path": {"origin": "http://{host}/"},
    "several": {"origin": "http://{host} https://evil.example.com"},
    "no origin": {"origin": ""},
    "no origin, by hand": {"origin": "", "sec_fetch_site": "none"},
    "no origin, another site": {"origin": "", "sec_fetch_site": "cross-site"},
    "no origin, a neighbour": {"origin": "", "sec_fetch_site": "same-site"},
    "the browser knows better": {"origin": "http://{host}", "sec_fetch_site": "same-site"},
    "the browser does not": {"origin": "https://evil.example.com", "sec_fetch_site": "same-origin"},
    "the public URL without its s": {"origin": "http://pay.example.com"},
}
"""What the browser says of a page that is not this server's, or does not say of one that may be."""


def headers_of(site: Site, foreign: str) -> dict[str, str]:
    host = site.app.url.removeprefix("http://")
    return {name: text.replace("{host}", host) for name, text in FOREIGN[foreign].items()}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_other_pages_can_not_sign_anybody_in_or_out(site: Site, foreign: str) -> None:
    """Else one could sign somebody in with its own key, and be told what that person then saves."""
    headers = headers_of(site, foreign)

    answers = [site.sign_in(**headers), site.send("DELETE", "/session", cookie=site.cookie(), **headers)]

    assert all("server's own pages" in refused(answer, 403, "FORBIDDEN") for answer in answers)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_other_pages_can_not_use_a_session(site: Site, foreign: str) -> None:
    customers, cookie, headers = site.customers(), site.cookie(), headers_of(site, foreign)
    given = {"input": {"name": "Eve", "email": "eve@example.com"}}

    answers = [
        site.ask(cookie, VIEWER, **headers),
        site.ask(cookie, {"query": documents.CREATE_CUSTOMER, "variables": given}, **headers),
        site.ask(cookie, {"query": EVENTS}, accept="text/event-stream", **headers),
    ]

    assert all("server's own pages" in refused(answer, 403, "FORBIDDEN") for answer in answers)
    assert site.customers() == customers


@pytest.mark.parametrize(
    "foreign", [name for name in FOREIGN if not name.startswith("no origin, by") and name != "no origin"]
)
def test_other_pages_are_not_told_who_is_signed_in(site: Site, foreign: str) -> None:
    answer = site.send("GET", "/session", cookie=site.cookie(), **headers_of(site, foreign))

    assert "signedIn" not in answer.text
    assert refused(answer, 403, "FORBIDDEN")


def test_at_the_public_host_no_session_begins_or_asks_without_https(site: Site) -> None:
    """Whoever is on the line could read it, or have set it."""
    sealed, by_http = site.cookie().partition("=")[2], {"origin": "http://pay.example.com", "host": "pay.example.com"}

    begun = site.sign_in(**by_http)
    asked = [site.ask(f"{name}={sealed}", VIEWER, **by_http) for name in (COOKIE, SECURE_COOKIE)]

    assert refused(begun, 403, "FORBIDDEN")
    assert [answer.status_code for answer in asked] == [401, 403]


def test_two_origins_are_none(site: Site) -> None:
    headers = [("Origin", site.app.url), ("Origin", "https://evil.example.com"), ("Cookie", site.cookie())]

    answers = [
        site.client.post("/graphql", json=VIEWER, headers=some)
        for some in (headers, [headers[1], headers[0], headers[2]])
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


def test_a_browser_that_tells_the_site_alone_is_believed(site: Site) -> None:
    answer = site.ask(site.cookie(), origin="", sec_fetch_site="same-origin")

    assert answer.status_code == 200


def test_a_session_never_asks_by_get(site: Site) -> None:
    """A link or an image of another page could."""
    answers = [
        site.send("GET", "/graphql?query={__typename}", cookie=site.cookie(), **headers)
        for headers in ({}, {"origin": ""}, {"origin": "", "sec_fetch_site": "same-origin"}, {"accept": EVENT_STREAM})
    ]

    assert all("for POST requests only" in refused(answer, 403, "FORBIDDEN") for answer in answers)


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_session_asks_in_json_alone(site: Site, type_: str) -> None:
    """Of the others browsers ask no leave."""
    headers = {"Origin": site.app.url, "Cookie": site.cookie(), "Content-Type": type_}

    answer = site.client.post("/graphql", content=json.dumps(VIEWER), headers=headers)

    assert refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_friend_is_never_allowed_credentials(site: Site) -> None:
    asking = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}

    preflight = site.send("OPTIONS", "/graphql", origin=FRIEND, **asking)
    of_the_session = site.send("OPTIONS", "/session", origin=FRIEND, **asking)

    assert preflight.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-credentials" not in preflight.headers
    assert "access-control-allow-origin" not in of_the_session.headers


# --- Cookies that are none, and keys that end ------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["Bearer flx_test_00", "Basic eDp5", ""])
def test_an_authorization_header_counts_before_a_session(site: Site, authorization: str) -> None:
    answer = site.ask(site.cookie(), authorization=authorization)

    assert refused(answer, 401, "UNAUTHENTICATED")


def test_the_key_of_a_header_counts_from_wherever_it_comes(site: Site) -> None:
    key_id, reader = site.new_key("READ")

    answer = site.ask(site.cookie(), authorization=f"Bearer {reader}", origin="https://evil.example.com")

    assert answer.json()["data"]["viewer"]["apiKey"]["id"] == key_id


def bad_cookies(site: Site) -> dict[str, str]:
    """Cookies that are no sessions, or none any more."""
    good, key_id = site.cookie().partition("=")[2], site.key_id()
    foreign = Session.begun(key_id).sealed(Keyring.parse([generate_key()]))
    return {
        "turned": good[:-8] + good[-8:].swapcase(),
        "cut": good[:-8],
        "empty": "",
        "not sealed": f"{key_id} 99999999999",
        "sealed by another": foreign,
        "sealed by another that calls itself ours": good.partition(":")[0] + ":" + foreign.partition(":")[2],
        "a key": site.key,
        "a secret of a row": KEYRING.seal(f"{key_id} 99999999999", "integrations/int_1/secret_key_sealed"),
        "over": Session(key_id, utc_now() - timedelta(seconds=1)).sealed(KEYRING),
        "of no key": Session.begun("key_01h00000000000000000000000").sealed(KEYRING),
    }


@pytest.mark.parametrize("bad", [
    "turned", "cut", "empty", "not sealed", "sealed by another", "sealed by another that calls itself ours", "a key",
    "a secret of a row", "over", "of no key",
])  # fmt: skip
async def test_a_cookie_that_is_no_session_opens_nothing(site: Site, bad: str) -> None:
    cookie = f"{COOKIE}={bad_cookies(site)[bad]}"

    answer = site.ask(cookie)
    told = site.send("GET", "/session", cookie=cookie)

    assert "sign in" in refused(answer, 401, "UNAUTHENTICATED")
    assert told.json()["signedIn"] is False
    assert await code_of(site, cookie=cookie) == UNAUTHORIZED


async def test_a_session_ends_with_its_key(site: Site) -> None:
    key_id, key = site.new_key("READ")
    cookie = site.cookie(key)
    before = site.ask(cookie)
    site.revoke(key_id)

    after = site.ask(cookie)

    assert before.status_code == 200
    assert refused(after, 401, "UNAUTHENTICATED").startswith("This API key was revoked: sign in")
    assert site.send("GET", "/session", cookie=cookie).json()["signedIn"] is False
    assert await code_of(site, cookie=cookie) == UNAUTHORIZED


def test_a_session_expires_with_its_key(site: Site) -> None:
    _, key = site.new_key("READ", expiresAt=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    cookie = site.cookie(key)

    answer = before = site.ask(cookie)
    while answer.status_code == 200:
        answer = site.ask(cookie)

    assert before.status_code == 200
    assert refused(answer, 401, "UNAUTHENTICATED").startswith("This API key has expired: sign in")


def test_a_session_ends_when_it_said(site: Site) -> None:
    cookie = f"{COOKIE}={Session(site.key_id(), utc_now() + timedelta(seconds=3)).sealed(KEYRING)}"

    answer = before = site.ask(cookie)
    while answer.status_code == 200:
        answer = site.ask(cookie)

    assert before.status_code == 200
    assert refused(answer, 401, "UNAUTHENTICATED") == (
        "This session has ended: sign in with an API key of the workspace."
    )


# --- WebSockets and streams ------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(site: Site, payload: Mapping[str, Any] | None = None, **headers: str) -> AsyncIterator[Socket]:
    """A socket of this server's page, after connection_init."""
    named = {"Origin": site.app.url} | {name.replace("_", "-").title(): text for name, text in headers.items()}
    told = {name: text for name, text in named.items() if text}
    protocol: Any = ["graphql-transport-ws"]
    async with connect(f"{site.app.ws_url}/graphql", subprotocols=protocol, additional_headers=told) as connection:
        socket = Socket(connection)
        await socket.send({"type": "connection_init", "payload": payload})
        yield socket


async def closed(socket: Socket) -> int:
    """With which code the server closes."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive(WITHIN_S)
    return socket.connection.close_code or 1006


async def code_of(site: Site, payload: Mapping[str, Any] | None = None, **headers: str) -> int:
    """With which code a socket is closed that is not acknowledged."""
    async with opened(site, payload, **headers) as socket:
        return await closed(socket)


async def test_a_page_of_this_server_opens_a_socket_by_its_session(site: Site) -> None:
    """FLUXRATE_ALLOWED_ORIGINS has nothing to do with it."""
    async with opened(site, cookie=site.cookie()) as socket:
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

    async with opened(site, None, cookie=f"{SECURE_COOKIE}={sealed}", **by_https) as socket:
        acknowledged = await socket.receive()
    code = await code_of(site, None, cookie=f"{COOKIE}={sealed}", **by_https)

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

    code = await code_of(site, None, cookie=site.cookie(), **told)
    async with opened(site, {"authorization": f"Bearer {site.key}"}, **told) as socket:
        with_a_key = await socket.receive()

    assert code == UNAUTHORIZED
    assert with_a_key == {"type": "connection_ack"}


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1:1"])
async def test_other_pages_open_no_socket_at_all(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await code_of(site, cookie=site.cookie(), origin=origin)

    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("given", ["Bearer flx_test_00", "", 1, ["x"]])
async def test_a_key_in_the_payload_counts_before_a_session(site: Site, given: object) -> None:
    assert await code_of(site, {"authorization": given}, cookie=site.cookie()) == UNAUTHORIZED


async def test_an_open_socket_is_closed_when_the_key_of_its_session_is_revoked(site: Site) -> None:
    key_id, key = site.new_key("READ")

    async with opened(site, cookie=site.cookie(key)) as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.subscribe(EVENTS)
        site.revoke(key_id)

        assert await closed(socket) == UNAUTHORIZED


@pytest.mark.parametrize("is_busy", [True, False])
async def test_an_open_socket_is_closed_when_its_session_ends(site: Site, is_busy: bool) -> None:
    session = Session(site.key_id(), utc_now() + timedelta(seconds=3))

    async with opened(site, cookie=f"{COOKIE}={session.sealed(KEYRING)}") as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        if is_busy:
            await socket.subscribe(EVENTS)
        code = await closed(socket)

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


# --- Rates -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(migrated_sqlite_url: str) -> Iterator[RunningApp]:
    """The product, which an address may ask 60 times a day, and 3 times without a valid key."""
    with running_app(migrated_sqlite_url, env={"FLUXRATE_RATE_LIMIT_PER_ADDRESS": "60/day"}) as app:
        yield app


def test_who_guesses_keys_or_cookies_is_stopped(strict: RunningApp) -> None:
    """By one budget, and who has a valid key is let in all the same."""
    key = strict.workspace().api_key
    own = {"Origin": strict.url}
    with httpx.Client(base_url=strict.url, headers=own, timeout=30, **LOCAL) as http:
        guesses = [http.post("/session", json={"apiKey": f"flx_test_{number:040x}"}) for number in range(2)]
        made_up = [
            http.post("/graphql", json=VIEWER, headers={"Cookie": f"{COOKIE}=made-up-{number}"}) for number in range(2)
        ]
        one_more = http.post("/session", json={"apiKey": "flx_test_1"})
        known = http.post("/session", json={"apiKey": key})

    assert [answer.status_code for answer in (*guesses, *made_up)] == [401, 401, 401, 429]
    assert one_more.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert int(one_more.headers["retry-after"]) > 0
    assert known.status_code == 204


def test_signing_in_and_asking_who_is_are_counted_as_all_else(strict: RunningApp) -> None:
    with httpx.Client(base_url=strict.url, timeout=30, **LOCAL) as http:
        statuses = [http.get("/session").status_code for _ in range(61)]

    assert statuses == [200] * 60 + [429]
