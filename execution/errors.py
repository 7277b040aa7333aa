"""Turns exceptions into the errors that clients see: in full if they can fix them, otherwise only a request id."""

from typing import Final

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from database.dialect import STATEMENT_TIMEOUT_S
from database.errors import is_stopped, is_unavailable
from errors import (
    ForbiddenError,
    InvalidCursorError,
    RateLimitedError,
    RefusalError,
    TimedOutError,
    UnauthenticatedError,
    UnavailableError,
)
from models.secret import without_secrets

log = structlog.get_logger(__name__)

_TOLD: Final = (RefusalError, UnauthenticatedError, ForbiddenError, InvalidCursorError)
_OF_THE_REQUEST: Final = (CannotGetOperationTypeError, InvalidOperationTypeError, MissingQueryError)


def shown_to_client(error: GraphQLError, request_id: str) -> GraphQLError:
    """Return the error that the client sees. An internal error is logged under the request id.

    GraphQL's own errors, of parsing, validation and coercion, stay as they are, without the secrets that they quote.
    """
    cause = _cause(error)
    if cause is None or isinstance(cause, _OF_THE_REQUEST):
        return _with_code(_without_secrets(error))
    if isinstance(cause, _TOLD):
        return _located(error, cause.message, code=cause.code)
    if isinstance(cause, RateLimitedError):
        known = {"limit": cause.limit, "maximum": cause.maximum}
        return _located(error, cause.message, code=cause.code, retryAfter=cause.retry_after_s, **known)
    if isinstance(cause, RecursionError):
        return _located(error, "The document is nested too deeply.", code="BAD_REQUEST")
    if is_stopped(cause):
        log.warning("question took too long", request_id=request_id, path=error.path)
        limit = f"{STATEMENT_TIMEOUT_S:g} s"
        message = f"This took longer than {limit} and was stopped: narrow the filter, or ask for less at once."
        return _located(error, message, code=TimedOutError.code, requestId=request_id)
    if isinstance(cause, UnavailableError) or is_unavailable(cause):
        log.warning("database unavailable", request_id=request_id, path=error.path, error=repr(cause))
        message = "The database is unavailable right now: nothing was changed, try again in a moment."
        return _located(error, message, code=UnavailableError.code, requestId=request_id)
    log.error("operation failed", request_id=request_id, path=error.path, exc_info=cause)
    message = f"Something went wrong on our side (request {request_id})."
    return _located(error, message, code="INTERNAL_SERVER_ERROR", requestId=request_id)


def of_exception(exception: Exception, request_id: str) -> GraphQLError:
    """Return the error that the client sees for an exception outside of any field."""
    return shown_to_client(GraphQLError(str(exception), original_error=exception), request_id)


def _cause(error: GraphQLError) -> Exception | None:
    """Find the exception behind an error, which GraphQL may have wrapped several times."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _without_secrets(error: GraphQLError) -> GraphQLError:
    error.message = without_secrets(error.message)
    return error


def _with_code(error: GraphQLError) -> GraphQLError:
    """Add the code that Apollo's servers give such an error, by which clients distinguish errors."""
    if error.extensions and "code" in error.extensions:
        return error
    if isinstance(error, GraphQLSyntaxError):
        code = "GRAPHQL_PARSE_FAILED"
    elif error.message.startswith("Variable '$"):
        code = "BAD_USER_INPUT"
    else:
        code = "GRAPHQL_VALIDATION_FAILED"
    error.extensions = {**(error.extensions or {}), "code": code}
    return error


def _located(error: GraphQLError, message: str, **extensions: str | int) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
