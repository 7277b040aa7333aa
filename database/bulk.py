"""Writing many rows with one statement: `unnest` on PostgreSQL, one prepared statement run in C on SQLite."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Final

import orjson
from tortoise.models import Model

from database.access import Transaction
from database.dialect import Dialect

_SPELLED_OUT: Final = 32
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
"""PostgreSQL's types of what is written."""


def columns_of(model: type[Model], names: Iterable[str]) -> dict[str, str]:
    """Columns of a model's table, in the order given."""
    return {name: TYPES[model._meta.fields_map[name].field_type] for name in names}


async def insert_rows(tx: Transaction, table: str, columns: Columns, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows; a conflict with a constraint raises."""
    if not rows:
        return
    names, types = tuple(columns), tuple(columns.values())
    if tx.dialect == "postgres":
        await tx.execute(_insert_unnested(table, names, types), *_by_column(rows))
    else:
        await tx.execute_many(_insert_one(table, names), rows)


async def update_rows(tx: Transaction, table: str, columns: Columns, rows: Sequence[Sequence[object]]) -> None:
    """Update rows by their id, which is the first column."""
    if not rows:
        return
    names, types = tuple(columns), tuple(columns.values())
    if tx.dialect == "postgres":
        await tx.execute(_update_unnested(table, names, types), *_by_column(rows))
    else:
        await tx.execute_many(_update_one(table, names), rows)


def any_of(dialect: Dialect, column: str, position: int, values: Iterable[str]) -> tuple[str, object]:
    """A condition that a text column is among values, and its parameter."""
    among = list(values)
    if dialect == "postgres":
        return f"{column} = ANY(${position}::text[])", listed(dialect, among)
    room = 1 << (len(among) - 1).bit_length() if among else 0
    return _any_of_json(column, position, room), listed(dialect, among)


@cache
def _any_of_json(column: str, position: int, most: int) -> str:
    """A condition on a JSON list of at most this many texts; it is false, never NULL, where none is the column's.

    SQLite takes a subquery for 25 rows and walks through a table that has not many times more. So few are spelled out:
    the first stands in where there are fewer.
    """
    if most > _SPELLED_OUT:
        return f"{column} IN (SELECT value FROM json_each(${position}))"  # noqa: S608
    first = f"json_extract(${position}, '$[0]')"
    if most == 0:
        return f"({first} IS NOT NULL AND {column} = {first})"
    others = [f"coalesce(json_extract(${position}, '$[{place}]'), {first})" for place in range(1, most)]
    return f"{column} IN ({', '.join([first, *others])})"


def listed(dialect: Dialect, values: Iterable[str]) -> object:
    """Texts as one parameter: an array, or JSON for SQLite's `json_each`."""
    return list(values) if dialect == "postgres" else orjson.dumps(list(values)).decode()


def _by_column(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


@cache
def _insert_unnested(table: str, names: tuple[str, ...], types: tuple[str, ...]) -> str:
    arrays = ", ".join(f"${position}::{type_}[]" for position, type_ in enumerate(types, start=1))
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608


@cache
def _insert_one(table: str, names: tuple[str, ...]) -> str:
    marks = ", ".join(f"${position}" for position in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608


@cache
def _update_unnested(table: str, names: tuple[str, ...], types: tuple[str, ...]) -> str:
    arrays = ", ".join(f"${position}::{type_}[]" for position, type_ in enumerate(types, start=1))
    assignments = ", ".join(f"{name} = changed.{name}" for name in names[1:])
    return (
        f"UPDATE {table} SET {assignments} FROM unnest({arrays}) AS changed ({', '.join(names)})"  # noqa: S608
        f" WHERE {table}.{names[0]} = changed.{names[0]}"
    )


@cache
def _update_one(table: str, names: tuple[str, ...]) -> str:
    assignments = ", ".join(f"{name} = ${position}" for position, name in enumerate(names[1:], start=2))
    return f"UPDATE {table} SET {assignments} WHERE {names[0]} = $1"  # noqa: S608
