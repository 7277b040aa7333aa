"""Walks the index that holds the keys of an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from database.access import fetch, reading_dialect
from database.bulk import any_of
from database.transaction import Row

Value = str | int | date | datetime
Key = tuple[Value, ...]
"""The values of an order's columns, and the id."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the rows with values, without both ends; and the direction in which it is read."""

    low: Key | None
    high: Key | None
    descending: bool

    def beyond(self, key: Key) -> "Part":
        """Return the rest of the part after a key."""
        low, high = (self.low, key) if self.descending else (key, self.high)
        return Part(low, high, self.descending)

    def sort(self, keys: Sequence[Key]) -> list[Key]:
        """Keep the keys within the part, in its order."""
        low, high = self.low, self.high
        inside = (key for key in keys if (low is None or key > low) and (high is None or key < high))
        return sorted(inside, reverse=self.descending)


class Walk(Protocol):
    """Reads the keys of a list in order."""

    async def keys(self, part: Part, limit: int) -> list[Key]:
        """Read the first keys of a part."""

    async def keys_of(self, ids: Sequence[str]) -> list[Key]:
        """Read the keys of these rows; rows without values have none."""


@dataclass(frozen=True, slots=True)
class ByColumns:
    """Walks an index by the workspace, some columns and the id. `pinned` are conditions that the index covers."""

    table: str
    workspace_id: str
    columns: Sequence[str]
    pinned: Sequence[tuple[str, Value | None]] = ()

    async def keys(self, part: Part, limit: int) -> list[Key]:
        """Read the first keys of a part."""
        where = Conditions(("workspace_id = {}", self.workspace_id), *self.pinned)
        where.add_part((*self.columns, "id"), part)
        way = "DESC" if part.descending else "ASC"
        order = ", ".join(f"{column} {way}" for column in (*self.columns, "id"))
        sql = f"SELECT {self._columns} FROM {self.table} WHERE {where} ORDER BY {order} LIMIT {limit}"  # noqa: S608
        return self._keys(await fetch(sql, *where.values))

    async def keys_of(self, ids: Sequence[str]) -> list[Key]:
        """Read the keys of these rows; rows without values have none."""
        condition, value = any_of(reading_dialect(), "id", 2, ids)
        sql = f"SELECT {self._columns} FROM {self.table} WHERE {unindexed('workspace_id')} = $1 AND {condition}"  # noqa: S608
        return self._keys(await fetch(sql, self.workspace_id, value))

    @property
    def _columns(self) -> str:
        return ", ".join((*self.columns, "id"))

    def _keys(self, rows: Sequence[Row]) -> list[Key]:
        keys = (tuple(row[column] for column in (*self.columns, "id")) for row in rows)
        return [key for key in keys if None not in key]


def between(column: str, after: Value | None, before: Value | None) -> list[tuple[str, Value | None]]:
    """Make the conditions that a column is between two values, without them; either may be None."""
    bounds = ((f"{column} > {{}}", after), (f"{column} < {{}}", before))
    return [(text, value) for text, value in bounds if value is not None]


class Conditions:
    """Collects a statement's conditions and their values; in each text `{}` stands for a value."""

    def __init__(self, *conditions: tuple[str, Value | None]) -> None:
        self.values: list[object] = []
        self._texts: list[str] = []
        for text, value in conditions:
            self.add(text, *(() if value is None else (value,)))

    def add(self, text: str, *values: Value) -> None:
        """Add a condition."""
        self._texts.append(text.format(*(self.place(value) for value in values)))

    def add_part(self, columns: Sequence[str], part: Part) -> None:
        """Add the condition that columns are within a part."""
        for sign, key in ((">", part.low), ("<", part.high)):
            if key is not None:
                self.add(f"({', '.join(columns)}) {sign} ({', '.join('{}' for _ in key)})", *key)

    def place(self, value: Value) -> str:
        """Add a value; return its parameter."""
        self.values.append(_as_stored(value))
        return f"${len(self.values)}"

    def __str__(self) -> str:
        return " AND ".join(self._texts)


def unindexed(column: str) -> str:
    """Write a column so that SQLite uses no index by it."""
    return f"+{column}" if reading_dialect() == "sqlite" else column


def _as_stored(value: Value) -> object:
    """Convert a value to the form that the open database stores: SQLite stores days and instants as texts."""
    if reading_dialect() == "postgres" or not isinstance(value, date):
        return value
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
