"""Counts the rows of a list: exactly from the stored sums, where there are fitting ones, or else up to a limit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from tortoise.connection import get_connection
from tortoise.queryset import QuerySet

from database.access import fetch, reading_dialect
from database.bulk import any_of
from database.dialect import READER
from resolvers.reading.statement import statement_of

COUNTED: Final = 10_000
"""The limit up to which rows are counted."""


class Count(NamedTuple):
    """A number of rows, exact or a lower bound."""

    number: int
    is_exact: bool = True


Counting = Callable[[], Awaitable[Count]]


async def count(rows: QuerySet[Any]) -> Count:
    """Count rows, up to COUNTED."""
    sql, values = statement_of(rows.only("id").limit(COUNTED + 1)).get_parameterized_sql()
    answer = await get_connection(READER).execute_query_dict(f"SELECT COUNT(*) AS n FROM ({sql}) AS few", values)  # noqa: S608
    number = int(answer[0]["n"])
    return Count(min(number, COUNTED), number <= COUNTED)


def summed(table: str, workspace_id: str, **among: Sequence[str] | None) -> Counting:
    """Count by a table of sums: add up those whose keys are among the values; None means any value."""

    async def counting() -> Count:
        where, values = conditions(workspace_id, **among)
        sql = f"SELECT COALESCE(SUM(number), 0) AS n FROM {table} WHERE {where}"  # noqa: S608
        return Count(int((await fetch(sql, *values))[0]["n"]))

    return counting


def conditions(workspace_id: str, **among: Sequence[str] | None) -> tuple[str, list[object]]:
    """Make the condition that a workspace's sums have keys among the values, and its parameters."""
    texts, values = ["workspace_id = $1"], list[object]([workspace_id])
    for name, wanted in among.items():
        if wanted is not None:
            text, value = any_of(reading_dialect(), name, len(values) + 1, wanted)
            texts.append(text)
            values.append(value)
    return " AND ".join(texts), values


def only(query: object, *names: str) -> bool:
    """Whether a query restricts nothing but these fields."""
    return all(getattr(query, name) is None for name in _fields(query) if name not in names)


def _fields(query: object) -> Sequence[str]:
    fields: Mapping[str, Any] = query.__dataclass_fields__  # type: ignore[attr-defined]
    return list(fields)


def values_of(members: Sequence[Enum] | None) -> list[str] | None:
    """Return the values of an enum's members, each once."""
    return None if members is None else sorted({str(member.value) for member in members})
