"""Lists in an order of their own: by a column that may change, then by the id.

The index with the keys in order is walked, and rows are looked up by their ids; a cursor holds a row's key. Rows
without a value come after all others, in either direction.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, TypeVar

import orjson
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.access import reading_dialect
from database.scope import scoped
from errors import InvalidInputError
from resolvers.reading.counts import Counting
from resolvers.reading.narrowing import (
    EVERYTHING,
    LOOKED_UP,
    NEAR,
    Between,
    Found,
    Narrowing,
    count_narrowed,
    matching_among,
    stopwatch,
    take,
)
from resolvers.reading.pages import Page, PageRequest, wrong_cursor
from resolvers.reading.walks import Key, Part, Value, Walk

RowT = TypeVar("RowT", bound=Model)


_AT_ONCE: Final = 500
"""How many rows one statement looks up."""

_NAME: Final = re.compile(r"[A-Za-z_ ]{1,64}")
_MAX_CURSOR_LENGTH: Final = 2048
_MAX_VALUE_LENGTH: Final = 256
_MAX_NUMBER: Final = 2**63 - 1


class Kind(NamedTuple):
    """The type of an order's column, and how its values are read from a cursor's JSON."""

    read: Callable[[str], Value] | None
    type_: type = str


TEXT: Final = Kind(None)
NUMBER: Final = Kind(None, int)
DAY: Final = Kind(date.fromisoformat)
INSTANT: Final = Kind(datetime.fromisoformat)


def order_name(rows: str, by: Enum, *, descending: bool) -> str:
    """Name an order in its cursors: "invoices by TOTAL DESC"."""
    return f"{rows} by {by.value} {'DESC' if descending else 'ASC'}"


# --- Taking rows -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ordering(Generic[RowT]):
    """A list in an order, with its `name` for cursors and the `kinds` of a key's values.

    `rows` and `narrowings` are the list with all its conditions; `unwalked` are those that the walk does not cover.
    `walk` is None if no row of the list has a value; `without` is the condition of rows without one, None if there are
    none.
    """

    name: str
    workspace_id: str
    descending: bool
    kinds: Sequence[Kind]
    rows: QuerySet[RowT]
    narrowings: Sequence[Narrowing]
    walk: Walk | None
    unwalked: Sequence[Narrowing]
    without: Narrowing | None = None

    @property
    def all(self) -> QuerySet[RowT]:
        """All rows of the workspace."""
        return scoped(self.rows.model, self.workspace_id)

    @property
    def holding(self) -> QuerySet[RowT]:
        """The rows that meet all conditions, in no order."""
        return self.rows.filter(*(narrowing.holds for narrowing in self.narrowings)).order_by()


@dataclass(slots=True)
class _Taken(Generic[RowT]):
    """The rows that were found so far, up to a limit.

    Often most rows match. So the first statement looks up only twice as many rows as are needed, and each further
    statement twice as many as the one before it.
    """

    ordering: Ordering[RowT]
    limit: int
    rows: list[tuple[Key, RowT]] = field(default_factory=list)
    _next: int = 0

    def __post_init__(self) -> None:
        self._next = min(_AT_ONCE, 2 * self.limit)

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= self.limit

    async def look_up(self, keys: Sequence[Key]) -> None:
        """Add the rows with these keys that meet all conditions."""
        begin = 0
        while begin < len(keys) and not self.is_full:
            few = keys[begin : begin + self._next]
            begin += len(few)
            self._next = min(_AT_ONCE, 2 * self._next)
            named = self.ordering.all.filter(id__in=[key[-1] for key in few])
            found = {row.pk: row for row in await matching_among(named, len(few), self.ordering.holding)}
            holding = [(key, found[key[-1]]) for key in few if key[-1] in found]
            self.rows += holding[: self.limit - len(self.rows)]


async def _take(ordering: Ordering[RowT], walk: Walk, part: Part, limit: int) -> list[tuple[Key, RowT]]:
    """Return the first rows of a part that meet all conditions; `narrowing` explains how far the list is scanned."""
    taken = _Taken(ordering, limit)
    near = await walk.keys(part, NEAR if ordering.unwalked else limit)
    await taken.look_up(near)
    if taken.is_full or not ordering.unwalked or len(near) < NEAR:
        return taken.rows
    left = part.beyond(near[-1])
    ids = await _ids(ordering)
    if ids is not None:
        await taken.look_up(left.sort([key async for keys in _keys_of(walk, ids) for key in keys]))
        return taken.rows
    stop_when_over = stopwatch()
    while near and not taken.is_full:
        stop_when_over()
        near = await walk.keys(left, _AT_ONCE)
        await taken.look_up(near)
        left = left.beyond(near[-1]) if near else left
    return taken.rows


async def _ids(ordering: Ordering[RowT]) -> Sequence[str] | None:
    """Return the ids of all rows that meet a condition; None if there are too many."""
    for narrowing in ordering.unwalked:
        found = await narrowing.find()
        if found is not None:
            ids = {*found.ids}
            for each in found.lists:
                few = ordering.holding.filter(each.holds).limit(LOOKED_UP + 1)
                ids.update([str(id_) for id_ in await few.values_list("id", flat=True)])
            return list(ids) if len(ids) <= LOOKED_UP else None
    return None


async def _keys_of(walk: Walk, ids: Sequence[str]) -> AsyncIterator[list[Key]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield await walk.keys_of(ids[begin : begin + _AT_ONCE])


def by_restrictions(rows: QuerySet[Any], restrictions: Sequence[Q]) -> list[Narrowing]:
    """Combine conditions that have an index by id into one narrowing; `rows` are all, to be listed by that index."""
    if not restrictions:
        return []

    async def find() -> Found | None:
        few = EVERYTHING.narrow(rows.filter(*restrictions)).limit(LOOKED_UP + 1)
        found = await few.values_list("id", flat=True)
        return None if len(found) > LOOKED_UP else Found([str(id_) for id_ in found])

    return [Narrowing(Q(*restrictions), find)]


# --- Pages -----------------------------------------------------------------------------------------------------

_Place = tuple[Value | None, ...]
"""A place in the list: a key, or for a row without values None for each of them, and the id."""


async def ordered_page(
    ordering: Ordering[RowT], request: PageRequest, *, counting: Counting | None = None
) -> Page[RowT]:
    """Read one page of a list in an order; `counting` counts its rows, if that can be done faster.

    Raises:
        InvalidInputError: The arguments don't go together, or a cursor is not one of this list in this order.
    """
    limit = request.size + 1
    after = None if request.after is None else _decode(ordering, request.after, "after")
    before = None if request.before is None else _decode(ordering, request.before, "before")
    takes = [_take_with(ordering, request, after, before), _take_without(ordering, request, after, before)]
    found: list[tuple[_Place, RowT]] = []
    for take_some in reversed(takes) if request.backwards else takes:
        if len(found) < limit:
            found += await take_some(limit - len(found))
    more, found = len(found) == limit, found[: limit - 1]
    if request.backwards:
        found.reverse()
    return Page(
        rows=[row for _, row in found],
        cursor_of=lambda place: _encode(ordering, found[place][0]),
        has_next=request.before is not None if request.backwards else more,
        has_previous=more if request.backwards else request.after is not None,
        count=counting or (lambda: count_narrowed(ordering.rows, ordering.narrowings)),
    )


_TakeSome = Callable[[int], Awaitable[Sequence[tuple[_Place, RowT]]]]


def _take_with(
    ordering: Ordering[RowT], request: PageRequest, after: _Place | None, before: _Place | None
) -> "_TakeSome[RowT]":
    """Make the function that takes rows with values, which come first."""
    start, end = after, None if before is None or before[0] is None else before
    low, high = (end, start) if ordering.descending else (start, end)

    async def take_some(limit: int) -> Sequence[tuple[_Place, RowT]]:
        if ordering.walk is None or (after is not None and after[0] is None):
            return []
        part = Part(low, high, ordering.descending is not request.backwards)  # type: ignore[arg-type]
        return await _take(ordering, ordering.walk, part, limit)

    return take_some


def _take_without(
    ordering: Ordering[RowT], request: PageRequest, after: _Place | None, before: _Place | None
) -> "_TakeSome[RowT]":
    """Make the function that takes rows without a value."""
    start = None if after is None or after[0] is not None else str(after[-1])
    end = None if before is None else str(before[-1])
    low, high = (end, start) if ordering.descending else (start, end)
    nothing: tuple[None, ...] = (None,) * len(ordering.kinds)

    async def take_some(limit: int) -> Sequence[tuple[_Place, RowT]]:
        if ordering.without is None or (before is not None and before[0] is not None):
            return []
        part = Between(low, high, descending=ordering.descending is not request.backwards)
        rows = await take(ordering.rows, [*ordering.narrowings, ordering.without], part, limit)
        return [((*nothing, row.pk), row) for row in rows]

    return take_some


# --- Cursors ---------------------------------------------------------------------------------------------------


def _encode(ordering: Ordering[Any], place: _Place) -> str:
    values = [value.isoformat(" ") if isinstance(value, datetime) else value for value in place]
    content = orjson.dumps([ordering.workspace_id, ordering.name, *values])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(ordering: Ordering[Any], cursor: str, argument: str) -> _Place:
    """Return the place that a cursor stands for.

    Raises:
        InvalidInputError: It is not a cursor of this workspace's list in this order.
    """
    content = _parsed(cursor)
    if content is None or content[0] != ordering.workspace_id:
        raise wrong_cursor(argument)
    if content[1] != ordering.name:
        raise InvalidInputError(
            f'"{argument}" is a cursor of {content[1]}, and this list is {ordering.name}: a cursor is valid only in the'
            " order that it comes from. Begin with the first page.",
            code="CURSOR_OF_ANOTHER_ORDER",
            path=[argument],
        )
    *values, id_ = content[2:]
    if len(values) != len(ordering.kinds) or not isinstance(id_, str) or not _is_plain(id_):
        raise wrong_cursor(argument)
    if ordering.without is not None and all(value is None for value in values):
        return (*values, id_)
    try:
        return (*(_value(value, kind) for value, kind in zip(values, ordering.kinds, strict=True)), id_)
    except (TypeError, ValueError, OverflowError):
        raise wrong_cursor(argument) from None


def _parsed(cursor: str) -> list[Any] | None:
    """Parse a cursor into the workspace, the order's name, and a place; None if it isn't one."""
    if len(cursor) > _MAX_CURSOR_LENGTH:
        return None
    try:
        content = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        return None
    is_one = (
        isinstance(content, list) and len(content) > 3 and isinstance(content[1], str) and _NAME.fullmatch(content[1])
    )
    return content if is_one else None


def _is_plain(text: str) -> bool:
    return len(text) <= _MAX_VALUE_LENGTH and "\0" not in text


def _value(value: object, kind: Kind) -> Value:
    """Convert a value of a cursor to the type that a walk compares.

    Raises:
        TypeError, ValueError: It is none of the kind.
    """
    if type(value) is not kind.type_ or (isinstance(value, int) and abs(value) > _MAX_NUMBER):
        raise TypeError
    if isinstance(value, str) and not _is_plain(value):
        raise ValueError
    read = value if kind.read is None else kind.read(value)  # type: ignore[arg-type]
    if isinstance(read, datetime):
        if read.tzinfo is None:
            raise ValueError
        read = read.astimezone(UTC)
    stored: Value = value if isinstance(value, str) and reading_dialect() == "sqlite" else read  # type: ignore[assignment]
    return stored
