"""Signing in and out: a cookie for a key, and the limits on guessing one."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.edge.site import COOKIE, PUBLIC, SECURE_COOKIE, VIEWER, Site, cookie_in, refused
from tests.world import documents
from tests.world.app import RunningApp, running_app
from tests.world.local import LOCAL

pytestmark = pytest.mark.long(site="postgres")  # it has nothing to do with the database


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

    message = refused(answer, 401, "UNAUTHENTICATED")
    assert message == f"{says}: use an API key of the workspace (flx_…)."
    assert key.strip() == "" or key.strip() not in answer.text


def test_a_key_that_is_over_begins_no_session(site: Site) -> None:
    key_id, revoked = site.new_key("READ")
    _, expired = site.new_key("READ", expiresAt=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    site.revoke(key_id)

    over = refused(site.sign_in(revoked), 401, "UNAUTHENTICATED")
    message = site.sign_in(expired)
    while message.status_code == 204:
        time.sleep(0.05)
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
