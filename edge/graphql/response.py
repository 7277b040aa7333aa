"""Answers over HTTP: results, and refusals in the form that the client accepts."""

from collections.abc import Mapping
from typing import Final

import orjson
from graphql import GraphQLError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from edge.graphql.request import GRAPHQL_RESPONSE, media_type
from edge.graphql.stream import framing_of
from errors import UnavailableError

_CODES: Final = {
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}
_STATUSES: Final = {"BAD_REQUEST": 400, UnavailableError.code: 503}


def refused(request: Request, refusal: HTTPException) -> Response:
    """Refuse a request before it is read as GraphQL."""
    error = GraphQLError(refusal.detail, extensions={"code": _CODES.get(refusal.status_code, "BAD_REQUEST")})
    return _refusal(request, refusal.status_code, error, refusal.headers or {})


def unexecuted(request: Request, error: GraphQLError) -> Response:
    """Refuse a document that can't be executed: with 200 for application/json, 400 otherwise."""
    accept = request.headers.get("accept", "")
    is_400 = framing_of(accept) or media_type(accept) == GRAPHQL_RESPONSE
    return _refusal(request, 400 if is_400 else 200, error, {})


def too_many(connection: HTTPConnection, error: GraphQLError) -> Response:
    """Refuse a request beyond a rate limit, with the seconds to wait."""
    retry_after = str((error.extensions or {})["retryAfter"])
    return _refusal(connection, 429, error, {"retry-after": retry_after})


def unauthenticated(request: Request, error: GraphQLError) -> Response:
    """Refuse a request without a valid API key."""
    return _refusal(request, 401, error, {"www-authenticate": "Bearer"})


def failed(request: Request, error: GraphQLError) -> Response:
    """Answer an internal error, or that the database is unavailable."""
    return _refusal(request, _STATUSES.get(str((error.extensions or {}).get("code")), 500), error, {})


def answer(body: bytes, status: int, kind: str, headers: Mapping[str, str]) -> Response:
    """Answer with a body of a kind that the client accepts."""
    varying = {**headers, "vary": "Accept, Accept-Encoding"}
    return Response(body, status, varying, f"{kind}; charset=utf-8")


def _refusal(request: HTTPConnection, status: int, error: GraphQLError, headers: Mapping[str, str]) -> Response:
    kind = media_type(request.headers.get("accept", ""))
    return answer(orjson.dumps({"errors": [error.formatted]}), status, kind, headers)
