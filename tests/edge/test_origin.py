"""Sessions are for this server's own pages: what other pages send is refused."""

import json
from typing import Final

import pytest

from tests.edge.site import COOKIE, EVENT_STREAM, EVENTS, FRIEND, SECURE_COOKIE, VIEWER, Site, refused
from tests.world import documents

pytestmark = pytest.mark.long(site="postgres")  # it has nothing to do with the database

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
