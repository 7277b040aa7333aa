"""Pages of rows by keyset: a cursor is a place between two rows, so nothing shifts when rows are added."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from database.conditions import unestimated
from errors import InvalidInputError
from models.ids import MAX_ID_LENGTH, Prefix, first_id_at
from resolvers.reading.counts import Counting
from resolvers.reading.narrowing import Between, Narrowing, Read, count_narrowed, take, whole

DEFAULT_PAGE: Final = 50
MAX_PAGE_SIZE: Final = 100
SLACK: Final = timedelta(hours=1)
"""How far an id, or a number of the log, may be from its row's instant."""

RowT = TypeVar("RowT", bound=Model)


def made_between(prefix: Prefix, column: str, after: datetime | None, before: datetime | None) -> list[Q]:
    """The conditions that rows were made in a time, which a column has: by their ids, too, for which there is an index.

    The ids are as old as the rows, give or take.
    """
    conditions = []
    if after is not None:
        first = first_id_at(prefix, shifted(after, -SLACK))
        conditions += [unestimated(f"{column}__gt", after), unestimated("id__gte", first)]
    if before is not None:
        end = first_id_at(prefix, shifted(before, SLACK))
        conditions += [unestimated(f"{column}__lt", before), unestimated("id__lt", end)]
    return conditions


def shifted(instant: datetime, by: timedelta) -> datetime:
    """Another instant, or the same where there is none so far away."""
    try:
        return instant + by
    except OverflowError:
        return instant


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Relay's arguments, as they came."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """How many rows are wanted.

        Raises:
            InvalidInputError: It is not from 1 to 100, or both `first` and `last` are given.
        """
        if self.first is not None and self.last is not None:
            raise InvalidInputError('Give either "first" or "last", not both.', path=["last"])
        for name, value in (("first", self.first), ("last", self.last)):
            if value is not None and not 1 <= value <= MAX_PAGE_SIZE:
                raise InvalidInputError(f'"{name}" must be from 1 to {MAX_PAGE_SIZE}, not {value}.', path=[name])
        return self.last or self.first or DEFAULT_PAGE

    @property
    def backwards(self) -> bool:
        """Whether the page is taken from the end."""
        return self.last is not None


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Rows in the list's order, what lies beyond them, and how to count all."""

    rows: list[RowT]
    cursor_of: Callable[[int], str]
    """The cursor of the row at a place of the page."""
    has_next: bool
    has_previous: bool
    count: Counting

    @property
    def cursors(self) -> list[str]:
        """The places of the rows in their list."""
        return list(map(self.cursor_of, range(len(self.rows))))


async def page(
    rows: QuerySet[RowT],
    request: PageRequest,
    *,
    descending: bool,
    key: str = "id",
    counting: Counting | None = None,
    narrowings: Sequence[Narrowing] = (),
    read: Read = whole,
) -> Page[RowT]:
    """One page of a query, ordered by a unique column that is never changed. `counting` knows how many rows there are.

    Only a list by id has narrowings. `read` may read a part of each row's columns, where there are none.

    Raises:
        InvalidInputError: The arguments don't go together, or a cursor is not one of this list's.
    """
    size = request.size
    after = None if request.after is None else decode_cursor(request.after, key, "after")
    before = None if request.before is None else decode_cursor(request.before, key, "before")
    low, high = (before, after) if descending else (after, before)
    part = Between(low, high, descending=descending is not request.backwards, key=key)
    found = await take(rows, narrowings, part, size + 1, read)
    more = len(found) > size
    found = found[:size]
    if request.backwards:
        found.reverse()
    return Page(
        rows=found,
        cursor_of=lambda place: encode_cursor(getattr(found[place], key)),
        has_next=request.before is not None if request.backwards else more,
        has_previous=more if request.backwards else request.after is not None,
        count=counting or (lambda: count_narrowed(rows, narrowings)),
    )


def encode_cursor(value: str | int) -> str:
    """A place in a list, opaque to clients."""
    return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, key: str, argument: str) -> str | int:
    """The place that a cursor stands for.

    Raises:
        InvalidInputError: It is not a cursor of this kind of list.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        value = int(text) if key == "number" else text
        is_plain = text.isascii() and text.isprintable() and len(text) <= MAX_ID_LENGTH
        if encode_cursor(value) == cursor and is_plain:
            return value
    except (binascii.Error, UnicodeError, ValueError):
        pass
    raise wrong_cursor(argument)


def wrong_cursor(argument: str) -> InvalidInputError:
    """What is said of a text that is no cursor of a list."""
    return InvalidInputError(
        f'"{argument}" is not a cursor of this list: take endCursor or startCursor from an earlier page that was asked'
        " for in the same order.",
        path=[argument],
    )
