"""Signing in: a browser exchanges an API key for a cookie that no script can read."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from edge.graphql.cookie import SessionCookies
from edge.graphql.endpoint import GraphQLEndpoint
from edge.graphql.request import bounded, json_body
from errors import UnauthenticatedError
from resolvers.auth import authenticate

MAX_BODY_BYTES: Final = 4096
_METHODS: Final = "GET, POST, DELETE"
_UNCACHED: Final = {"cache-control": "no-store"}


class SessionEndpoint:
    """The ASGI endpoint of `Route("/session", …)`: POST signs in, DELETE signs out.

    GET says whether the browser is signed in, and whether there is a GraphiQL to link to.
    """

    def __init__(self, graphql: GraphQLEndpoint, cookies: SessionCookies) -> None:
        self._graphql = graphql
        self._cookies = cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, bounded(receive, MAX_BODY_BYTES))
        response = await self._graphql.answered(request, self._answer)
        await response(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> ASGIApp:
        if request.method == "POST":
            return await self._sign_in(request, request_id)
        if request.method == "DELETE":
            return await self._sign_out(request)
        if request.method == "GET":
            return await self._status(request)
        raise HTTPException(405, f"A session takes {_METHODS}.", {"allow": _METHODS})

    async def _sign_in(self, request: Request, request_id: str) -> Response:
        self._cookies.own.require_same(request)
        given = await json_body(request)
        key = given.get("apiKey") if isinstance(given, dict) else None
        if not isinstance(key, str):
            raise HTTPException(400, 'The request must be a JSON object with the API key: {"apiKey": "flx_…"}.')
        operation = await self._graphql.operation(f"Bearer {key}", request_id)
        await self._graphql.count_request(request)
        response = Response(status_code=204, headers=_UNCACHED)
        self._cookies.begin(response, request, operation.caller.api_key.id)
        return response

    async def _sign_out(self, request: Request) -> Response:
        self._cookies.own.require_same(request)
        await self._graphql.count_request(request)
        response = Response(status_code=204, headers=_UNCACHED)
        self._cookies.end(response, request)
        return response

    async def _status(self, request: Request) -> Response:
        self._cookies.own.refuse_foreign(request)
        await self._graphql.count_request(request)
        status = {"signedIn": await self._is_signed_in(request), "graphiql": self._graphql.graphiql_path() is not None}
        return JSONResponse(status, headers=_UNCACHED)

    async def _is_signed_in(self, request: Request) -> bool:
        session = self._cookies.seen(request)
        if session is None:
            return False
        try:
            await authenticate(session)
        except UnauthenticatedError:
            return False
        return True
