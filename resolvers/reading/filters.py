"""Filters of lists: each restriction is declared once, in the query of its use case.

The filter's fields in the API, the conditions for the database, and the test of a row in memory follow from it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, TypeVar

from tortoise.expressions import Q

from database.conditions import owned_by

T = TypeVar("T")

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "": operator.eq,
    "in": lambda value, values: value in values,
    "gt": operator.gt,
    "lt": operator.lt,
}


def restriction(description: str, *, is_id: bool = False) -> Any:
    """Declare a restriction that clients may use; None means no restriction. `is_id`: by one id or by several."""
    return field(default=None, metadata={"description": description, "is_id": is_id})


def asked_for(restrictions: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the restrictions that have a value."""
    return {name: value for name, value in restrictions.items() if value is not None}


_OWNERS: Final = ("invoice_id", "customer_id", "integration_id")
"""The columns whose index has an owner's rows in the order of their ids; the first has the fewest rows."""


def owner_in(restrictions: Mapping[str, Any]) -> str | None:
    """Return the column of the owner that restrictions name; None if they name none."""
    return next((column for column in _OWNERS if restrictions.get(column) is not None), None)


def conditions_of(restrictions: Mapping[str, Any]) -> list[Q]:
    """Make the conditions of the restrictions that have a value."""
    return [
        owned_by(name, value) if name in _OWNERS else Q(**{name: value})
        for name, value in asked_for(restrictions).items()
    ]


def distinct(values: Sequence[T] | None) -> list[T] | None:
    """Return the values that a filter lists, each once; None if it lists none."""
    return None if values is None else list(set(values))


def meets(restrictions: Mapping[str, Any]) -> Callable[[object], bool]:
    """Make a test whether a row in memory meets what `filter(**restrictions)` would ask the database for."""
    tests = [
        (column, _COMPARISONS[comparison], value)
        for name, value in restrictions.items()
        for column, _, comparison in [name.partition("__")]
    ]
    return lambda row: all(holds(getattr(row, column), value) for column, holds, value in tests)
