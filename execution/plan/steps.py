"""The steps of a plan: functions that resolve a field of many sources at once, to a column of values.

Nothing here makes an error that a client sees: if anything is raised, graphql-core executes the operation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Protocol

from graphql.pyutils import gather_with_cancel

from schema.context import Info, Operation

_MAX_KEPT: Final = 256
Answer = dict[str, Any]
Column = list[Any]
"""One value for each source, in their order."""


class Unfinished(Protocol):
    """What returns a column when it is awaited, and closes all coroutines that it would have awaited."""

    def __await__(self) -> Generator[Any, Any, Column]: ...

    def close(self) -> None: ...


Later = Column | Unfinished
"""A column, or what returns one when it is awaited."""


class NullError(Exception):
    """A field that may not be null is null."""


class Run:
    """One execution of a plan. It stands in for graphql-core's `info`, of which our resolvers read `context` alone."""

    __slots__ = ("context", "info", "variables")

    def __init__(self, context: Operation, variables: Any) -> None:
        self.context = context
        self.variables = variables
        self.info = Info(_raw_info=self, _field=None)  # type: ignore[arg-type]


Step = Callable[[Run, Sequence[Any]], Later]
"""Resolves a field of the sources."""

Complete = Callable[[Run, Column], Later]
"""Turns values into their form in an answer."""

Fill = Callable[[Run, Sequence[Any]], Later]
"""Makes an answer for each source, with all selected fields."""

Arguments = Callable[[Run], dict[str, Any]]


class _Rest:
    """Columns that must be awaited, and how to go on with them.

    A coroutine in place of it would not close the columns if it was cancelled before it began.
    """

    __slots__ = ("_columns", "_go_on")

    def __init__(self, columns: Sequence[Later], go_on: Callable[[list[Column]], Later]) -> None:
        self._columns = columns
        self._go_on = go_on

    def __await__(self) -> Generator[Any, Any, Column]:
        return self._finish().__await__()

    def close(self) -> None:
        close_all(self._columns)

    async def _finish(self) -> Column:
        rest = self._go_on(await together(self._columns))
        return rest if isinstance(rest, list) else await rest


def close_all(columns: Sequence[Later]) -> None:
    """Close what was never awaited; what has ended stays as it is."""
    for column in columns:
        if not isinstance(column, list):
            column.close()


def then(found: Later, go_on: Callable[[Column], Later]) -> Later:
    """Continue with a column, at once unless it must be awaited."""
    return go_on(found) if isinstance(found, list) else _Rest([found], lambda columns: go_on(columns[0]))


async def together(columns: Sequence[Later]) -> list[Column]:
    """Await all columns together; the first failure cancels the others."""
    done = [column if isinstance(column, list) else None for column in columns]
    waiting = [column for column in columns if not isinstance(column, list)]
    found = iter(await _all(waiting) if len(waiting) > 1 else [await each for each in waiting])
    return [next(found) if column is None else column for column in done]


async def _all(waiting: Sequence[Unfinished]) -> list[Column]:
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        close_all(waiting)
        raise


class Selection:
    """The selected fields of an object type, by their keys in the answer."""

    def __init__(self, fields: Sequence[tuple[str, Step]]) -> None:
        self._steps = [step for _, step in fields]
        self._answers_of = _answers_of(tuple(key for key, _ in fields)) if fields else None

    def fill(self, run: Run, sources: Sequence[Any]) -> Later:
        """Make an answer for each source."""
        if not sources:
            return []
        columns: list[Later] = []
        try:
            columns.extend(step(run, sources) for step in self._steps)
        except BaseException:
            close_all(columns)
            raise
        there = [column for column in columns if isinstance(column, list)]
        if len(there) < len(columns):
            return _Rest(columns, lambda found: self._answers(found, len(sources)))
        return self._answers(there, len(sources))

    def _answers(self, columns: Sequence[Column], number: int) -> Column:
        if self._answers_of is None:  # all fields are skipped
            return [{} for _ in range(number)]
        return self._answers_of(*columns)


@lru_cache(_MAX_KEPT)
def _answers_of(keys: tuple[str, ...]) -> Callable[..., Column]:
    """Make the function that turns the columns of some keys into answers, by a dict display, the fastest way.

    The keys are GraphQL names, of letters, digits and underscores.
    """
    values = "".join(f"value{place}, " for place in range(len(keys)))
    items = ", ".join(f"{key!r}: value{place}" for place, key in enumerate(keys))
    make: Callable[..., Column] = eval(f"lambda {values}: [{{{items}}} for {values} in zip({values} strict=True)]")  # noqa: S307
    return make


# --- Steps -----------------------------------------------------------------------------------------------------


def constant(value: Any) -> Step:
    """Make a step for a constant, such as `__typename`."""
    return lambda _, sources: [value] * len(sources)


def attribute(name: str, complete: Complete) -> Step:
    """Make a step for an attribute of the source."""
    get = attrgetter(name)
    return lambda run, sources: complete(run, list(map(get, sources)))


def made(of: Callable[[Sequence[Any]], Column], complete: Complete) -> Step:
    """Make a step for a field that is computed from all sources at once."""
    return lambda run, sources: complete(run, of(sources))


def printed(of: Callable[[Sequence[Any]], Column]) -> Step:
    """Make the same for values that need no completion."""
    return lambda _, sources: of(sources)


def computed(call: Callable[..., Any], arguments: Arguments, complete: Complete) -> Step:
    """Make a step for a field that a function computes from each source."""

    def step(run: Run, sources: Sequence[Any]) -> Later:
        given = arguments(run)
        return complete(run, [call(source, **given) for source in sources])

    return step


Find = Callable[[Run, Sequence[Any]], Coroutine[Any, Any, Column]]


def awaited(call: Callable[..., Awaitable[Any]], arguments: Arguments, complete: Complete) -> Step:
    """Make a step for a field that a coroutine resolves for each source."""

    async def find(run: Run, sources: Sequence[Any]) -> Column:
        given = arguments(run)
        if len(sources) == 1:
            return [await call(sources[0], **given)]
        return await gather_with_cancel(*[call(source, **given) for source in sources])

    return found(find, complete)


def found(find: Find, complete: Complete) -> Step:
    """Make a step for a field that is resolved for all sources together."""

    async def step(run: Run, sources: Sequence[Any]) -> Column:
        rest = complete(run, await find(run, sources))
        return rest if isinstance(rest, list) else await rest

    return step


# --- Completing values -----------------------------------------------------------------------------------------


def leaf(
    serialize: Callable[[Any], Any],
    *,
    nullable: bool,
    printed: type | None = None,
    names: tuple[type, Mapping[Any, str]] | None = None,
) -> Complete:
    """Complete scalars and enums. Values of type `printed` stay as they are; `names` are an enum's class and names."""
    as_they_are = {printed} if not nullable else {printed, NoneType}
    members, name_of = names or (None, {})

    def complete(_: Run, values: Column) -> Column:
        types = set(map(type, values))
        if types <= as_they_are:
            return values
        if types == {members}:
            return list(map(name_of.__getitem__, values))
        if NoneType not in types:
            return list(map(serialize, values))
        if not nullable:
            raise NullError
        return [None if value is None else serialize(value) for value in values]

    return complete


def leaves(serialize: Callable[[Any], Any], *, nullable: bool, nullable_items: bool) -> Complete:
    """Complete lists of scalars and enums."""

    def listed(value: Any) -> list[Any]:
        if type(value) is not list or (not nullable_items and None in value):
            raise NullError
        return [None if each is None else serialize(each) for each in value]

    return leaf(listed, nullable=nullable)


def objects(fill: Fill, *, nullable: bool) -> Complete:
    """Complete objects, those of all answers together."""

    def complete(run: Run, values: Column) -> Later:
        if NoneType not in set(map(type, values)):
            return fill(run, values)
        if not nullable:
            raise NullError
        there = [value is not None for value in values]

        def spread(answers: Column) -> Column:
            following = iter(answers)
            return [next(following) if is_there else None for is_there in there]

        return then(fill(run, [value for value in values if value is not None]), spread)

    return complete


def object_lists(fill: Fill, *, nullable: bool, nullable_items: bool) -> Complete:
    """Complete lists of objects, those of all lists together."""
    of_items = objects(fill, nullable=nullable_items)

    def complete(run: Run, values: Column) -> Later:
        items: list[Any] = []
        for value in values:
            if type(value) is list:
                items += value
            elif value is not None or not nullable:
                raise NullError

        def split(answers: Column) -> Column:
            lists, end = [], 0
            for value in values:
                begin, end = end, end + len(value or ())
                lists.append(None if value is None else answers[begin:end])
            return lists

        return then(of_items(run, items), split)

    return complete


def of_type(selection: Selection, is_type_of: Callable[[Any, Any], Any] | None) -> Fill:
    """Fill objects of one type, which is checked as graphql-core does."""
    if is_type_of is None:
        return selection.fill

    def fill(run: Run, sources: Sequence[Any]) -> Later:
        if not all(is_type_of(source, run) for source in sources):
            raise TypeError("an object of another type")
        return selection.fill(run, sources)

    return fill


def of_any_type(fills: dict[str, Fill], name_of: Callable[[Any], str]) -> Fill:
    """Fill objects of several types, those of each type together."""

    def fill(run: Run, sources: Sequence[Any]) -> Later:
        names = [name_of(source) for source in sources]
        kinds = list(dict.fromkeys(names))
        if len(kinds) == 1:
            return fills[kinds[0]](run, sources)
        filled: list[Later] = []
        try:
            for kind in kinds:
                some = [source for source, name in zip(sources, names, strict=True) if name == kind]
                filled.append(fills[kind](run, some))
        except BaseException:
            close_all(filled)
            raise

        def mixed(columns: list[Column]) -> Column:
            following = {kind: iter(answers) for kind, answers in zip(kinds, columns, strict=True)}
            return [next(following[name]) for name in names]

        return _Rest(filled, mixed)

    return fill
