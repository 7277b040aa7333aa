"""Writing many rows with one statement: from `unnest` on PostgreSQL, from a list of `VALUES` on SQLite."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from itertools import chain
from operator import ge
from typing import Any, Final, NamedTuple

import orjson
from tortoise.models import Model

from database.dialect import Dialect
from database.transaction import Transaction

_SPELLED_OUT: Final = 32
_MAX_LISTED: Final = 128
_ANY_LISTED: Final = 8
"""How many rows SQLite gets in one statement: up to eight, or a power of two, so that few statements are prepared.

A statement for many rows takes half the time of one that is run for each.
"""

Columns = Mapping[str, str]
"""Column names with their PostgreSQL types, in the order of a row's values."""

TYPES: Final = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    bytes: "bytea",
    datetime: "timestamptz",
    date: "date",
}
"""The PostgreSQL types of columns."""

_SEPARATOR: Final = "\x1f"
_NULL: Final = "\x1e"
_IN_SQL: Final = {_SEPARATOR: r"E'\x1f'", _NULL: r"E'\x1e'"}
"""The separator of joined texts, and the mark for NULL: asyncpg would inspect each element of an array."""

_TEXT_OF: Final[Mapping[str, Callable[[Any], str] | None]] = {
    "text": None,
    "boolean": str,
    "bigint": str,
    "timestamptz": datetime.isoformat,
    "date": date.isoformat,
}


def columns_of(model: type[Model], names: Iterable[str]) -> dict[str, str]:
    """Columns of a model's table, in the order given."""
    return {name: TYPES[model._meta.fields_map[name].field_type] for name in names}


async def insert_rows(tx: Transaction, table: str, columns: Columns, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows; a conflict with a constraint raises."""
    await _write_rows(tx, table, columns, rows, _insert_unnested, _insert_listed)


async def update_rows(tx: Transaction, table: str, columns: Columns, rows: Sequence[Sequence[object]]) -> None:
    """Update rows by their id, which is the first column."""
    await _write_rows(tx, table, columns, rows, _update_unnested, _update_listed)


async def _write_rows(
    tx: Transaction,
    table: str,
    columns: Columns,
    rows: Sequence[Sequence[object]],
    unnested: Callable[[str, tuple[str, ...], tuple[str, ...], "Shape"], str],
    listed: Callable[[str, tuple[str, ...], int], str],
) -> None:
    if not rows:
        return
    names, types = tuple(columns), tuple(columns.values())
    if tx.dialect == "postgres" and len(rows) > 1:
        given = list(zip(*rows, strict=True))
        shared = _SHAPES[table, names].of(given, len(rows))
        marks, parameters = _marked(given, types, shared)
        await tx.write(table, unnested(table, names, marks, shared), *parameters)
        return
    written = 0
    while written < len(rows):
        count = _listed_of(len(rows) - written)
        values = chain.from_iterable(rows[written : written + count])
        await tx.write(table, listed(table, names, count), *values)
        written += count


class Given(NamedTuple):
    """Rows for a statement on PostgreSQL: the SQL of each column's value, where they come from, and the parameters.

    `source` is empty if there is one row: its values are parameters.
    """

    values: tuple[str, ...]
    source: str
    parameters: Sequence[object]


def given_rows(table: str, columns: Columns, rows: Sequence[Sequence[object]], *, taken: int) -> Given:
    """Make rows the parameters of a statement on PostgreSQL that has `taken` others before them."""
    names, types = tuple(columns), tuple(columns.values())
    given = list(zip(*rows, strict=True))
    shared = _SHAPES[table, names].of(given, len(rows)) if len(rows) > 1 else (True,) * len(names)
    marks, parameters = _marked(given, types, shared, taken)
    source = "" if all(shared) else _unnested(names, marks, shared)
    return Given(tuple(_values(names, marks, shared)), source, parameters)


def _listed_of(rows: int) -> int:
    """Say how many of these rows go into the next statement for SQLite."""
    return rows if rows <= _ANY_LISTED else min(_MAX_LISTED, 1 << (rows.bit_length() - 1))


def any_of(dialect: Dialect, column: str, position: int, values: Iterable[str]) -> tuple[str, object]:
    """A condition that a text column is among values, and its parameter."""
    among = list(values)
    if dialect == "postgres":
        joined = _joined(among)
        if joined is None:
            return f"{column} = ANY(${position}::text[])", among
        return f"{column} = ANY({texts_at(position)})", joined
    room = 1 << (len(among) - 1).bit_length() if among else 0
    return _any_of_json(column, position, room), listed(dialect, among)


@cache
def _any_of_json(column: str, position: int, most: int) -> str:
    """Make a condition that a column is in a JSON list of up to `most` texts; it is false, never NULL, otherwise.

    SQLite assumes 25 rows of a subquery, and reads a whole table that has few times more. So a short list is spelled
    out, and its first text repeated if there are fewer.
    """
    if most > _SPELLED_OUT:
        return f"{column} IN (SELECT value FROM json_each(${position}))"  # noqa: S608
    first = f"json_extract(${position}, '$[0]')"
    if most == 0:
        return f"({first} IS NOT NULL AND {column} = {first})"
    others = [f"coalesce(json_extract(${position}, '$[{place}]'), {first})" for place in range(1, most)]
    return f"{column} IN ({', '.join([first, *others])})"


def listed(dialect: Dialect, ids: Iterable[str]) -> str:
    """Encode ids as one parameter: for `texts_at` on PostgreSQL, for `json_each` on SQLite."""
    return _SEPARATOR.join(ids) if dialect == "postgres" else orjson.dumps(list(ids)).decode()


def texts_at(position: int) -> str:
    """Make the SQL that turns a parameter of PostgreSQL into an array of texts."""
    return f"string_to_array(${position}, {_IN_SQL[_SEPARATOR]})"


def _joined(texts: Sequence[str]) -> str | None:
    """Join texts; None if they could not be separated again."""
    joined = _SEPARATOR.join(texts)
    return joined if joined and joined.count(_SEPARATOR) == len(texts) - 1 else None


Shape = tuple[bool, ...]
"""For each column, whether all rows share one value, which is then sent once instead of as an array."""

_MAX_SHAPES: Final = 4
_MIN_ROWS: Final = 4
"""How many rows a new shape needs: in fewer rows a column often has one value by chance."""


class _Shapes:
    """The shapes in which a statement is sent. There are few, because PostgreSQL prepares each on its own.

    They save time: asyncpg inspects each element of an array, and most columns of a batch have one value in all rows.
    """

    def __init__(self) -> None:
        self._known: list[Shape] = []

    def of(self, given: Sequence[Sequence[object]], count: int) -> Shape:
        """Choose the shape for these columns, of which the first is never shared."""
        same = False, *(column.count(column[0]) == count for column in given[1:])
        if same in self._known:
            return same
        if count >= _MIN_ROWS and len(self._known) < _MAX_SHAPES:
            self._known.append(same)
            return same
        fitting = [shape for shape in self._known if all(map(ge, same, shape))]
        return max(fitting, key=sum, default=(False,) * len(given))


_SHAPES: Final = defaultdict[tuple[str, tuple[str, ...]], _Shapes](_Shapes)


def _marked(
    given: Sequence[Sequence[object]], types: Sequence[str], shared: Shape, taken: int = 0
) -> tuple[tuple[str, ...], list[object]]:
    """Make each column's SQL and the parameters; if all columns can be sent as joined texts, they are.

    The statement has `taken` other parameters before these.
    """
    are_texts = [type_ in _TEXT_OF and not is_shared for type_, is_shared in zip(types, shared, strict=True)]
    texts = [
        _packed(column, type_) if is_text else ""
        for column, type_, is_text in zip(given, types, are_texts, strict=True)
    ]
    if None in texts:
        are_texts = [False] * len(types)
    marks, parameters = list[str](), list[object]()
    for column, type_, is_shared, is_text, text in zip(given, types, shared, are_texts, texts, strict=True):
        position = taken + len(parameters) + 1
        marks.append(_unpacked(position, type_) if is_text else f"${position}::{type_}{'' if is_shared else '[]'}")
        parameters.append(text if is_text else column[0] if is_shared else list(column))
    return tuple(marks), parameters


def _packed(column: Sequence[Any], type_: str) -> str | None:
    """Join the values of a column; None if they could not be separated again."""
    text_of, nulls = _TEXT_OF[type_], column.count(None)
    texts: Sequence[Any] = column
    if text_of is not None:
        texts = [value if value is None else text_of(value) for value in column]
    if nulls:
        texts = [_NULL if text is None else text for text in texts]
    joined = _joined(texts)
    return joined if joined is not None and joined.count(_NULL) == nulls else None


@cache
def _unpacked(position: int, type_: str) -> str:
    array = f"string_to_array(${position}, {_IN_SQL[_SEPARATOR]}, {_IN_SQL[_NULL]})"
    return array if type_ == "text" else f"{array}::{type_}[]"


def _unnested(names: tuple[str, ...], marks: Sequence[str], shared: Shape) -> str:
    """Make the SQL of a table `given` with the columns that the rows don't share."""
    own = [(name, mark) for name, mark, is_shared in zip(names, marks, shared, strict=True) if not is_shared]
    return f"unnest({', '.join(mark for _, mark in own)}) AS given ({', '.join(name for name, _ in own)})"


def _values(names: tuple[str, ...], marks: Sequence[str], shared: Shape) -> list[str]:
    return [mark if is_shared else f"given.{name}" for name, mark, is_shared in zip(names, marks, shared, strict=True)]


@cache
def _insert_unnested(table: str, names: tuple[str, ...], marks: tuple[str, ...], shared: Shape) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(_values(names, marks, shared))}"  # noqa: S608
        f" FROM {_unnested(names, marks, shared)}"
    )


@cache
def _insert_listed(table: str, names: tuple[str, ...], count: int) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) {_listed(names, count)}"


@cache
def _update_unnested(table: str, names: tuple[str, ...], marks: tuple[str, ...], shared: Shape) -> str:
    values = _values(names, marks, shared)
    assignments = ", ".join(f"{name} = {value}" for name, value in zip(names[1:], values[1:], strict=True))
    return (
        f"UPDATE {table} SET {assignments} FROM {_unnested(names, marks, shared)}"  # noqa: S608
        f" WHERE {table}.{names[0]} = given.{names[0]}"
    )


@cache
def _update_listed(table: str, names: tuple[str, ...], count: int) -> str:
    """Make an update. With the sign before its id, SQLite looks up each given row in the table, never the reverse."""
    if count == 1:
        assignments = ", ".join(f"{name} = ${position}" for position, name in enumerate(names[1:], start=2))
        return f"UPDATE {table} SET {assignments} WHERE {names[0]} = $1"  # noqa: S608
    assignments = ", ".join(f"{name} = given.column{position}" for position, name in enumerate(names[1:], start=2))
    return (
        f"UPDATE {table} SET {assignments} FROM ({_listed(names, count)}) AS given"  # noqa: S608
        f" WHERE {table}.{names[0]} = +given.column1"
    )


def _listed(names: tuple[str, ...], count: int) -> str:
    if count == 1:
        return f"VALUES ({', '.join(f'${position}' for position in range(1, len(names) + 1))})"
    row = f"({', '.join('?' * len(names))})"
    return f"VALUES {', '.join([row] * count)}"
