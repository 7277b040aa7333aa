"""What the filter of a list asks for: each restriction is declared once, in the query of the use case.

The filter's fields in the API, the conditions for the database and the test of a row at hand all follow from that.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, TypeVar

T = TypeVar("T")

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "": operator.eq,
    "in": lambda value, values: value in values,
    "gt": operator.gt,
    "lt": operator.lt,
}


def restriction(description: str, *, is_id: bool = False) -> Any:
    """Declare a restriction that clients can ask for; None asks for none. `is_id`: by an id, or by any of several."""
    return field(default=None, metadata={"description": description, "is_id": is_id})


def asked_for(restrictions: Mapping[str, Any]) -> dict[str, Any]:
    """The restrictions that have a value: None asks for none."""
    return {name: value for name, value in restrictions.items() if value is not None}


def distinct(values: Sequence[T] | None) -> list[T] | None:
    """The values that a filter lists, each once; None where it lists none."""
    return None if values is None else list(set(values))


def meets(restrictions: Mapping[str, Any]) -> Callable[[object], bool]:
    """The test whether a row at hand meets what `filter(**restrictions)` asks the database for."""
    tests = [
        (column, _COMPARISONS[comparison], value)
        for name, value in restrictions.items()
        for column, _, comparison in [name.partition("__")]
    ]
    return lambda row: all(holds(getattr(row, column), value) for column, holds, value in tests)
