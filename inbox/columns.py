"""A table's columns, each written down once: its name, its type, and what it holds of a row that is to be written."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

WrittenT = TypeVar("WrittenT")


class Columns(Generic[WrittenT]):
    """Columns of a table that are written together, the id first."""

    def __init__(self, *columns: tuple[str, str, Callable[[WrittenT], Any]]) -> None:
        self._values = tuple(value for _, _, value in columns)
        self.types = {name: type_ for name, type_, _ in columns}
        """Their names with their types, as `database.bulk` takes them."""

    def of(self, written: WrittenT) -> tuple[Any, ...]:
        """What they hold of something."""
        return tuple([value(written) for value in self._values])

    def of_all(self, written: Sequence[WrittenT]) -> list[tuple[Any, ...]]:
        """A row for each."""
        return [self.of(each) for each in written]
