"""What a cookie is accepted for, and when its session ends."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from models.instant import utc_now
from models.secret import Keyring, generate_key
from models.session import Session
from tests.edge.site import COOKIE, KEYRING, UNAUTHORIZED, Site, refusal_code, refused

pytestmark = pytest.mark.long(site="postgres")  # it has nothing to do with the database


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
    assert await refusal_code(site, cookie=cookie) == UNAUTHORIZED


async def test_a_session_ends_with_its_key(site: Site) -> None:
    key_id, key = site.new_key("READ")
    cookie = site.cookie(key)
    before = site.ask(cookie)
    site.revoke(key_id)

    after = site.ask(cookie)

    assert before.status_code == 200
    assert refused(after, 401, "UNAUTHENTICATED").startswith("This API key was revoked: sign in")
    assert site.send("GET", "/session", cookie=cookie).json()["signedIn"] is False
    assert await refusal_code(site, cookie=cookie) == UNAUTHORIZED


def test_a_session_expires_with_its_key(site: Site) -> None:
    _, key = site.new_key("READ", expiresAt=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    cookie = site.cookie(key)

    before, answer = before_and_after_it_ends(site, cookie)

    assert before.status_code == 200
    assert refused(answer, 401, "UNAUTHENTICATED").startswith("This API key has expired: sign in")


def test_a_session_ends_when_it_said(site: Site) -> None:
    cookie = f"{COOKIE}={Session(site.key_id(), utc_now() + timedelta(seconds=3)).sealed(KEYRING)}"

    before, answer = before_and_after_it_ends(site, cookie)

    assert before.status_code == 200
    assert refused(answer, 401, "UNAUTHENTICATED") == (
        "This session has ended: sign in with an API key of the workspace."
    )


def before_and_after_it_ends(site: Site, cookie: str) -> tuple[httpx.Response, httpx.Response]:
    """The first answer to a session, and the first that is another."""
    answer = before = site.ask(cookie)
    while answer.status_code == 200:
        time.sleep(0.05)
        answer = site.ask(cookie)
    return before, answer
