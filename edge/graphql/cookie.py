"""The cookie that holds a browser's session.

It is accepted only on requests from a page of this server: browsers also send it with requests that other pages make.
"""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from edge.origin import OwnOrigin
from errors import UnauthenticatedError
from models.secret import Keyring
from models.session import LIFETIME, Session

SECURE_COOKIE: Final = "__Host-fluxrate_session"
"""Over https. The prefix makes browsers accept it from this host and over https only. Source: RFC 6265bis, 4.1.3.2."""

COOKIE: Final = "fluxrate_session"
"""Over http, where browsers store no secure cookies."""

MEANT: Final = "fluxrate-api-key-id"
"""The header with the API key's id of the session that a page was opened in: another tab may have signed in since."""


class SessionCookies:
    """Sets, reads and clears the cookie. `own` checks which page sent a request."""

    def __init__(self, keyring: Keyring, own: OwnOrigin) -> None:
        self._keyring = keyring
        self.own = own

    def of_request(self, request: Request) -> Session | None:
        """Return the session of an HTTP request for an operation; None without a cookie.

        Raises:
            HTTPException: A page of another origin sent it, or it is not a POST.
            UnauthenticatedError: The cookie was not made here.
        """
        sealed = self._sealed(request)
        if sealed is None:
            return None
        if request.method != "POST":
            raise HTTPException(
                403, "A session is accepted for POST requests only: send GET requests with an Authorization header."
            )
        self.own.require_same(request)
        session = Session.opened(sealed, self._keyring)
        if session is None:
            raise UnauthenticatedError("This session is unknown: sign in with an API key of the workspace.")
        if request.headers.get(MEANT, session.api_key_id) != session.api_key_id:
            raise UnauthenticatedError("Another API key has signed in to this browser since: load the page again.")
        return session

    def of_socket(self, handshake: HTTPConnection) -> Session | None:
        """Return the session of the page that opened a WebSocket; None without one, or for another origin's page."""
        return self.seen(handshake) if self.own.is_same(handshake) else None

    def seen(self, connection: HTTPConnection) -> Session | None:
        """Return the session in the cookie, whichever page sent it."""
        sealed = self._sealed(connection)
        return None if sealed is None else Session.opened(sealed, self._keyring)

    def begin(self, response: Response, connection: HTTPConnection, api_key_id: str) -> None:
        """Set the cookie to a new session of an API key."""
        secure = self.own.is_https(connection)
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            Session.begun(api_key_id).sealed(self._keyring),
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    def end(self, response: Response, connection: HTTPConnection) -> None:
        """Clear the cookie."""
        secure = self.own.is_https(connection)
        name = SECURE_COOKIE if secure else COOKIE
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")

    def _sealed(self, connection: HTTPConnection) -> str | None:
        """Return the sealed session. Over https the http cookie is ignored: a neighbouring host could have set it."""
        sealed = connection.cookies.get(SECURE_COOKIE)
        if sealed is None and not self.own.is_https(connection):
            sealed = connection.cookies.get(COOKIE)
        return sealed
