"""Reads some columns of rows as tuples, with the names and properties of their model."""

from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

from tortoise import fields
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.access import fetch_rows, reading_dialect
from database.bulk import listed
from resolvers.reading.loaders import children_query
from resolvers.reading.statement import statement_of

_MAX_KEPT: Final = 256


class FewColumns:
    """Some columns of a model; its rows have them as attributes, and the model's properties."""

    def __init__(self, model: type[Model], names: Iterable[str]) -> None:
        self.names = sorted(names)
        self._table = model._meta.db_table
        self._columns = [(name, _converter(model, name)) for name in self.names]
        properties = {name: each for name, each in vars(model).items() if isinstance(each, property)}
        tuples = namedtuple(f"{model.__name__}Row", self.names)  # type: ignore[misc]
        self._row: Any = type(tuples.__name__, (tuples,), {"__slots__": (), **properties})

    async def read(self, rows: QuerySet[Any]) -> list[Any]:
        """Read the rows of a query, in its order."""
        sql, values = statement_of(rows.only(*self.names)).get_parameterized_sql()
        return self._rows(await fetch_rows(sql, *values))

    async def by_id(self, workspace_id: str, ids: Sequence[str]) -> dict[str, Any]:
        """Read a workspace's rows by their ids; unknown ids are left out."""
        dialect = reading_dialect()
        names = ", ".join(f"c.{name}" for name in self.names)
        among = (
            f"{self._table} c WHERE c.id = ANY($2::text[]) AND c.workspace_id = $1"
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
        columns = dict(zip(found[0].keys(), zip(*found, strict=True), strict=True))
        converted = [
            columns[name] if convert is None else map(convert, columns[name]) for name, convert in self._columns
        ]
        return list(map(self._row, *converted))


@lru_cache(_MAX_KEPT)
def few_columns(model: type[Model], names: frozenset[str]) -> FewColumns:
    """Make the reader of some columns of a model. It takes a while to make the rows' type, so recent ones are kept."""
    return FewColumns(model, names)


def _converter(model: type[Model], name: str) -> Callable[[Any], Any] | None:
    """Find what converts a column's value to the model's; None where it needs no conversion."""
    field = model._meta.fields_map[name]
    if isinstance(field, CharEnumFieldInstance):
        members: Mapping[Any, Any] = {None: None, **{each.value: each for each in field.enum_type}}
        return members.__getitem__
    if isinstance(field, fields.DatetimeField):
        return lambda value: datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(field, fields.DateField):
        return lambda value: date.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(field, fields.BooleanField):
        return lambda value: None if value is None else bool(value)
    return None
