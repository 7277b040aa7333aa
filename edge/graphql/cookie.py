"""The cookie by which browsers bring a session along.

It is accepted only on requests from a page of this server: browsers send it along with whatever other
pages make them ask, too.
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
"""By https. With this prefix browsers take it from this very host alone, by https. Source: RFC 6265bis, 4.1.3.2."""

COOKIE: Final = "fluxrate_session"
"""By http, where browsers keep no secure cookies."""

MEANT: Final = "fluxrate-api-key-id"
"""The header by which a page says whose session it was opened in: another tab may have begun another one."""


class SessionCookies:
    """Makes, reads and clears the cookie. Whose page asks is `own`'s to say."""

    def __init__(self, keyring: Keyring, own: OwnOrigin) -> None:
        self._keyring = keyring
        self.own = own

    def of_request(self, request: Request) -> Session | None:
        """The session that asks for an operation by HTTP; None where no cookie came along.

        Raises:
            HTTPException: It is not this server's own page that asks, or not by POST.
            UnauthenticatedError: The cookie was not made here.
        """
        sealed = self._sealed(request)
        if sealed is None:
            return None
        if request.method != "POST":
            raise HTTPException(403, "A session asks by POST alone: send GET requests with an Authorization header.")
        self.own.require_same(request)
        session = Session.opened(sealed, self._keyring)
        if session is None:
            raise UnauthenticatedError("This session is unknown: sign in with an API key of the workspace.")
        if request.headers.get(MEANT, session.api_key_id) != session.api_key_id:
            raise UnauthenticatedError("Another API key has signed in to this browser since: load the page again.")
        return session

    def of_socket(self, handshake: HTTPConnection) -> Session | None:
        """The session of the page that opened a WebSocket, None where there is none or the page is not ours."""
        return self.seen(handshake) if self.own.is_same(handshake) else None

    def seen(self, connection: HTTPConnection) -> Session | None:
        """The session in a cookie, from any page."""
        sealed = self._sealed(connection)
        return None if sealed is None else Session.opened(sealed, self._keyring)

    def begin(self, response: Response, connection: HTTPConnection, api_key_id: str) -> None:
        """Give the browser a session of an API key."""
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
        """Have the browser forget its session."""
        secure = self.own.is_https(connection)
        name = SECURE_COOKIE if secure else COOKIE
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")

    def _sealed(self, connection: HTTPConnection) -> str | None:
        """What the cookie holds. By https the other one counts for nothing: a neighbouring host could have set it."""
        sealed = connection.cookies.get(SECURE_COOKIE)
        if sealed is None and not self.own.is_https(connection):
            sealed = connection.cookies.get(COOKIE)
        return sealed
