"""Does a request come from a page of this server? Browsers send cookies along with requests of other pages too.

Sources: WHATWG Fetch, "`Origin` header"; W3C, "Fetch Metadata Request Headers". No script of a page can write either.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_SAME: Final = "same-origin"
_BY_HAND: Final = "none"
"""Sec-Fetch-Site of what somebody typed into the address bar."""

_FOREIGN: Final = (
    "A session is for this server's own pages, and the request's Origin header names none of them. Behind a proxy, set"
    " FLUXRATE_PUBLIC_URL to the address that browsers know. What is no browser sends its API key in the header"
    ' "Authorization: Bearer flx_…".'
)


class OwnOrigin:
    """The origins of this server's own pages: the one that a request was sent to, and `public_url` where it is known.

    `public_url` is for proxies that change the Host header, or that say nothing of https.
    """

    def __init__(self, public_url: str | None = None) -> None:
        self._public_origin = None if public_url is None else _origin(*urlsplit(public_url)[:2])

    def require_same(self, connection: HTTPConnection) -> None:
        """Refuse what a page of this server did not send.

        Raises:
            HTTPException: 403.
        """
        if not self.is_same(connection):
            raise HTTPException(403, _FOREIGN)

    def refuse_foreign(self, connection: HTTPConnection) -> None:
        """Refuse what another page sent. Browsers send no origin with reads from the same page.

        Raises:
            HTTPException: 403.
        """
        site, has_origin = connection.headers.get("sec-fetch-site"), "origin" in connection.headers
        if site not in {None, _SAME, _BY_HAND} or (has_origin and not self.is_same(connection)):
            raise HTTPException(403, _FOREIGN)

    def is_same(self, connection: HTTPConnection) -> bool:
        """Whether a page of this server sent this, for certain."""
        origins, site = connection.headers.getlist("origin"), connection.headers.get("sec-fetch-site")
        if connection.scope["type"] == "websocket":
            site = None  # browsers differ in what they make of ws:// there, and all send Origin
        elif not origins:
            return site == _SAME
        return len(origins) == 1 and origins[0] in self._own(connection) and site in {None, _SAME}

    def is_https(self, connection: HTTPConnection) -> bool:
        """Whether the browser came by https, as far as can be known."""
        said = connection.headers.get("origin", "")
        return self._scheme(connection) == "https" or (said.startswith("https://") and said in self._own(connection))

    def _own(self, connection: HTTPConnection) -> set[str | None]:
        return {_origin(self._scheme(connection), connection.headers.get("host", "")), self._public_origin}

    def _scheme(self, connection: HTTPConnection) -> str:
        """The browser's scheme. At the public URL's host it is the public URL's: no session is to be begun below it."""
        by_https = _origin("https", connection.headers.get("host", ""))
        if by_https is not None and by_https == self._public_origin:
            return "https"
        scheme = str(connection.scope["scheme"])
        return _SCHEMES.get(scheme, scheme)


def _origin(scheme: str, host: str) -> str | None:
    """An origin as browsers write it: in small letters, without the scheme's own port."""
    return f"{scheme}://{host.lower().removesuffix(_DEFAULT_PORTS[scheme])}" if host else None
