"""Reads and writes chosen columns of many rows. Only the model has their names and types."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from tortoise.fields import Field
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model

from database.bulk import columns_of
from database.transaction import Row
from models.instant import from_row

WrittenT = TypeVar("WrittenT")

_AS_READ: Final[dict[type, Callable[[Any], Any]]] = {datetime: from_row, bool: bool}


class Columns(Generic[WrittenT]):
    """Columns that are read or written together, the id first.

    A column is written from the attribute of the same name, or by the function given in `values`; columns in `values`
    are not read.
    """

    def __init__(self, model: type[Model], names: Iterable[str], **values: Callable[[WrittenT], Any]) -> None:
        fields = model._meta.fields_map
        self.types = columns_of(model, dict.fromkeys([*names, *values]))
        """The names of the columns with their types, as `database.bulk` takes them."""
        self._held = tuple(partial(map, values[name]) if name in values else _held(fields[name]) for name in self.types)
        self._plain = tuple((name, _as_read(fields[name])) for name in self.types if name not in values)

    @property
    def listed(self) -> str:
        """Return the columns' names as a SELECT lists them."""
        return ", ".join(self.types)

    def of_all(self, written: Sequence[WrittenT]) -> list[tuple[Any, ...]]:
        """Make the rows to write. They are made column by column, which takes fewer calls."""
        return list(zip(*(held(written) for held in self._held), strict=True))

    def read(self, row: Row) -> dict[str, Any]:
        """Convert a row to attributes, by name."""
        return {
            name: value if (value := row[name]) is None or convert is None else convert(value)
            for name, convert in self._plain
        }


def _held(field: Field[Any]) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Make the function that reads a column's values from many objects."""
    attributes = partial(map, attrgetter(field.model_field_name))
    if not isinstance(field, CharEnumFieldInstance):
        return attributes
    words: dict[Any, str | None] = {None: None, **{member: str(member.value) for member in field.enum_type}}
    return lambda written: map(words.__getitem__, attributes(written))


def _as_read(field: Field[Any]) -> Callable[[Any], Any] | None:
    if isinstance(field, CharEnumFieldInstance):
        return field.enum_type
    return _AS_READ.get(field.field_type)
