"""Columns of a table as rows are read and written in bulk. Their names and types stand in its model alone."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from tortoise.fields import Field
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model

from database.access import Row
from database.bulk import columns_of
from models.instant import from_row

WrittenT = TypeVar("WrittenT")

_AS_READ: Final[dict[type, Callable[[Any], Any]]] = {datetime: from_row, bool: bool}


class Columns(Generic[WrittenT]):
    """Columns that are read or written together, the id first.

    Each holds the attribute of its name, unless `values` say what else it is to hold: those are only written.
    """

    def __init__(self, model: type[Model], names: Iterable[str], **values: Callable[[WrittenT], Any]) -> None:
        fields = model._meta.fields_map
        self.types = columns_of(model, dict.fromkeys([*names, *values]))
        """Their names with their types, as `database.bulk` takes them."""
        self._held = tuple(partial(map, values[name]) if name in values else _held(fields[name]) for name in self.types)
        self._plain = tuple((name, _as_read(fields[name])) for name in self.types if name not in values)

    @property
    def listed(self) -> str:
        """Their names, as a SELECT has them."""
        return ", ".join(self.types)

    def of_all(self, written: Sequence[WrittenT]) -> list[tuple[Any, ...]]:
        """A row for each; made column by column, which takes few calls."""
        return list(zip(*(held(written) for held in self._held), strict=True))

    def read(self, row: Row) -> dict[str, Any]:
        """The attributes that a row holds, by name."""
        return {
            name: value if (value := row[name]) is None or convert is None else convert(value)
            for name, convert in self._plain
        }


def _held(field: Field[Any]) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Make what a column holds of many."""
    attributes = partial(map, attrgetter(field.model_field_name))
    if not isinstance(field, CharEnumFieldInstance):
        return attributes
    words: dict[Any, str | None] = {None: None, **{member: str(member.value) for member in field.enum_type}}
    return lambda written: map(words.__getitem__, attributes(written))


def _as_read(field: Field[Any]) -> Callable[[Any], Any] | None:
    if isinstance(field, CharEnumFieldInstance):
        return field.enum_type
    return _AS_READ.get(field.field_type)
