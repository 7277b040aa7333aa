"""What every resolver is given, and how it reads its arguments."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

import strawberry

from errors import InvalidInputError
from resolvers.context import KEEP, Context, Keep, Window

T = TypeVar("T")


def new_request_id() -> str:
    """What an operation is known by in the log."""
    return uuid4().hex


def _uncounted(_: str) -> None:
    """Nobody counts."""


@dataclass(slots=True)
class Operation(Context):
    """One operation of one caller, as it came in. `request_id` is shown with errors that are our fault.

    `introspection`: whether it may ask for the schema. `running` are the mutations that have begun: they run to
    completion even if the client disconnects, and the server waits for them when it stops. `tells_secret`: whether the
    answer holds a secret, which the length of a compressed answer could betray. `cost`: how much it could answer, None
    while that isn't known. `count_query` is called with what answered a query.
    """

    request_id: str = field(default_factory=new_request_id)
    introspection: bool = True
    running: set[asyncio.Task[Any]] = field(default_factory=set)
    count_query: Callable[[str], None] = field(default=_uncounted)
    tells_secret: bool = False
    cost: int | None = None

    def sibling(self) -> "Operation":
        """Another one of the same caller, which follows from where the log is now."""
        newest = self.caller.workspace.seq
        return Operation(self.services, self.caller, window=Window(after=newest), position=newest)

    def within(self, window: Window) -> "Operation":
        """The same operation, which follows what is within a window."""
        return replace(self, window=window)


Info: TypeAlias = strawberry.Info[Operation, None]


def given(value: T | None) -> T | None:
    """An argument's value, None when it is absent."""
    return None if value is strawberry.UNSET else value


def kept(value: T) -> T | Keep:
    """A field of an update: None clears, absent keeps."""
    return KEEP if value is strawberry.UNSET else value


def set_or_kept(value: T | None, name: str) -> T | Keep:
    """A field of an update that can't be cleared.

    Raises:
        InvalidInputError: It is null.
    """
    if value is None:
        raise InvalidInputError(f"{name} can't be cleared: leave it out to keep it.", path=["input", name])
    return KEEP if value is strawberry.UNSET else value


def all_given(filter_: object) -> dict[str, Any]:
    """The fields of a filter that are there, by name."""
    if filter_ is None or filter_ is strawberry.UNSET:
        return {}
    return {name: value for name, value in vars(filter_).items() if given(value) is not None}
