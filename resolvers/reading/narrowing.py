"""Lists with conditions that their own order has no index for.

Nobody knows beforehand whether many rows match. So a few rows of the list are scanned first, which is enough if many
do; otherwise an index finds the matching ids, which are put in the list's order.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeVar

from tortoise.connection import get_connection
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.dialect import READER, STATEMENT_TIMEOUT_S
from database.scope import first_column
from errors import TimedOutError
from resolvers.reading import counts
from resolvers.reading.counts import Count, count
from resolvers.reading.filters import conditions_of, owner_in
from resolvers.reading.statement import statement_of

RowT = TypeVar("RowT", bound=Model)

NEAR: Final = 200
"""How many rows of the list are scanned before an index is used."""

FAR: Final = 2_000
"""How many rows are scanned if the index has too many matches, before it is asked for the nearest ones."""

LOOKED_UP: Final = counts.COUNTED
"""How many matches an index may have; if it has more, the list is scanned."""

_AT_ONCE: Final = 500
"""How many ids one statement looks up."""


class Sublist(NamedTuple):
    """Rows with an index in the list's order: their condition, and the index's first column."""

    holds: Q
    first: str = "workspace_id"


class Found(NamedTuple):
    """All rows that meet a condition: their ids, or sublists."""

    ids: Sequence[str] = ()
    lists: Sequence[Sublist] = ()


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A condition of a list, and how an index finds the rows that meet it; it finds None if there are too many.

    `nearest` returns ids that meet it in a part of the list, in its order, up to a number.
    """

    holds: Q
    find: Callable[[], Awaitable[Found | None]]
    nearest: Callable[["Between", int], Awaitable[list[str]]] | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """A part of a list, by its unique column, without both ends; and the direction in which it is read."""

    low: str | int | None
    high: str | int | None
    descending: bool
    key: str = "id"

    def narrow(self, rows: QuerySet[RowT]) -> QuerySet[RowT]:
        """Restrict rows to the part, in its order."""
        if self.low is not None:
            rows = rows.filter(**{f"{self.key}__gt": self.low})
        if self.high is not None:
            rows = rows.filter(**{f"{self.key}__lt": self.high})
        return self.sort(rows, first_column(rows))

    def sort(self, rows: QuerySet[RowT], first: str) -> QuerySet[RowT]:
        """Put rows in the part's order, by the index with this first column."""
        way = "-" if self.descending else ""
        return rows.order_by(f"{way}{first}", f"{way}{self.key}")

    def beyond(self, id_: str) -> "Between":
        """Return the rest of the part after a row."""
        return replace(self, high=id_) if self.descending else replace(self, low=id_)

    def narrow_ids(self, ids: Sequence[str]) -> list[str]:
        """Keep the ids within the part, in its order."""
        low, high = self.low, self.high
        inside = {i for i in ids if (low is None or i > str(low)) and (high is None or i < str(high))}
        return sorted(inside, reverse=self.descending)


EVERYTHING: Final = Between(None, None, descending=True)


def by_index(rows: QuerySet[Any], column: str, holds: Q) -> Narrowing:
    """Make the narrowing of a condition with an index in a column's order; `rows` are all of the workspace's."""

    async def find() -> Found | None:
        found = await rows.filter(holds).order_by(column).limit(LOOKED_UP + 1).values_list("id", flat=True)
        return None if len(found) > LOOKED_UP else Found([str(id_) for id_ in found])

    return Narrowing(holds, find)


def among(column: str, values: Sequence[str]) -> Narrowing:
    """Make the narrowing of a column with one of some values, each with an index in the list's order."""

    async def find() -> Found | None:
        return Found(lists=[sublist(column, value) for value in values])

    condition: dict[str, Any] = {f"{column}__in": list(values)}
    return Narrowing(Q(**condition), find)


def sublist(column: str, value: str) -> Sublist:
    """Make the sublist of rows with a value in a column, which has an index by it and the id."""
    named = {column: value}
    (holds,) = conditions_of(named)
    return Sublist(holds, owner_in(named) or "workspace_id")


Read = Callable[[QuerySet[Any]], Awaitable[list[Any]]]
"""Reads the rows of a query."""


async def whole(rows: QuerySet[Any]) -> list[Any]:
    """Read whole rows, as models."""
    return list(await rows)


async def take(
    rows: QuerySet[RowT],
    narrowings: Sequence[Narrowing],
    part: Between,
    limit: int,
    read: Read = whole,
) -> list[RowT]:
    """Return the first rows of a part that meet all conditions; only if there are no conditions, `read` reads them."""
    listed = part.narrow(rows)
    if not narrowings:
        return await read(listed.limit(limit))
    holding = listed.filter(*(narrowing.holds for narrowing in narrowings))
    near = await matching_among(listed, NEAR, holding.limit(limit))
    if len(near) == limit:
        return near
    found = await _first_found(narrowings)
    if found is None:
        return await _of_many(listed, narrowings, part, limit)
    lists = [_of_ids(holding, part.narrow_ids(found.ids), limit)]
    lists += [_of_list(part.sort(holding.filter(each.holds), each.first), limit) for each in found.lists]
    together = {row.pk: row for some in await asyncio.gather(*lists) for row in some}
    return [together[id_] for id_ in sorted(together, reverse=part.descending)[:limit]]


def stopwatch() -> Callable[[], None]:
    """Make a function that stops a walk of many statements after the time that one statement may take.

    Raises:
        TimedOutError: The time is over.
    """
    ends_at = time.monotonic() + STATEMENT_TIMEOUT_S

    def stop_when_over() -> None:
        if time.monotonic() > ends_at:
            raise TimedOutError("The matching rows are too far from the beginning of the list: narrow the filter.")

    return stop_when_over


async def _of_many(listed: QuerySet[RowT], narrowings: Sequence[Narrowing], part: Between, limit: int) -> list[RowT]:
    """Return the first matching rows if too many meet each condition, though all of them may be far away."""
    holding = listed.filter(*(narrowing.holds for narrowing in narrowings))
    nearest = next((narrowing.nearest for narrowing in narrowings if narrowing.nearest is not None), None)
    if nearest is None:
        return list(await holding.limit(limit))
    found = await matching_among(listed, FAR, holding.limit(limit))
    if len(found) == limit:
        return found
    found, stop_when_over = [], stopwatch()
    while len(found) < limit:
        stop_when_over()
        ids = await nearest(part, _AT_ONCE)
        found += await _of_ids(holding, ids, limit - len(found))
        if len(ids) < _AT_ONCE:
            break
        part = part.beyond(ids[-1])
    return found


async def count_narrowed(rows: QuerySet[Any], narrowings: Sequence[Narrowing]) -> Count:
    """Count the rows that meet all conditions, up to COUNTED."""
    number = 0
    for some in await pieces(rows, narrowings):
        counted = await count(some)
        number += counted.number
        if number > counts.COUNTED or not counted.is_exact:
            return Count(counts.COUNTED, is_exact=False)
    return Count(number)


async def pieces(rows: QuerySet[RowT], narrowings: Sequence[Narrowing]) -> list[QuerySet[RowT]]:
    """Split the rows that meet all conditions into queries that an index serves."""
    holding = rows.filter(*(narrowing.holds for narrowing in narrowings)).order_by()
    found = await _first_found(narrowings)
    if found is None:  # as without narrowings
        return [holding]
    others = holding.filter(*(~each.holds for each in found.lists))
    ids = [list(found.ids[begin : begin + _AT_ONCE]) for begin in range(0, len(found.ids), _AT_ONCE)]
    return [*(holding.filter(each.holds) for each in found.lists), *(others.filter(id__in=few) for few in ids)]


async def matching_among(listed: QuerySet[RowT], number: int, holding: QuerySet[RowT]) -> list[RowT]:
    """Return the matching rows among the first `number` of a list; the database stops when it has enough.

    It can't look for matching rows elsewhere first, however few of them it expects.
    """
    statement = statement_of(holding)
    statement._from = [statement_of(listed.limit(number)).as_(holding.model._meta.db_table)]  # type: ignore[list-item]
    answer = await get_connection(READER).execute_query_dict(*statement.get_parameterized_sql())
    return [holding.model._init_from_db(**row) for row in answer]


async def _first_found(narrowings: Sequence[Narrowing]) -> Found | None:
    for narrowing in narrowings:
        found = await narrowing.find()
        if found is not None:
            return found
    return None


async def _of_list(rows: QuerySet[RowT], limit: int) -> list[RowT]:
    return list(await rows.limit(limit))


async def _of_ids(rows: QuerySet[RowT], ids: Sequence[str], limit: int) -> list[RowT]:
    found: list[RowT] = []
    for begin in range(0, len(ids), _AT_ONCE):
        found += await rows.filter(id__in=list(ids[begin : begin + _AT_ONCE])).limit(limit - len(found))
        if len(found) >= limit:
            break
    return found
