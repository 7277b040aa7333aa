"""Relay's connections: pages of lists, and the arguments of every list."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import wraps
from typing import Annotated, Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, get_args

import strawberry

from errors import InvalidInputError
from resolvers.reading.counts import Count, Counting, count
from resolvers.reading.loaders import ChildrenLoader
from resolvers.reading.narrowing import Narrowing
from resolvers.reading.pages import Page, PageRequest, encode_cursor, page
from schema.context import given
from schema.enums import CountPrecision, OrderDirection
from schema.node import OfRow

T = TypeVar("T")
NodeT = TypeVar("NodeT")
FieldT = TypeVar("FieldT", bound=Enum)

_PAGE_ARGUMENTS: Final = {
    "first": (int, "How many rows to return from the beginning of the list: 1 to 100, by default 50."),
    "after": (str, "The cursor of a row. The page begins after this row."),
    "last": (int, "How many rows to return from the end of the list, 1 to 100. Use either `last` or `first`."),
    "before": (str, "The cursor of a row. The page ends before this row."),
}
Which = Annotated[T | None, strawberry.argument(description="Which rows to return.")]
Order = Annotated[
    OrderDirection | None,
    strawberry.argument(
        description="The direction of the order by time of creation. By default the newest rows come first."
    ),
]
OrderBy = Annotated[
    T | None,
    strawberry.argument(description="The field to order by, and the direction. Use either `orderBy` or `order`."),
]


def paged(resolver: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Replace the `request` of a list's resolver by Relay's arguments."""

    @wraps(resolver)
    async def with_arguments(
        *sources: Any,
        first: int | None = strawberry.UNSET,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        **others: Any,
    ) -> T:
        return await resolver(*sources, request=asked(first, after, last, before), **others)

    own = inspect.signature(resolver)
    parameters = {**own.parameters}
    of_page = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=strawberry.UNSET,
            annotation=Annotated[type_ | None, strawberry.argument(description=description)],
        )
        for name, (type_, description) in _PAGE_ARGUMENTS.items()
    ]
    before_page = [parameters.pop(name) for name in ("self", "info", "ctx") if name in parameters]
    del parameters["request"]
    after_page = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()]
    signature = own.replace(parameters=[*before_page, *of_page, *after_page])
    with_arguments.__signature__ = signature  # type: ignore[attr-defined]  # which inspect reads, and so Strawberry
    return with_arguments


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether the list has rows after the page.")
    has_previous_page: bool = strawberry.field(description="Whether the list has rows before the page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first row.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last row.")


@strawberry.type(description="A row of a page, with its place in the list.")
class Edge(Generic[NodeT]):
    cursor: str = strawberry.field(description="The row's place in the list, to be given as `after` or `before`.")
    node: NodeT = strawberry.field(description="The row itself.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeT]):
    node_type: ClassVar[type[OfRow[Any]]]
    edges: list[Edge[NodeT]] = strawberry.field(description="The rows with their cursors.")
    nodes: list[NodeT] = strawberry.field(description="The rows without their cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in its list.")
    count: strawberry.Private[Counting]

    def __init_subclass__(cls) -> None:
        """Read the type of the rows: `Invoice` in `class InvoiceConnection(Connection[Invoice])`."""
        super().__init_subclass__()
        (cls.node_type,) = get_args(cls.__orig_bases__[0])  # type: ignore[attr-defined]

    @strawberry.field(
        description=(
            "How many rows the whole list has. Rows are counted only if you select this field. With"
            " some filters, counting stops at 10,000 rows; `totalCountPrecision` says whether the"
            " list may have more rows."
        )
    )
    async def total_count(self) -> int:
        return (await self.count()).number

    @strawberry.field(description="Whether `totalCount` is exact or a lower bound.")
    async def total_count_precision(self) -> CountPrecision:
        return CountPrecision.EXACT if (await self.count()).is_exact else CountPrecision.AT_LEAST

    @classmethod
    def of(cls, found: Page[Any], **asked_for: Any) -> Self:
        """Make a page from rows. `asked_for` are the fields that only this kind of list has."""
        nodes: list[Any] = [cls.node_type.of(row) for row in found.rows]
        cursors = found.cursors
        return cls(
            edges=[Edge(cursor=cursor, node=each) for cursor, each in zip(cursors, nodes, strict=True)],
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=found.has_next,
                has_previous_page=found.has_previous,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=cursors[-1] if cursors else None,
            ),
            count=_once(found.count),
            **asked_for,
        )


def _once(counting: Counting) -> Counting:
    """Count at most once, however often the number is needed.

    If one caller is cancelled, all are: they belong to the same operation.
    """
    known: list[asyncio.Future[Count]] = []

    async def counted() -> Count:
        if not known:
            known.append(asyncio.ensure_future(counting()))
        return await known[0]

    return counted


def asked(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """Read which page the arguments ask for."""
    return PageRequest(given(first), given(after), given(last), given(before))


def newest_first(order: OrderDirection | None) -> bool:
    """Whether a list begins with the newest."""
    return given(order) is not OrderDirection.ASC


class OrderInput(Protocol[FieldT]):
    """An `orderBy`: its `field` is an enum with CREATED_AT."""

    field: FieldT
    direction: OrderDirection


def ordered_by(order: OrderDirection | None, order_by: OrderInput[FieldT] | None) -> tuple[FieldT | None, bool]:
    """Return the field that a list is ordered by, None for creation, and whether the order is descending.

    Raises:
        InvalidInputError: Both arguments are given.
    """
    by = given(order_by)
    if by is None:
        return None, newest_first(order)
    if given(order) is not None:
        raise InvalidInputError('Give either "order" or "orderBy", not both.', path=["order"])
    return None if by.field.value == "CREATED_AT" else by.field, by.direction is OrderDirection.DESC


class Children(Protocol):
    """Makes the loader of a kind of children, for their number per parent and the end to read from."""

    def __call__(self, most: int, *, descending: bool) -> ChildrenLoader[Any]: ...


async def page_of_children(
    children: Children,
    parent_id: str,
    rows: Callable[[], Any],
    request: PageRequest,
    *,
    descending: bool,
    key: str = "id",
    narrowings: Sequence[Narrowing] | None = None,
) -> Page[Any]:
    """Read a page of a parent's rows. A page at an end of the list is loaded together with those of other parents.

    With `narrowings`, those of a filter, the list is read on its own.

    Raises:
        InvalidInputError: The arguments don't go together, or a cursor is not one of this list's.
    """
    if request.after is not None or request.before is not None or narrowings is not None:
        return await page(rows(), request, descending=descending, key=key, narrowings=narrowings or ())
    size = request.size
    loader = children(size + 1, descending=descending is not request.backwards)
    loaded = await loader.load(parent_id)
    found, more = loaded[:size], len(loaded) > size
    if request.backwards:
        found.reverse()
    return Page(
        rows=found,
        cursor_of=lambda place: encode_cursor(getattr(found[place], key)),
        has_next=more and not request.backwards,
        has_previous=more and request.backwards,
        count=lambda: count(rows()),
    )
