"""Tortoise's statements: how they are changed before they are sent, and the texts of those that come again.

To write a statement takes longer than to run most of them. Two queries of the same shape have the same text, so it is
written for the first of them, which also shows where its values belong.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from pypika_tortoise.queries import QueryBuilder
from pypika_tortoise.terms import Field
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from database.access import reading_dialect
from database.conditions import Condition

_MAX_KEPT: Final = 512
_PLAIN: Final = frozenset({str, int})
"""The types of values that a statement has as they are."""


def statement_of(rows: QuerySet[Any]) -> QueryBuilder:
    """Return the statement that reads rows. Tortoise's `sql()` would also write it as text."""
    rows._choose_db_if_not_chosen()
    rows._make_query()
    return rows.query


class Written(NamedTuple):
    """A statement as a text with parameters, and their values."""

    sql: str
    values: list[Any]


def selecting(rows: QuerySet[Any], columns: tuple[str, ...], terms: Sequence[Field]) -> Written:
    """Write the statement that reads some columns of rows, which are these terms."""
    values: list[Any] = []
    shape = _shape_of(rows, values)
    key = None if shape is None else (reading_dialect(), rows.model, columns, shape)
    if key in _texts:
        _texts.move_to_end(key)
        return Written(_texts[key], values)
    statement = statement_of(rows)
    statement._selects = [*terms]
    written = Written(*statement.get_parameterized_sql())
    if key is not None and values == written.values and len(set(map(str, values))) == len(values):  # each has its place
        _texts[key] = written.sql
        if len(_texts) > _MAX_KEPT:
            _texts.popitem(last=False)
    return written


_texts: Final[OrderedDict[Hashable, str]] = OrderedDict()


def _shape_of(rows: QuerySet[Any], values: list[Any]) -> Hashable | None:
    """Return all that the text depends on, and add the values of the parameters; None for what is not known here."""
    others = rows._annotations, rows._custom_filters, rows._distinct, rows._offset, rows._select_for_update
    if any(others):
        return None
    shapes = [_shape_of_condition(each, values) for each in rows._q_objects]
    if None in shapes:
        return None
    if rows._limit is not None:
        values.append(rows._limit)
    return (*shapes, *rows._orderings, rows._limit is None)


def _shape_of_condition(condition: Q, values: list[Any]) -> Hashable | None:
    if isinstance(condition, Condition):
        values += condition.values
        return condition.shape
    shapes: list[Hashable | None] = [condition.join_type, condition._is_negated]
    filters: Mapping[str, Any] = condition.filters
    for name, value in filters.items():
        is_list = isinstance(value, list)
        plain = [each.value if isinstance(each, Enum) else each for each in (value if is_list else [value])]
        if not plain or not _PLAIN.issuperset(map(type, plain)):
            return None
        values += plain
        shapes.append((name, len(plain) if is_list else None))
    shapes += [_shape_of_condition(each, values) for each in condition.children]
    return None if None in shapes else tuple(shapes)
