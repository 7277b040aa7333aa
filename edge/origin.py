"""Checks that a page of this server sent a request: browsers send cookies with the requests of other pages too.

Sources: WHATWG Fetch, "`Origin` header"; W3C, "Fetch Metadata Request Headers". No script can set either header.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_SAME: Final = "same-origin"
_TYPED: Final = "none"
"""The Sec-Fetch-Site of an address that somebody typed."""

_FOREIGN: Final = (
    "A session is for this server's own pages, and the request's Origin header names none of them. Behind a proxy, set"
    " FLUXRATE_PUBLIC_URL to the address that browsers know. A client that is no browser must send its API key in the"
    ' header "Authorization: Bearer flx_…".'
)


class OwnOrigin:
    """The origins of this server's own pages: that of the request's own URL, and `public_url` if it is set.

    `public_url` is needed behind proxies that change the Host header or don't report https.
    """

    def __init__(self, public_url: str | None = None) -> None:
        self._public_origin = None if public_url is None else _origin(*urlsplit(public_url)[:2])

    def require_same(self, connection: HTTPConnection) -> None:
        """Refuse a request unless a page of this server sent it.

        Raises:
            HTTPException: 403.
        """
        if not self.is_same(connection):
            raise HTTPException(403, _FOREIGN)

    def refuse_foreign(self, connection: HTTPConnection) -> None:
        """Refuse a request from a page of another origin. Browsers send no Origin with reads from the same one.

        Raises:
            HTTPException: 403.
        """
        site, has_origin = connection.headers.get("sec-fetch-site"), "origin" in connection.headers
        if site not in {None, _SAME, _TYPED} or (has_origin and not self.is_same(connection)):
            raise HTTPException(403, _FOREIGN)

    def is_same(self, connection: HTTPConnection) -> bool:
        """Whether a page of this server certainly sent the request."""
        origins, site = connection.headers.getlist("origin"), connection.headers.get("sec-fetch-site")
        if connection.scope["type"] == "websocket":
            site = None  # browsers differ in what they make of ws:// there, and all send Origin
        elif not origins:
            return site == _SAME
        return len(origins) == 1 and origins[0] in self._own(connection) and site in {None, _SAME}

    def is_https(self, connection: HTTPConnection) -> bool:
        """Whether the browser used https, as far as can be known."""
        said = connection.headers.get("origin", "")
        return self._scheme(connection) == "https" or (said.startswith("https://") and said in self._own(connection))

    def _own(self, connection: HTTPConnection) -> set[str | None]:
        return {_origin(self._scheme(connection), connection.headers.get("host", "")), self._public_origin}

    def _scheme(self, connection: HTTPConnection) -> str:
        """Return the browser's scheme: at an https public URL's host always https, so no session begins over http."""
        by_https = _origin("https", connection.headers.get("host", ""))
        if by_https is not None and by_https == self._public_origin:
            return "https"
        scheme = str(connection.scope["scheme"])
        return _SCHEMES.get(scheme, scheme)


def _origin(scheme: str, host: str) -> str | None:
    """Write an origin as browsers do: in lower case, without the scheme's default port."""
    return f"{scheme}://{host.lower().removesuffix(_DEFAULT_PORTS[scheme])}" if host else None
