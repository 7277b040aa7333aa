"""Pages by keyset: a cursor is a place between two rows, so pages don't shift when rows are added."""

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
"""How far a row's id, or its number in the log, may be from its instant."""

RowT = TypeVar("RowT", bound=Model)


def made_between(prefix: Prefix, column: str, after: datetime | None, before: datetime | None) -> list[Q]:
    """Make the conditions that rows have a time in a range, also by their ids, which have an index.

    An id is about as old as its row.
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
    """Shift an instant; return it unchanged if the result would be out of range."""
    try:
        return instant + by
    except OverflowError:
        return instant


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Relay's arguments, as the caller gave them."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def size(self) -> int:
        """Return the number of rows that the page has at most.

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
        """Whether the page is read from the end."""
        return self.last is not None


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Rows in the list's order, whether there are others beyond them, and how to count all."""

    rows: list[RowT]
    cursor_of: Callable[[int], str]
    """Makes the cursor of the row at an index of the page."""
    has_next: bool
    has_previous: bool
    count: Counting

    @property
    def cursors(self) -> list[str]:
        """The cursors of the rows."""
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
    """Read one page of a query, ordered by a unique column that never changes.

    `counting` counts the rows, if that can be done faster. Narrowings are for lists by id only. `read` may read only
    some columns, if there are no narrowings.

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
    """Make the cursor of a place in a list, opaque to clients."""
    return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, key: str, argument: str) -> str | int:
    """Return the place that a cursor stands for.

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
    """Make the error for a text that isn't a cursor of a list."""
    return InvalidInputError(
        f'"{argument}" is not a cursor of this list: take endCursor or startCursor from an earlier page that was asked'
        " for in the same order.",
        path=[argument],
    )
