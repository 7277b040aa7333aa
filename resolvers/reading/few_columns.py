"""Reads some columns of rows as tuples, with the names and properties of their model."""

from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache, partial
from itertools import repeat
from types import NoneType
from typing import Any, Final

from tortoise import fields
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.access import fetch_rows, reading_dialect
from database.bulk import listed, texts_at
from resolvers.reading.loaders import children_query
from resolvers.reading.statement import selecting

_MAX_KEPT: Final = 256


class FewColumns:
    """Some columns of a model; its rows have them as attributes, and the model's properties."""

    def __init__(self, model: type[Model], names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        self._table = model._meta.db_table
        self._selects = [model._meta.basetable[name] for name in self.names]
        self._converters = [_converter(model, name) for name in self.names]
        properties = {name: each for name, each in vars(model).items() if isinstance(each, property)}
        tuples = namedtuple(f"{model.__name__}Row", self.names)  # type: ignore[misc]
        self._row: Any = type(tuples.__name__, (tuples,), {"__slots__": (), **properties})

    async def read(self, rows: QuerySet[Any]) -> list[Any]:
        """Read the rows of a query, in its order."""
        written = selecting(rows, self.names, self._selects)
        return self._rows(await fetch_rows(written.sql, *written.values))

    async def by_id(self, workspace_id: str, ids: Sequence[str]) -> dict[str, Any]:
        """Read a workspace's rows by their ids; unknown ids are left out."""
        dialect = reading_dialect()
        names = ", ".join(f"c.{name}" for name in self.names)
        among = (
            f"{self._table} c WHERE c.id = ANY({texts_at(2)}) AND c.workspace_id = $1"
            if dialect == "postgres"
            else f"json_each($2) k CROSS JOIN {self._table} c ON c.id = k.value AND +c.workspace_id = $1"
        )
        rows = self._rows(await fetch_rows(f"SELECT {names} FROM {among}", workspace_id, listed(dialect, ids)))  # noqa: S608
        return {row.id: row for row in rows}

    async def children(
        self, workspace_id: str, parents: Sequence[str], parent: str, order: str, *, descending: bool, most: int
    ) -> Mapping[str, list[Any]]:
        """Read the first or last rows of each parent, in order."""
        dialect = reading_dialect()
        names = ", ".join(f"c.{name}" for name in self.names)
        sql = children_query(dialect, self._table, names, parent, order, descending=descending, most=most)
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self._rows(await fetch_rows(sql, workspace_id, listed(dialect, parents))):
            found[getattr(row, parent)].append(row)
        return found

    def _rows(self, found: Sequence[Any]) -> list[Any]:
        if not found:
            return []
        converted = [
            column if convert is None else convert(column)
            for column, convert in zip(zip(*found, strict=True), self._converters, strict=True)
        ]
        return list(map(tuple.__new__, repeat(self._row), zip(*converted, strict=True)))


@lru_cache(_MAX_KEPT)
def few_columns(model: type[Model], names: frozenset[str]) -> FewColumns:
    """Make the reader of some columns of a model. It takes a while to make the rows' type, so recent ones are kept."""
    return FewColumns(model, names)


_Column = Iterable[Any]


def _converter(model: type[Model], name: str) -> Callable[[Sequence[Any]], _Column] | None:
    """Find what converts a column's values to the model's; None where they need no conversion."""
    field = model._meta.fields_map[name]
    if isinstance(field, CharEnumFieldInstance):
        members: Mapping[Any, Any] = {None: None, **{each.value: each for each in field.enum_type}}
        return partial(map, members.__getitem__)
    if isinstance(field, fields.DatetimeField):
        return _unless(datetime, lambda value: value and datetime.fromisoformat(value))
    if isinstance(field, fields.DateField):
        return _unless(date, lambda value: value and date.fromisoformat(value))
    if isinstance(field, fields.BooleanField):
        return _unless(bool, lambda value: None if value is None else bool(value))
    return None


def _unless(type_: type, convert: Callable[[Any], Any]) -> Callable[[Sequence[Any]], _Column]:
    """Make a conversion that skips values of the right type: on SQLite some values are texts or numbers instead."""
    as_they_are = {type_, NoneType}
    return lambda values: values if as_they_are.issuperset(map(type, values)) else map(convert, values)
