"""What came of an operation, and what it is called on the wire."""

from typing import Any, Final

from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from errors import TimedOutError, UnavailableError


def as_json(result: ExecutionResult) -> dict[str, Any]:
    """A result as it is sent; without `data` when nothing was executed."""
    answer: dict[str, Any] = {} if is_request_error(result) else {"data": result.data}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        answer["extensions"] = result.extensions
    return answer


def is_request_error(result: ExecutionResult) -> bool:
    """Whether nothing was executed: of such errors none is a field's."""
    return result.data is None and all(error.path is None for error in result.errors or [])


def is_cut_short(result: ExecutionResult) -> bool:
    """Whether a part of it was not answered: a follower who took it for an event would not see that again."""
    return any((error.extensions or {}).get("code") in _UNANSWERED for error in result.errors or [])


_UNANSWERED: Final = frozenset({UnavailableError.code, TimedOutError.code})


def ends(result: ExecutionResult) -> bool:
    """Whether a subscription that comes to this is over."""
    return isinstance(result, PreExecutionError) or is_request_error(result) or is_cut_short(result)
