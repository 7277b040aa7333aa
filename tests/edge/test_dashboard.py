"""The dashboard as browsers are served it: its page at every path of its own, its assets, and nothing else."""

import gzip
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from cli.serve import _welcome
from edge.dashboard import is_built
from models.instant import utc_now
from models.kinds import Mode
from models.workspace import Workspace
from settings import Settings
from tests.world.app import ENCRYPTION_KEY, MAIN, RunningApp, environment, running_app
from tests.world.local import LOCAL

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
INDEX: Final = b"<!doctype html><title>Fluxrate</title>"
SCRIPT: Final = b"console.log('the dashboard')" * 20
SECRET: Final = b"what nobody is served"
STRICT: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def build(dist: Path, *, graphiql: bool = True) -> Path:
    """What the build leaves, with something beside it that is not to be got at."""
    assets = dist / "assets"
    assets.mkdir(parents=True)
    (dist / "index.html").write_bytes(INDEX)
    (assets / "index-B4c5.js").write_bytes(SCRIPT)
    (assets / "index-B4c5.js.br").write_bytes(b"(brotli)")
    (assets / "index-B4c5.js.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / "index-B4c5.css").write_bytes(b"body { margin: 0 }")
    (assets / "icon-a_1.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    (assets / "font-x.woff2").write_bytes(b"wOF2")
    (assets / "odd-1.exe").write_bytes(b"MZ")
    (assets / ".hidden").write_bytes(SECRET)
    (assets / "more").mkdir()
    (assets / "more" / "inner.js").write_bytes(SECRET)
    (dist / "secret.txt").write_bytes(SECRET)
    (dist.parent / "secret.txt").write_bytes(SECRET)
    if graphiql:
        (dist / "graphiql.html").write_bytes(b"<!doctype html><title>GraphiQL</title>")
    return dist


def entry(dist: Path) -> tuple[str, ...]:
    return ("-m", "tests.world.with_dist", str(dist))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "dist")


@pytest.fixture(scope="module")
def app(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The product with a dashboard."""
    with running_app(cwd=tmp_path_factory.mktemp("dashboard"), entry=entry(dist)) as app:
        yield app


@pytest.fixture(scope="module")
def http(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, timeout=30, **LOCAL, headers={"Accept-Encoding": "identity"}) as client:
        yield client


def policy_of(response: httpx.Response) -> dict[str, str]:
    """The directives of its Content-Security-Policy."""
    directives = response.headers["content-security-policy"].split("; ")
    return dict(directive.split(" ", 1) for directive in directives)


# --- The page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/invoices",
        "/invoices/inv_01",
        "/a/b/c",
        "/invoices?status=OPEN",
        "/healthzz",
        "/graphqls",
        "/Session",
        "/x.js",
    ],
)
def test_a_browser_is_served_the_page_at_every_path_of_its_own(http: httpx.Client, path: str) -> None:
    """So that links into it work."""
    answer = http.get(path, headers=BROWSER)

    assert (answer.status_code, answer.content) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/assets/index-B4c5.js", "/assets/icon-a_1.svg"])
def test_nothing_but_its_own_is_let_into_the_page(http: httpx.Client, path: str) -> None:
    answer = http.get(path, headers=BROWSER)

    assert policy_of(answer) == STRICT
    assert "unsafe" not in answer.headers["content-security-policy"]
    told = ("x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy")
    assert [answer.headers[name] for name in told] == ["nosniff", "no-referrer", "same-origin", "same-origin"]
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/session", 200),
        ("/session/x", 404),
        ("/webhooks", 404),
        ("/webhooks/stripe/aToken", 405),
        ("/graphql/x", 404),
        ("/metrics/x", 404),
        ("/assets", 404),
        ("/assets/", 404),
        ("/assets/missing-1.js", 404),
        ("/%61ssets/missing-1.js", 404),
        ("/graphiql/x", 404),
    ],
)
def test_what_is_another_route_s_is_never_the_page(http: httpx.Client, path: str, status: int) -> None:
    answer = http.get(path, headers=BROWSER)

    assert answer.status_code == status
    assert b"<title>" not in answer.content


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "image/avif,image/*"])
def test_what_is_no_browser_is_told_in_json_what_is_not_there(app: RunningApp, http: httpx.Client, accept: str) -> None:
    missing, root = (http.get(path, headers={"Accept": accept}) for path in ("/invoices", "/"))

    assert (missing.status_code, missing.json()) == (404, {"error": "Not Found"})
    assert root.json()["graphql"] == f"{app.url}/graphql"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_page_is_only_read(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/invoices", headers=BROWSER)

    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


def test_a_page_that_did_not_change_is_not_sent_again(http: httpx.Client, dist: Path) -> None:
    etag = http.get("/", headers=BROWSER).headers["etag"]

    known = [http.get("/a", headers={**BROWSER, "If-None-Match": said}) for said in (etag, f'"x", W/{etag}', "*")]
    other = http.get("/", headers={**BROWSER, "If-None-Match": '"x"'})
    (dist / "index.html").write_bytes(INDEX + b"<p>built anew")
    changed = http.get("/", headers={**BROWSER, "If-None-Match": etag})
    (dist / "index.html").write_bytes(INDEX)

    assert [(answer.status_code, answer.content) for answer in known] == [(304, b"")] * 3
    assert all(policy_of(answer) == STRICT and answer.headers["etag"] == etag for answer in known)
    assert (other.status_code, changed.status_code) == (200, 200)
    assert changed.content.endswith(b"built anew")


def test_a_head_tells_the_headers(http: httpx.Client) -> None:
    page, asset = http.head("/invoices", headers=BROWSER), http.head("/assets/index-B4c5.js")

    assert (page.status_code, page.content, page.headers["content-length"]) == (200, b"", str(len(INDEX)))
    assert (asset.status_code, asset.content, asset.headers["content-length"]) == (200, b"", str(len(SCRIPT)))


# --- Assets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("index-B4c5.js", "text/javascript; charset=utf-8"),
        ("index-B4c5.css", "text/css; charset=utf-8"),
        ("icon-a_1.svg", "image/svg+xml"),
        ("font-x.woff2", "font/woff2"),
        ("odd-1.exe", "application/octet-stream"),
    ],
)
def test_an_asset_may_be_kept_for_ever(http: httpx.Client, dist: Path, name: str, type_: str) -> None:
    answer = http.get(f"/assets/{name}")

    assert (answer.status_code, answer.content) == (200, (dist / "assets" / name).read_bytes())
    assert answer.headers["content-type"] == type_
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.1", "br"),
        ("BR", "br"),
        ("gzip, br;q=0", "gzip"),
        ("gzip, br; q = 0.000", "gzip"),
        ("gzip", "gzip"),
        ("identity", None),
        ("br;q=0, gzip;q=0", None),
        ("", None),
        (";;,=;q", None),
        ("brotli, xgzip", None),
    ],
)
def test_an_asset_is_sent_in_the_smallest_form_that_the_browser_takes(
    app: RunningApp, accepts: str, encoding: str | None
) -> None:
    with (
        httpx.Client(**LOCAL) as client,
        client.stream("GET", f"{app.url}/assets/index-B4c5.js", headers={"Accept-Encoding": accepts}) as answer,
    ):
        raw = b"".join(answer.iter_raw())

    expected = {"br": b"(brotli)", "gzip": SCRIPT, None: SCRIPT}[encoding]
    assert answer.headers.get("content-encoding") == encoding
    assert (gzip.decompress(raw) if encoding == "gzip" else raw) == expected
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_what_has_no_smaller_form_is_sent_as_it_is(http: httpx.Client) -> None:
    answer = http.get("/assets/index-B4c5.css", headers={"Accept-Encoding": "gzip, br"})

    assert "content-encoding" not in answer.headers
    assert answer.content == b"body { margin: 0 }"


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/%2e%2e%2fsecret.txt",
        "/assets/%252e%252e%252fsecret.txt",
        "/assets/..%5csecret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/assets//secret.txt",
        "/assets/%2fetc%2fpasswd",
        "/assets//etc/passwd",
        "/assets/.hidden",
        "/assets/%2ehidden",
        "/assets/more",
        "/assets/more/inner.js",
        "/assets/more%2finner.js",
        "/assets/.",
        "/assets/..",
        "/assets/index-B4c5.js%00",
        "/assets/index-B4c5.js%0a",
        "/assets/index-B4c5.js/",
        "/assets/" + "x" * 5000,
        "/assets/%ff%fe",
        "/../secret.txt",
        "/secret.txt",
        "//assets/../../secret.txt",
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_there_is_no_way_to_any_other_file(app: RunningApp, target: str, accept: str) -> None:
    """The target goes out as it is written here, which clients would not do."""
    address = urlsplit(app.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode("latin-1")
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    assert SECRET not in body
    assert b"root:" not in body
    assert status in {400, 404} or (status, body) == (200, INDEX)
    assert status != 200 or (accept == "text/html" and not target.startswith("/assets"))


# --- What is counted and logged --------------------------------------------------------------------------------------


def test_metrics_and_the_log_know_templates_alone(app: RunningApp, http: httpx.Client) -> None:
    for number in range(20):
        http.get(f"/hush-{number}", headers=BROWSER)
        http.get(f"/assets/hush-{number}.js")

    metrics = http.get("/metrics").text
    assert "hush" not in metrics + app.stderr
    assert 'route="/{path:path}",status="200"' in metrics
    assert 'route="/assets/{name}",status="404"' in metrics
    assert all(line.get("route") != "/assets/{name}" for line in app.log())


# --- GraphiQL --------------------------------------------------------------------------------------------------------


def test_graphiql_is_served_from_here_with_what_its_editor_needs(http: httpx.Client) -> None:
    moved = http.get("/graphql", headers=BROWSER)
    page = http.get(moved.headers["location"], headers=BROWSER)

    assert (moved.status_code, moved.headers["location"]) == (303, "/graphiql")
    assert http.get("/session").json()["graphiql"] is True
    assert (page.status_code, page.content) == (200, b"<!doctype html><title>GraphiQL</title>")
    assert policy_of(page) == {
        **STRICT,
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
    }


def test_a_query_by_get_is_no_page(http: httpx.Client) -> None:
    answer = http.get("/graphql", params={"query": "{ __typename }"}, headers=BROWSER)

    assert answer.status_code == 401


def test_without_graphiql_there_is_the_dashboard_alone(dist: Path, tmp_path: Path) -> None:
    with running_app(cwd=tmp_path, env={"FLUXRATE_GRAPHIQL": "off"}, entry=entry(dist)) as app:
        graphiql, graphql, page = (
            httpx.get(f"{app.url}{path}", headers=BROWSER, **LOCAL) for path in ("/graphiql", "/graphql", "/")
        )
        told = httpx.get(f"{app.url}/session", **LOCAL)

    assert told.json() == {"signedIn": False, "graphiql": False}
    assert (graphiql.status_code, graphql.status_code, page.status_code) == (404, 404, 200)
    assert "FLUXRATE_GRAPHIQL" in graphiql.json()["error"]


# --- Not built, and switched off ----------------------------------------------------------------------------------


def test_before_it_is_built_the_page_says_how_and_then_it_is_there(tmp_path: Path) -> None:
    """While the server goes on; GraphiQL is Strawberry's until then."""
    dist = tmp_path / "built" / "dist"
    with running_app(cwd=tmp_path, entry=entry(dist)) as app, httpx.Client(base_url=app.url, **LOCAL) as http:
        before = [http.get(path, headers=BROWSER) for path in ("/", "/invoices", "/assets/index-B4c5.js", "/graphiql")]
        graphiql = http.get("/graphql", headers=BROWSER)
        build(dist)
        after = http.get("/", headers=BROWSER)
        moved = http.get("/graphql", headers=BROWSER)

    assert [answer.status_code for answer in before] == [404] * 4
    assert all("scripts/install" in answer.text for answer in before[:2])
    assert before[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert policy_of(before[0]) == STRICT
    assert (graphiql.status_code, "graphiql" in graphiql.text.lower()) == (200, True)
    assert (after.status_code, after.content) == (200, INDEX)
    assert moved.status_code == 303


def test_switched_off_there_is_no_page_and_nobody_signs_in(dist: Path, tmp_path: Path) -> None:
    with (
        running_app(cwd=tmp_path, env={"FLUXRATE_DASHBOARD": "off"}, entry=entry(dist)) as app,
        httpx.Client(base_url=app.url, **LOCAL, headers={**BROWSER, "Origin": app.url}) as http,
    ):
        root = http.get("/")
        gone = [http.get(path) for path in ("/invoices", "/assets/index-B4c5.js", "/graphiql", "/session")]
        signing_in = http.post("/session", json={"apiKey": app.announced["apiKey"]})
        graphiql = http.get("/graphql")

    assert root.json()["name"] == "Fluxrate"
    assert [answer.status_code for answer in (*gone, signing_in)] == [404] * 5
    assert graphiql.status_code == 200


# --- The link that signs in --------------------------------------------------------------------------------------


def test_the_first_start_tells_a_link_that_signs_in() -> None:
    """The key is in its fragment, which browsers send to nobody."""
    workspace = Workspace(id="ws_1", name="My workspace", mode=Mode.TEST, seq=0, created_at=utc_now())
    settings = Settings.from_env({"FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY})
    first = (workspace, "flx_test_00")

    built, not_built, later = (
        _welcome("http://127.0.0.1:8000", settings, made, has_dashboard=has_dashboard)
        for made, has_dashboard in ((first, True), (first, False), (None, True))
    )

    assert "\n    flx_test_00\n" in built
    assert "\n    http://127.0.0.1:8000/#key=flx_test_00\n" in built
    assert "graphql" not in built
    assert '{"Authorization": "Bearer flx_test_00"}' in not_built
    assert "#key=" not in not_built
    assert "flx_" not in later


def test_the_first_start_shows_its_key_in_the_terminal(tmp_path: Path) -> None:
    """With the dashboard or without."""
    command = [sys.executable, str(MAIN), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while "Next: " not in lines[-1] and lines[-1]:
            lines.append(process.stdout.readline())
        process.terminate()
        told = "".join(lines) + process.stdout.read()

    (key,) = re.findall(r"^    (flx_test_[0-9a-f]{40})$", told, re.MULTILINE)
    assert lines[0].startswith("Fluxrate serves on http://127.0.0.1:")
    assert f"/#key={key}\n" in told or f'"Bearer {key}"' in told


def test_a_folder_without_a_page_is_not_built(dist: Path, tmp_path: Path) -> None:
    assert is_built(dist)
    assert not is_built(tmp_path)
