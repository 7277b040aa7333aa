"""The context of an operation, and how resolvers read their arguments."""

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
    """Make the id of a request, for the log and for error messages."""
    return uuid4().hex


def _uncounted(_: str) -> None:
    """Do nothing: the default of `count_query`."""


@dataclass(slots=True)
class Operation(Context):
    """One operation of one caller.

    `request_id` is shown with errors on our side. `introspection`: whether it may query the schema. `running` are its
    mutations that have begun: they run to completion even if the client disconnects, and the server waits for them when
    it stops. `tells_secret`: the answer contains a secret, which the length of a compressed answer could reveal. `cost`
    is the operation's cost, None until it is known. `count_query` is called with the way in which a query was answered.
    `completions` is the plan by which the values of its root fields are completed, if it is not a query.
    """

    request_id: str = field(default_factory=new_request_id)
    introspection: bool = True
    running: set[asyncio.Task[Any]] = field(default_factory=set)
    count_query: Callable[[str], None] = field(default=_uncounted)
    tells_secret: bool = False
    cost: int | None = None
    completions: Any = None

    def sibling(self) -> "Operation":
        """Make another operation of the same caller, which follows the log from its current line."""
        newest = self.caller.workspace.seq
        return Operation(self.services, self.caller, window=Window(after=newest), position=newest)

    def within(self, window: Window) -> "Operation":
        """Make the same operation, which follows the lines within a window."""
        return replace(self, window=window)


Info: TypeAlias = strawberry.Info[Operation, None]


def given(value: T | None) -> T | None:
    """Return an argument's value; None if it is absent."""
    return None if value is strawberry.UNSET else value


def kept(value: T) -> T | Keep:
    """Return a field of an update: None clears the column, an absent field keeps it."""
    return KEEP if value is strawberry.UNSET else value


def set_or_kept(value: T | None, name: str) -> T | Keep:
    """Return a field of an update that can't be cleared.

    Raises:
        InvalidInputError: It is null.
    """
    if value is None:
        raise InvalidInputError(f"{name} can't be cleared: leave it out to keep it.", path=["input", name])
    return KEEP if value is strawberry.UNSET else value


def all_given(filter_: object) -> dict[str, Any]:
    """Return the fields of a filter that are given, by name."""
    if filter_ is None or filter_ is strawberry.UNSET:
        return {}
    return {name: value for name, value in vars(filter_).items() if given(value) is not None}
