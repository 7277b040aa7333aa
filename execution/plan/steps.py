"""What a plan is made of: functions that fill a field of many answers at once.

Nothing here makes an error that a client sees: what is raised has graphql-core answer the operation.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from operator import attrgetter
from typing import Any

from graphql.pyutils import gather_with_cancel

from schema.context import Info, Operation

Answer = dict[str, Any]
Waiting = Coroutine[Any, Any, None] | None
"""What is still to be awaited; None where all is there."""


class NullError(Exception):
    """There is nothing where something must be."""


class Run:
    """One execution of a plan. It stands in for graphql-core's `info`, of which our resolvers read `context` alone."""

    __slots__ = ("context", "info", "variables")

    def __init__(self, context: Operation, variables: Any) -> None:
        self.context = context
        self.variables = variables
        self.info = Info(_raw_info=self, _field=None)  # type: ignore[arg-type]


Step = Callable[[Run, Sequence[Any], Sequence[Answer]], Waiting]
"""Fills a field of the answers, of the sources in the same order."""

Complete = Callable[[Run, Sequence[Any], Sequence[Answer], str], Waiting]
"""Puts what values become into the answers, under a key."""

Arguments = Callable[[Run], dict[str, Any]]


def together(waiting: list[Coroutine[Any, Any, None]]) -> Waiting:
    """Await all at once; the first that fails ends the others."""
    if len(waiting) > 1:
        return _all(waiting)
    return waiting[0] if waiting else None


async def _all(waiting: Sequence[Awaitable[Any]]) -> None:
    await gather_with_cancel(*waiting)


class Selection:
    """The fields of one type of object."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def fill(self, run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        """Fill all fields of the answers."""
        if not sources:
            return None
        waiting: list[Coroutine[Any, Any, None]] = []
        try:
            for step in self._steps:
                rest = step(run, sources, answers)
                if rest is not None:
                    waiting.append(rest)
        except BaseException:
            for begun in waiting:
                begun.close()
            raise
        return together(waiting)


# --- Steps -----------------------------------------------------------------------------------------------------


def constant(key: str, value: Any) -> Step:
    """A field that is always the same: `__typename`."""

    def step(_: Run, __: Sequence[Any], answers: Sequence[Answer]) -> None:
        for answer in answers:
            answer[key] = value

    return step


def attribute(key: str, name: str, complete: Complete) -> Step:
    """A field that the source has."""
    get = attrgetter(name)

    def step(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        return complete(run, [get(source) for source in sources], answers, key)

    return step


def made(key: str, of: Callable[[Any], Any], complete: Complete) -> Step:
    """A field that is made of the source."""

    def step(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        return complete(run, [of(source) for source in sources], answers, key)

    return step


def computed(key: str, call: Callable[..., Any], arguments: Arguments, complete: Complete) -> Step:
    """A field that a function computes."""

    def step(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        given = arguments(run)
        return complete(run, [call(source, **given) for source in sources], answers, key)

    return step


Find = Callable[[Run, Sequence[Any]], Awaitable[Sequence[Any]]]


def awaited(key: str, call: Callable[..., Awaitable[Any]], arguments: Arguments, complete: Complete) -> Step:
    """A field that a coroutine finds for each source."""

    async def find(run: Run, sources: Sequence[Any]) -> Sequence[Any]:
        given = arguments(run)
        if len(sources) == 1:
            return [await call(sources[0], **given)]
        return await gather_with_cancel(*[call(source, **given) for source in sources])

    return found(key, find, complete)


def found(key: str, find: Find, complete: Complete) -> Step:
    """A field that is found for all sources together."""

    async def filled(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> None:
        rest = complete(run, await find(run, sources), answers, key)
        if rest is not None:
            await rest

    def step(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        for answer in answers:
            answer[key] = None  # its place among the others
        return filled(run, sources, answers)

    return step


# --- Completing values -----------------------------------------------------------------------------------------


def leaf(serialize: Callable[[Any], Any], *, nullable: bool, printed: type | None = None) -> Complete:
    """Scalars and enums; values of the type `printed` are as they have to be."""

    def complete(_: Run, values: Sequence[Any], answers: Sequence[Answer], key: str) -> None:
        for value, answer in zip(values, answers, strict=True):
            if type(value) is printed:
                answer[key] = value
            elif value is not None:
                answer[key] = serialize(value)
            elif nullable:
                answer[key] = None
            else:
                raise NullError

    return complete


def leaves(serialize: Callable[[Any], Any], *, nullable: bool, nullable_items: bool) -> Complete:
    """Lists of scalars and enums."""

    def listed(value: Any) -> list[Any]:
        if type(value) is not list or (not nullable_items and None in value):
            raise NullError
        return [None if each is None else serialize(each) for each in value]

    return leaf(listed, nullable=nullable)


Fill = Callable[[Run, Sequence[Any], Sequence[Answer]], Waiting]


def objects(fill: Fill, *, nullable: bool) -> Complete:
    """Objects: those of all answers are filled together."""

    def complete(run: Run, values: Sequence[Any], answers: Sequence[Answer], key: str) -> Waiting:
        sources: list[Any] = []
        filled: list[Answer] = []
        known: dict[int, Answer] = {}
        for value, answer in zip(values, answers, strict=True):
            if value is None:
                if not nullable:
                    raise NullError
                answer[key] = None
                continue
            of_value = known.get(id(value))  # of what several have, one answer stands in all of theirs
            if of_value is None:
                of_value = known[id(value)] = {}
                sources.append(value)
                filled.append(of_value)
            answer[key] = of_value
        return fill(run, sources, filled)

    return complete


def object_lists(fill: Fill, *, nullable: bool, nullable_items: bool) -> Complete:
    """Lists of objects: those of all lists are filled together."""

    def complete(run: Run, values: Sequence[Any], answers: Sequence[Answer], key: str) -> Waiting:
        sources: list[Any] = []
        filled: list[Answer] = []
        for value, answer in zip(values, answers, strict=True):
            if value is None and nullable:
                answer[key] = None
                continue
            if type(value) is not list or (not nullable_items and None in value):
                raise NullError
            of_items: list[Answer | None] = [None if each is None else {} for each in value]
            answer[key] = of_items
            sources += [each for each in value if each is not None]
            filled += [each for each in of_items if each is not None]
        return fill(run, sources, filled)

    return complete


def of_type(selection: Selection, is_type_of: Callable[[Any, Any], Any] | None) -> Fill:
    """Objects of one type, which is looked at as graphql-core does."""

    def fill(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        if is_type_of is not None and not all(is_type_of(source, run) for source in sources):
            raise TypeError("an object of another type")
        return selection.fill(run, sources, answers)

    return fill


def of_any_type(fills: dict[str, Fill], name_of: Callable[[Any], str]) -> Fill:
    """Objects of several types, those of each filled together."""

    def fill(run: Run, sources: Sequence[Any], answers: Sequence[Answer]) -> Waiting:
        names = [name_of(source) for source in sources]
        waiting = []
        for name in dict.fromkeys(names):
            places = [place for place, each in enumerate(names) if each == name]
            rest = fills[name](run, [sources[place] for place in places], [answers[place] for place in places])
            if rest is not None:
                waiting.append(rest)
        return together(waiting)

    return fill
