"""Serves the dashboard: its page, its assets, and their security headers.

The build is one folder: `index.html`, `graphiql.html`, and `assets/`, where each name contains a hash of the content.
Files that are worth compressing have a `.br` and a `.gz` copy.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from edge.compression import accepted_encodings

DIST: Final = Path(__file__).resolve().parents[1] / "dashboard" / "dist"
"""Where it is built."""

ASSETS: Final = "/assets/{name}"
GRAPHIQL: Final = "/graphiql"

_PAGE: Final = "index.html"
_GRAPHIQL_PAGE: Final = "graphiql.html"
_OTHERS: Final = frozenset({"assets", "graphiql", "graphql", "healthz", "metrics", "readyz", "session", "webhooks"})
"""The first segments of paths that never show the page."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""By suffix, whatever types the machine knows; a file with another suffix is served as bytes."""

_ENCODINGS: Final = {"br": ".br", "gzip": ".gz"}
"""The smallest first."""

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",  # and WebSockets of this host. Source: CSP level 3, "scheme-part match"
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
_GRAPHIQL_POLICY: Final = {
    **_POLICY,
    "style-src": "'self' 'unsafe-inline'",  # its editor writes styles
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",  # its editor reads documents in workers
}
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_NOT_BUILT: Final = (
    "The dashboard is not built. Run scripts/install in Fluxrate's folder, which builds it where Node.js is installed,"
    " and load this page again. The API at /graphql works without it.\n"
)


def is_built(dist: Path = DIST) -> bool:
    """Whether there is a dashboard to open."""
    return (dist / _PAGE).is_file()


class Dashboard:
    """Serves the folder `dist` to browsers; it may be built while this process runs."""

    def __init__(self, dist: Path, *, graphiql: bool) -> None:
        self._dist = dist
        self._graphiql = graphiql

    def graphiql_path(self) -> str | None:
        """Return GraphiQL's path; None if it is switched off or not built."""
        return GRAPHIQL if self._graphiql and (self._dist / _GRAPHIQL_PAGE).is_file() else None

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Return its routes, which match most paths: list them before / and after all others."""
        return [
            Route(ASSETS, self._asset),
            Route(GRAPHIQL, self._graphiql_page),
            _PageRoute("/{path:path}", self._page),
        ]

    async def _page(self, request: Request) -> Response:
        page = await self._html(request, _PAGE, _POLICY)
        return page or PlainTextResponse(_NOT_BUILT, 404, {**_headers(_POLICY), "cache-control": "no-store"})

    async def _graphiql_page(self, request: Request) -> Response:
        if not self._graphiql:
            raise HTTPException(404, "GraphiQL is switched off on this server (FLUXRATE_GRAPHIQL).")
        page = await self._html(request, _GRAPHIQL_PAGE, _GRAPHIQL_POLICY)
        if page is None:
            raise HTTPException(404)
        return page

    async def _html(self, request: Request, name: str, policy: Mapping[str, str]) -> Response | None:
        """Answer with a page as it is on the disk now; None if there is none."""
        path, encoding = await run_in_threadpool(_chosen, self._dist / name, request)
        content = await run_in_threadpool(_read, path)
        if content is None:
            return None
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {**_headers(policy), **encoding, "cache-control": "no-cache", "etag": etag}
        headers["vary"] = "Accept, Accept-Encoding"
        if _matches(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="text/html")

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if _NAME.fullmatch(name) is None:
            raise HTTPException(404)
        path, encoding = await run_in_threadpool(_chosen, self._dist / "assets" / name, request)
        if not await run_in_threadpool(path.is_file):
            raise HTTPException(404)
        headers = {
            **_headers(_POLICY),
            **encoding,
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "Accept-Encoding",
        }
        return FileResponse(path, headers=headers, media_type=_TYPES.get(Path(name).suffix, "application/octet-stream"))


class _PageRoute(Route):
    """Matches what a browser opens as a page; for all other requests it does not exist."""

    def matches(self, scope: Scope) -> tuple[Match, Any]:
        return super().matches(scope) if _is_opened(scope) else (Match.NONE, {})


def _is_opened(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
        return False
    if scope["path"][1:].partition("/")[0] in _OTHERS:
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _headers(policy: Mapping[str, str]) -> dict[str, str]:
    return {**_HEADERS, "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items())}


def _chosen(path: Path, request: Request) -> tuple[Path, dict[str, str]]:
    """Choose the smallest copy of a file that the client accepts; also return its content-encoding header."""
    accepted = accepted_encodings(request.headers.get("accept-encoding", ""))
    for encoding, suffix in _ENCODINGS.items():
        sibling = path.with_name(path.name + suffix)
        if encoding in accepted and sibling.is_file():
            return sibling, {"content-encoding": encoding}
    return path, {}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether the client's copy is current. Proxies that compress turn an ETag into a weak one."""
    return etag in {each.strip().removeprefix("W/") for each in if_none_match.split(",")} or if_none_match == "*"
