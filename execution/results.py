"""Formats results as JSON, and classifies them."""

from typing import Any, Final

from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from errors import TimedOutError, UnavailableError


def as_json(result: ExecutionResult) -> dict[str, Any]:
    """Format a result to send; without `data` if nothing was executed."""
    answer: dict[str, Any] = {} if is_request_error(result) else {"data": result.data}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        answer["extensions"] = result.extensions
    return answer


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the request failed before execution: no error is a field's."""
    return result.data is None and all(error.path is None for error in result.errors or [])


def is_cut_short(result: ExecutionResult) -> bool:
    """Whether a part is missing: a follower that took it for a whole event would never see the rest."""
    return any((error.extensions or {}).get("code") in _UNANSWERED for error in result.errors or [])


_UNANSWERED: Final = frozenset({UnavailableError.code, TimedOutError.code})


def ends(result: ExecutionResult) -> bool:
    """Whether this result ends a subscription."""
    return isinstance(result, PreExecutionError) or is_request_error(result) or is_cut_short(result)
