"""Lists narrowed by what their own order doesn't find: by walking where many match, by an index where few do.

Nobody knows beforehand which it is, so a few rows are walked first. What an index finds is put in the list's order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeVar

from tortoise.connection import get_connection
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.dialect import READER
from resolvers.reading import counts
from resolvers.reading.counts import Count, count
from resolvers.reading.statement import statement_of

RowT = TypeVar("RowT", bound=Model)

NEAR: Final = 200
"""How many rows of the list are walked before an index is asked."""

FAR: Final = 2_000
"""How many rows are walked before an index with too many matches is asked for the nearest."""

LOOKED_UP: Final = counts.COUNTED
"""How many rows an index looks up at most: where more match, the list is walked."""

_AT_ONCE: Final = 500
"""How many ids are asked for with one statement."""


class Found(NamedTuple):
    """Where all rows are that meet a condition: ids, and conditions each of which has an index in the list's order."""

    ids: Sequence[str] = ()
    lists: Sequence[Q] = ()


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A condition of a list, and how an index finds what meets it: None where that is too much.

    `nearest` are the ids in a part of the list that meet it, in its order, as many as are asked for or there are.
    """

    holds: Q
    find: Callable[[], Awaitable[Found | None]]
    nearest: Callable[["Between", int], Awaitable[list[str]]] | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """A part of a list by its unique column, both ends left out, and from which end it is read."""

    low: str | int | None
    high: str | int | None
    descending: bool
    key: str = "id"

    def narrow(self, rows: QuerySet[RowT]) -> QuerySet[RowT]:
        """The rows of the part, in its order."""
        if self.low is not None:
            rows = rows.filter(**{f"{self.key}__gt": self.low})
        if self.high is not None:
            rows = rows.filter(**{f"{self.key}__lt": self.high})
        way = "-" if self.descending else ""
        return rows.order_by(f"{way}workspace_id", f"{way}{self.key}")

    def beyond(self, id_: str) -> "Between":
        """The rest of the part, after one of its rows."""
        return replace(self, high=id_) if self.descending else replace(self, low=id_)

    def narrow_ids(self, ids: Sequence[str]) -> list[str]:
        """The ids of the part, in its order."""
        low, high = self.low, self.high
        inside = {i for i in ids if (low is None or i > str(low)) and (high is None or i < str(high))}
        return sorted(inside, reverse=self.descending)


EVERYTHING: Final = Between(None, None, descending=True)


def by_index(rows: QuerySet[Any], column: str, holds: Q) -> Narrowing:
    """A condition with an index in a column's order. `rows` are all of the workspace's."""

    async def find() -> Found | None:
        found = await rows.filter(holds).order_by(column).limit(LOOKED_UP + 1).values_list("id", flat=True)
        return None if len(found) > LOOKED_UP else Found([str(id_) for id_ in found])

    return Narrowing(holds, find)


def among(column: str, values: Sequence[str], workspace_id: str) -> Narrowing:
    """A column with one of a few values, each of which has an index in the list's order."""

    async def find() -> Found | None:
        return Found(lists=[Q(**{column: value}, workspace_id=workspace_id) for value in values])

    meant: dict[str, Any] = {f"{column}__in": list(values)}
    return Narrowing(Q(**meant), find)


Read = Callable[[QuerySet[Any]], Awaitable[list[Any]]]
"""Reads the rows of a query."""


async def whole(rows: QuerySet[Any]) -> list[Any]:
    """The rows as models."""
    return list(await rows)


async def take(
    rows: QuerySet[RowT],
    narrowings: Sequence[Narrowing],
    part: Between,
    limit: int,
    read: Read = whole,
) -> list[RowT]:
    """The first few rows of a part of a list that meet all conditions; without any of these, as they are `read`."""
    listed = part.narrow(rows)
    if not narrowings:
        return await read(listed.limit(limit))
    holding = listed.filter(*(narrowing.holds for narrowing in narrowings))
    near = await _of_nearest(listed, NEAR, holding.limit(limit))
    if len(near) == limit:
        return near
    found = await _first_found(narrowings)
    if found is None:
        return await _of_many(listed, narrowings, part, limit)
    lists = [_of_ids(holding, part.narrow_ids(found.ids), limit)]
    lists += [_of_list(holding.filter(each), limit) for each in found.lists]
    together = {row.pk: row for some in await asyncio.gather(*lists) for row in some}
    return [together[id_] for id_ in sorted(together, reverse=part.descending)[:limit]]


async def _of_many(listed: QuerySet[RowT], narrowings: Sequence[Narrowing], part: Between, limit: int) -> list[RowT]:
    """The first few rows where too many meet each condition to be looked up, perhaps all of them far away."""
    holding = listed.filter(*(narrowing.holds for narrowing in narrowings))
    nearest = next((narrowing.nearest for narrowing in narrowings if narrowing.nearest is not None), None)
    if nearest is None:
        return list(await holding.limit(limit))
    found = await _of_nearest(listed, FAR, holding.limit(limit))
    if len(found) == limit:
        return found
    found = []
    while len(found) < limit:
        ids = await nearest(part, _AT_ONCE)
        found += await _of_ids(holding, ids, limit - len(found))
        if len(ids) < _AT_ONCE:
            break
        part = part.beyond(ids[-1])
    return found


async def count_narrowed(rows: QuerySet[Any], narrowings: Sequence[Narrowing]) -> Count:
    """Count the rows that meet all conditions, as far as is worth it."""
    number = 0
    for some in await pieces(rows, narrowings):
        counted = await count(some)
        number += counted.number
        if number > counts.COUNTED or not counted.is_exact:
            return Count(counts.COUNTED, is_exact=False)
    return Count(number)


async def pieces(rows: QuerySet[RowT], narrowings: Sequence[Narrowing]) -> list[QuerySet[RowT]]:
    """The rows that meet all conditions, in parts that an index finds each."""
    holding = rows.filter(*(narrowing.holds for narrowing in narrowings))
    found = await _first_found(narrowings)
    if found is None:  # as without narrowings
        return [holding]
    others = holding.filter(*(~each for each in found.lists))
    ids = [list(found.ids[begin : begin + _AT_ONCE]) for begin in range(0, len(found.ids), _AT_ONCE)]
    return [*(holding.filter(each) for each in found.lists), *(others.filter(id__in=few) for few in ids)]


async def _of_nearest(listed: QuerySet[RowT], number: int, holding: QuerySet[RowT]) -> list[RowT]:
    """What holds among the first rows of a list: the rows are read in order, until there are enough."""
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
