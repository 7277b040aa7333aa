"""Subscriptions that are the same share one execution: each event is executed once and encoded once for all of them.

Subscriptions are the same if document, operation name, workspace, scopes and variables are equal, apart from the
cursor and the variables that only choose events. Each begins alone: it is validated, and reads from the log what it
missed. Then it joins its group, which is at least as far, and gets the events that it chooses.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from strawberry.types import ExecutionResult

from execution.errors import of_exception
from execution.followed import Followed, followed_by
from execution.limits import refused_for_variables
from execution.results import is_cut_short, is_request_error
from execution.shown import Asked, Send, Shown, until_sent
from feed.follower import Follower
from models.event import Event
from resolvers.context import Window
from schema.context import Operation

_SENT_AT_ONCE: Final = 20
"""How many members are sent a result before other tasks get a turn, in which the next event is executed."""

_MAX_UNSENT: Final = 100
"""How many results may wait to be sent."""

_AFTER_ALL: Final = 2**63 - 1
"""The number of a group's last result, which is after every line."""

Key = tuple[str, str | None, bytes, str, frozenset[str]]


class Fanout:
    """The groups of this process."""

    def __init__(self) -> None:
        self._groups: dict[Key, _Group] = {}

    async def results(self, asked: Asked, context: Operation, send: Send | None = None) -> AsyncGenerator[Shown, None]:
        """Yield the results of an operation in order, except those that the group has sent directly by `send`.

        Raises:
            StuckError: The client left data unread for too long.
            GoneError: The client has disconnected.
        """
        followed = followed_by(asked.query, asked.operation_name)
        if followed is None or refused_for_variables(asked.variables):
            async with aclosing(asked.results(context)) as results:
                async for result in results:
                    yield Shown(0, result)
            return
        key, choice = _parted(asked, context, followed)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(context.sibling(), lambda: self._forget(key, group))
        member = _Member(asked, context, group, choice, send)
        async with aclosing(member.items()) as items:
            async for shown in items:
                yield shown
                if shown.is_last:
                    return

    def _forget(self, key: Key, group: "_Group | None") -> None:
        if self._groups.get(key) is group:
            del self._groups[key]

    @property
    def group_count(self) -> int:
        """Return how many different subscriptions are open."""
        return len(self._groups)


def _parted(asked: Asked, context: Operation, followed: Followed) -> tuple[Key, bytes]:
    """Return what makes two subscriptions the same, and the variables by which this one chooses events."""
    shared, choosing = dict[str, Any](), dict[str, Any]()
    for name, value in (asked.variables or {}).items():
        if name != followed.cursor:
            (choosing if name in followed.choosing else shared)[name] = value
    scopes = frozenset(context.caller.scopes)
    return (asked.query, asked.operation_name, _encoded(shared), context.workspace_id, scopes), _encoded(choosing)


def _encoded(variables: dict[str, Any]) -> bytes:
    return orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)


# --- One for all -----------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class _Choice:
    """The members that choose the same events. Until `is_wanted` is known, none of them is offered anything."""

    members: set["_Member"] = field(default_factory=set)
    is_wanted: Callable[[Event], bool] | None = None


class _Executed(NamedTuple):
    """A result, and the choices that it is for."""

    shown: Shown
    choices: frozenset[_Choice]


class _Group:
    """One execution and those that it is for. `on_unjoinable` is called when nobody can join it any more."""

    def __init__(self, context: Operation, on_unjoinable: Callable[[], object]) -> None:
        self._context = context
        self._context.is_wanted = self._is_wanted
        self._on_unjoinable = on_unjoinable
        self._task: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._executed: list[_Executed] = []
        self._choices: dict[bytes, _Choice] = {}
        self._wanting: frozenset[_Choice] = frozenset()
        self._members = 0

    @property
    def position(self) -> int:
        """The number of its current line in the log."""
        return self._context.position

    def start(self, asked: Asked) -> None:
        """Start the execution unless it runs. The request is valid: a member has validated it."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(asked))

    def join(self, member: "_Member", choosing: bytes) -> _Choice:
        """Add a member, by the variables by which it chooses events."""
        choice = self._choices.setdefault(choosing, _Choice())
        choice.members.add(member)
        self._members += 1
        return choice

    def leave(self, member: "_Member", choosing: bytes, choice: _Choice) -> None:
        """Remove a member; the last one ends the execution."""
        choice.members.discard(member)
        self._members -= 1
        if not choice.members and self._choices.get(choosing) is choice:
            del self._choices[choosing]
        if not self._members:
            self._on_unjoinable()
            for task in (self._task, self._sending):
                if task is not None:
                    task.cancel()

    def _is_wanted(self, event: Event) -> bool:
        """Whether anybody follows an event; who does is shown the next result."""
        choices = self._choices.values()
        self._wanting = frozenset(each for each in choices if each.is_wanted is not None and each.is_wanted(event))
        return bool(self._wanting)

    async def _run(self, asked: Asked) -> None:
        try:
            async with aclosing(asked.results(self._context)) as results:
                async for result in results:
                    shown = Shown(self.position, result)
                    if is_cut_short(result) and not is_request_error(result):  # one event: others lose nothing
                        self._end(result, self._wanting)
                        if not self._choices:
                            self._on_unjoinable()
                            return
                        continue
                    if shown.is_last:
                        failed = result
                        break
                    self._queue(shown, self._wanting)
                    if len(self._executed) >= _MAX_UNSENT and self._sending is not None:
                        await self._sending
                else:
                    return
        except Exception as error:
            failure = of_exception(error, self._context.request_id)
            failed = ExecutionResult(data=None, errors=[failure])
        self._on_unjoinable()
        self._end(failed, frozenset(self._choices.values()))

    def _end(self, result: ExecutionResult, choices: frozenset[_Choice]) -> None:
        """End the subscriptions of some choices by a result: they are offered nothing after it."""
        self._choices = {choosing: choice for choosing, choice in self._choices.items() if choice not in choices}
        self._queue(Shown(_AFTER_ALL, result), choices)

    def _queue(self, shown: Shown, choices: frozenset[_Choice]) -> None:
        self._executed.append(_Executed(shown, choices))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        """Send executed results to all members; results that come meanwhile are sent together in the next turn."""
        try:
            while self._executed:
                some, self._executed = self._executed, []
                offered: dict[_Choice, list[Shown]] = defaultdict(list)
                for each in some:
                    for choice in each.choices:
                        offered[choice].append(each.shown)
                offers = [(member, shown) for choice, shown in offered.items() for member in choice.members]
                for start in range(0, len(offers), _SENT_AT_ONCE):
                    for member, shown in offers[start : start + _SENT_AT_ONCE]:
                        member.offer(shown)
                    await asyncio.sleep(0)
        finally:
            self._sending = None


# --- Each alone ------------------------------------------------------------------------------------------------


class _Member(Follower[Shown]):
    """A subscriber. Once it is up to date, its group sends to it directly, and its own task sleeps."""

    def __init__(self, asked: Asked, context: Operation, group: _Group, choosing: bytes, send: Send | None) -> None:
        super().__init__(0)
        self._asked = asked
        self._context = context
        self._group = group
        self._choosing = choosing
        self._choice = _Choice()
        self._send = send
        self._is_idle = False
        self._begun: _Begun | None = None
        self._has_read = False

    async def join(self) -> None:
        self._choice = self._group.join(self, self._choosing)

    def leave(self) -> None:
        self._is_idle = False  # what it is still offered is sent to nobody
        if self._begun is not None:
            self._begun.coroutine.close()
        self._group.leave(self, self._choosing, self._choice)

    async def missed(self) -> AsyncGenerator[Shown, None]:
        """Yield the lines of the log between its own position and its group's.

        The first reading shows which events it chooses. Lines that came meanwhile were not offered, so it reads again.
        """
        is_offered = self._choice.is_wanted is not None
        async with aclosing(self._until_group()) as results:
            async for shown in results:
                yield shown
        if not is_offered:
            async with aclosing(self._until_group()) as results:
                async for shown in results:
                    yield shown
        self._group.start(self._asked)

    async def _until_group(self) -> AsyncGenerator[Shown, None]:
        until = self._group.position
        if self._has_read and until <= self.position:
            return
        after = self.position if self._has_read else self._context.window.after
        context = self._context.within(Window(after, until))
        async with aclosing(self._asked.results(context)) as results:
            async for result in results:
                yield Shown(context.position, result)
        self.position, self._has_read = max(context.position, until), True
        self._choice.is_wanted = self._choice.is_wanted or context.is_wanted

    def offer(self, items: Sequence[Shown]) -> None:
        """Take results: send them at once, buffer them, or leave them in the log if there are too many."""
        last = items[-1]
        if last.is_last:
            self._buffer.append(last)  # earlier results can be read from the log
            self._something.set()
        elif not self._is_idle or self._send is None:
            super().offer(items)
        else:
            if items[0].number <= self.position:
                items = [shown for shown in items if shown.number > self.position]
            if items:
                self.position = last.number
                self._send_now(self._send, items)

    def _send_now(self, send: Send, items: Sequence[Shown]) -> None:
        try:
            if (sending := send(items)) is None:
                return
            waits_for = sending.send(None)  # runs it until it has to wait, without a task of its own
        except StopIteration:
            return
        except (OSError, RuntimeError):  # the client has disconnected; its socket ends the member
            return
        self._begun = _Begun(sending, waits_for)
        self._is_idle = False
        self._something.set()

    async def rest(self) -> None:
        """Wait until there is something to do, and until what the group began to send is sent."""
        self._is_idle = True
        await super().rest()
        self._is_idle = False
        if self._begun is not None:
            begun, self._begun = self._begun, None
            try:
                await until_sent(begun)
            finally:
                begun.coroutine.close()


class _Begun(NamedTuple):
    """A coroutine that has run up to its first wait; when awaited, it continues there."""

    coroutine: Coroutine[Any, Any, None]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, None]:
        yield self.waits_for
        yield from self.coroutine.__await__()
