"""Conditions for `filter` that Tortoise itself can't express."""

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pypika_tortoise.context import SqlContext
from pypika_tortoise.functions import Cast
from pypika_tortoise.queries import QueryBuilder, Table
from pypika_tortoise.terms import Array, Criterion, Function, Term, ValueWrapper
from tortoise.expressions import Q, ResolveContext
from tortoise.query_utils import QueryModifier

from database.access import reading_dialect


class Condition(Q):
    """A condition on the rows of a table. Those of the same `shape` differ in their parameters' values alone."""

    def __init__(
        self, shape: tuple[str, ...], criterion_on: Callable[[Table], Criterion], values: Sequence[object] = ()
    ) -> None:
        super().__init__()
        self.shape = shape
        self.values = values
        self._criterion_on = criterion_on

    def __bool__(self) -> bool:
        return True

    def __invert__(self) -> Q:
        return ~Q(self)

    def resolve(self, resolve_context: ResolveContext) -> QueryModifier:
        """The condition."""
        return QueryModifier(where_criterion=self._criterion_on(resolve_context.table))


class Literally(Condition):
    """A condition in SQL, which must never contain a client's text.

    SQLite uses a partial index only if the query repeats its condition word for word.
    """

    def __init__(self, sql: str) -> None:
        super().__init__(("literally", sql), lambda _: _Verbatim(sql))


class _Verbatim(Criterion):
    def __init__(self, sql: str) -> None:
        super().__init__()
        self._sql = sql

    def get_sql(self, ctx: SqlContext) -> str:  # noqa: ARG002
        return self._sql


def owned_by(column: str, id_: str) -> Q:
    """Make a condition that a row has an owner, like a workspace; PostgreSQL plans as if it might have several.

    So a list in the order of the column and the id uses the index of both. If PostgreSQL knew the one owner, the order
    would be the id's alone, and for an owner of many rows it would scan the primary key instead, past all rows that
    others have added since.
    """
    if reading_dialect() == "sqlite":
        return Q(**{column: id_})
    return Condition(("owned", column), lambda table: table[column] == Function("ANY", Array(id_)), [[id_]])


_COMPARISONS: Final[Mapping[str, Callable[[Term, Term], Criterion]]] = {
    "": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
}


def unestimated(name: str, value: str | datetime) -> Q:
    """Like `Q` with a column's name and comparison, but hide the value from PostgreSQL's planner.

    If it expects few matching rows, it chooses an index that finds those of all workspaces.
    """
    if reading_dialect() == "sqlite":
        given: dict[str, Any] = {name: value}
        return Q(**given)
    column, _, comparison = name.partition("__")
    compare = _COMPARISONS[comparison]
    type_ = "timestamptz" if isinstance(value, datetime) else "text"
    selected = QueryBuilder().select(Cast(ValueWrapper(value), type_))
    return Condition(("unestimated", name, type_), lambda table: compare(table[column], selected), [value])
