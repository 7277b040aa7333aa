"""Subscriptions that are the same share one execution: each event is executed once and encoded once for all of them.

They are the same when document, operation name, variables (but the cursor), workspace and scopes are. Each begins by
itself: it is validated, and reads from the log what it missed. Then it goes on with its group, which is at least as
far. It was a member before it read, so nothing falls between the two; what both have shown is passed over by its
number.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import orjson
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from execution.documents import followed_by
from execution.errors import of_exception
from execution.limits import refused_for_variables
from execution.results import as_json, ends
from execution.schema import schema
from feed.follow import MAX_BUFFERED
from resolvers.context import Window
from schema.context import Operation

STUCK_AFTER_S: Final = 30.0
"""How long a client may take to read what it is sent before it is given up."""

_SENT_AT_ONCE: Final = 20
"""How many members are told before others get a turn: what comes next is executed in these."""

_MAX_UNSENT: Final = 100
"""How many results may wait to be told."""

Key = tuple[str, str | None, bytes, str, frozenset[str]]


class StuckError(Exception):
    """A client does not read what it is sent."""


class GoneError(Exception):
    """A client has hung up."""


async def until_sent(sending: Awaitable[None]) -> None:
    """Wait until something was sent.

    Raises:
        StuckError: It was not read for too long.
        GoneError: There is nobody to read it.
    """
    try:
        async with asyncio.timeout(STUCK_AFTER_S):
            await sending
    except TimeoutError:
        raise StuckError from None
    except (OSError, RuntimeError) as error:
        raise GoneError from error


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for, and the kinds of operation that may be asked for in its way; None: any."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    allowed: Iterable[OperationType] | None = None

    async def results(self, context: Operation) -> AsyncGenerator[Any, None]:
        """What comes of it, executed for this client alone."""
        stream = await schema.stream(
            self.query,
            variable_values=self.variables,
            context_value=context,
            operation_name=self.operation_name,
            allowed_operation_types=self.allowed,
        )
        async with aclosing(stream) as results:
            async for result in results:
                yield result


@dataclass(frozen=True)
class Shown:
    """A result, and the number of the line of the log that it tells of; 0 where it tells of none."""

    number: int
    result: ExecutionResult

    @cached_property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return ends(self.result)

    @cached_property
    def payload(self) -> bytes:
        """The result as JSON, encoded once."""
        return orjson.dumps(as_json(self.result))


Send = Callable[[Sequence[Shown]], Coroutine[Any, Any, None] | None]
"""Sends at once and gives None, or gives what is to be awaited; raises OSError when the client has gone."""


async def tell(send: Send, shown: Shown) -> None:
    """Send one result, however long that takes.

    Raises:
        StuckError: It was not read for too long.
        GoneError: There is nobody to read it.
    """
    try:
        sending = send([shown])
    except OSError as error:
        raise GoneError from error
    if sending is not None:
        await until_sent(sending)


class Fanout:
    """The groups of this process."""

    def __init__(self) -> None:
        self._groups: dict[Key, _Group] = {}

    async def results(self, asked: Asked, context: Operation, send: Send | None = None) -> AsyncGenerator[Shown, None]:
        """What comes of an operation, in order, without what the group could `send` by itself meanwhile.

        Raises:
            StuckError: What the group began to send was not read for too long.
            GoneError: There is nobody to read it.
        """
        key = _key(asked, context)
        if key is None:
            async with aclosing(asked.results(context)) as results:
                async for result in results:
                    yield Shown(0, result)
            return
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(context.sibling(), lambda: self._forget(key, group))
        member = _Member(asked, context, group, send)
        group.members.add(member)
        try:
            async with aclosing(member.results()) as shown:
                async for each in shown:
                    yield each
        finally:
            group.leave(member)

    def _forget(self, key: Key, group: "_Group | None") -> None:
        if self._groups.get(key) is group:
            del self._groups[key]

    @property
    def group_count(self) -> int:
        """How many different subscriptions are open."""
        return len(self._groups)


def _key(asked: Asked, context: Operation) -> Key | None:
    """What makes two subscriptions the same; None for what is no subscription, or is refused for its variables."""
    followed = followed_by(asked.query, asked.operation_name)
    if followed is None or refused_for_variables(asked.variables):
        return None
    variables = {name: value for name, value in (asked.variables or {}).items() if name != followed.cursor}
    encoded = orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
    return asked.query, asked.operation_name, encoded, context.workspace_id, frozenset(context.caller.scopes)


# --- One for all -----------------------------------------------------------------------------------------------


class _Group:
    """One execution and those that it is for. `on_unjoinable` is called when nobody can join it any more."""

    def __init__(self, context: Operation, on_unjoinable: Callable[[], object]) -> None:
        self._context = context
        self._on_unjoinable = on_unjoinable
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._executed: list[Shown] = []
        self.members: set[_Member] = set()

    @property
    def position(self) -> int:
        """The number of the line of the log that it is at."""
        return self._context.position

    def start(self, asked: Asked) -> None:
        """Follow, unless it does so already. What is asked for is valid: a member has shown it."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(asked))

    def leave(self, member: "_Member") -> None:
        """Count a member no more; without any the execution ends."""
        self.members.discard(member)
        if not self.members:
            self._on_unjoinable()
            for task in (self._task, self._telling):
                if task is not None:
                    task.cancel()

    async def _run(self, asked: Asked) -> None:
        try:
            async with aclosing(asked.results(self._context)) as results:
                async for result in results:
                    shown = Shown(self.position, result)
                    if shown.is_last:
                        break
                    self._tell(shown)
                    if len(self._executed) >= _MAX_UNSENT and self._telling is not None:
                        await self._telling
                else:
                    return
        except Exception as error:
            failure = of_exception(error, self._context.request_id)
            shown = Shown(self.position, ExecutionResult(data=None, errors=[failure]))
        self._on_unjoinable()
        self._tell(shown)

    def _tell(self, shown: Shown) -> None:
        self._executed.append(shown)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        """Tell everybody of what was executed; of what is executed meanwhile all together in the next turn."""
        try:
            while self._executed:
                some, self._executed = self._executed, []
                for count, member in enumerate(list(self.members), start=1):
                    if member in self.members:
                        member.offer(some)
                    if count % _SENT_AT_ONCE == 0:
                        await asyncio.sleep(0)
        finally:
            self._telling = None


# --- Each by itself --------------------------------------------------------------------------------------------


class _Member:
    """One that follows. Once it is up to date its group sends to it directly, and its own task sleeps."""

    def __init__(self, asked: Asked, context: Operation, group: _Group, send: Send | None) -> None:
        self._asked = asked
        self._context = context
        self._group = group
        self._send = send
        self._position = context.window.after
        self._buffer: deque[Shown] = deque()
        self._fell_behind = False
        self._is_idle = False
        self._begun: _Begun | None = None
        self._something = asyncio.Event()

    def offer(self, some: Sequence[Shown]) -> None:
        """Take results: sent at once, or kept until there is time, or left in the log when there is too much."""
        if some[-1].is_last:
            self._buffer.append(some[-1])  # what came before it can be read in the log
            self._something.set()
        elif self._is_idle and self._send is not None:
            self._send_now(self._send, some)
        elif len(self._buffer) + len(some) > MAX_BUFFERED:
            self._buffer.clear()
            self._fell_behind = True
            self._something.set()
        elif not self._fell_behind:
            self._buffer.extend(some)
            self._something.set()

    def _send_now(self, send: Send, some: Sequence[Shown]) -> None:
        if self._position is not None and some[0].number <= self._position:
            some = [shown for shown in some if not self._is_known(shown)]
            if not some:
                return
        self._position = some[-1].number
        try:
            if (sending := send(some)) is None:
                return
            waits_for = sending.send(None)  # runs it until it has to wait, without a task of its own
        except StopIteration:
            return
        except (OSError, RuntimeError):  # it has gone; its socket is told so too, and ends it
            return
        self._begun = _Begun(sending, waits_for)
        self._is_idle = False
        self._something.set()

    def _is_known(self, shown: Shown) -> bool:
        return self._position is not None and shown.number <= self._position

    async def results(self) -> AsyncGenerator[Shown, None]:
        """What it is shown, in order, without what the group sent."""
        try:
            while True:
                self._fell_behind = False
                async with aclosing(self._missed()) as missed:
                    async for shown in missed:
                        yield shown
                        if shown.is_last:
                            return
                self._group.start(self._asked)
                while not self._fell_behind:
                    async with aclosing(self._kept()) as kept:
                        async for shown in kept:
                            yield shown
                            if shown.is_last:
                                return
                    await self._sleep()
        finally:
            if self._begun is not None:
                self._begun.coroutine.close()

    async def _missed(self) -> AsyncGenerator[Shown, None]:
        """What stands in the log between what it has seen and where its group is."""
        until = self._group.position
        context = self._context.within(Window(self._position, until))
        async with aclosing(self._asked.results(context)) as results:
            async for result in results:
                yield Shown(context.position, result)
        self._position = max(context.position, until)

    async def _kept(self) -> AsyncGenerator[Shown, None]:
        while self._buffer:
            shown = self._buffer.popleft()
            if shown.is_last:
                yield shown
            elif not self._is_known(shown):
                self._position = shown.number
                yield shown

    async def _sleep(self) -> None:
        """Wait until there is something to do; what the group has begun to send comes first."""
        if not self._buffer and not self._fell_behind:
            self._something.clear()
            self._is_idle = True
            await self._something.wait()
            self._is_idle = False
        if self._begun is not None:
            begun, self._begun = self._begun, None
            try:
                await until_sent(begun)
            finally:
                begun.coroutine.close()


class _Begun(NamedTuple):
    """A coroutine that was run up to its first wait, and what it waits for; awaited, it goes on from there."""

    coroutine: Coroutine[Any, Any, None]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, None]:
        yield self.waits_for
        yield from self.coroutine.__await__()
