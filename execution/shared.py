"""Subscriptions that are the same share one execution: each event is executed once and encoded once for all of them.

They are the same when document, operation name, variables (but the cursor), workspace and scopes are. Each begins by
itself: it is validated, and reads from the log what it missed. Then it goes on with its group, which is at least as
far.
"""

import asyncio
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
from feed.follower import Follower
from resolvers.context import Window
from schema.context import Operation

STUCK_AFTER_S: Final = 30.0
"""How long a client may take to read what it is sent before it is given up."""

_SENT_AT_ONCE: Final = 20
"""How many members are told before others get a turn: what comes next is executed in these."""

_MAX_UNSENT: Final = 100
"""How many results may wait to be told."""

_AFTER_ALL: Final = 2**63 - 1
"""The number of what ends a group: nobody has seen it yet."""

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
                        failed = result
                        break
                    self._tell(shown)
                    if len(self._executed) >= _MAX_UNSENT and self._telling is not None:
                        await self._telling
                else:
                    return
        except Exception as error:
            failure = of_exception(error, self._context.request_id)
            failed = ExecutionResult(data=None, errors=[failure])
        self._on_unjoinable()
        self._tell(Shown(_AFTER_ALL, failed))

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


class _Member(Follower[Shown]):
    """One that follows. Once it is up to date its group sends to it directly, and its own task sleeps."""

    def __init__(self, asked: Asked, context: Operation, group: _Group, send: Send | None) -> None:
        super().__init__(0)
        self._asked = asked
        self._context = context
        self._group = group
        self._send = send
        self._is_idle = False
        self._begun: _Begun | None = None
        self._has_read = False

    async def join(self) -> None:
        self._group.members.add(self)

    def leave(self) -> None:
        if self._begun is not None:
            self._begun.coroutine.close()
        self._group.leave(self)

    async def missed(self) -> AsyncGenerator[Shown, None]:
        """What stands in the log between what it has seen and where its group is."""
        until = self._group.position
        after = self.position if self._has_read else self._context.window.after
        context = self._context.within(Window(after, until))
        async with aclosing(self._asked.results(context)) as results:
            async for result in results:
                yield Shown(context.position, result)
        self.position, self._has_read = max(context.position, until), True
        self._group.start(self._asked)

    def offer(self, items: Sequence[Shown]) -> None:
        """Take results: sent at once, or kept until there is time, or left in the log when there is too much."""
        if items[-1].is_last:
            self._buffer.append(items[-1])  # what came before it can be read in the log
            self._something.set()
        elif self._is_idle and self._send is not None:
            self._send_now(self._send, items)
        else:
            super().offer(items)

    def _send_now(self, send: Send, some: Sequence[Shown]) -> None:
        if some[0].number <= self.position:
            some = [shown for shown in some if shown.number > self.position]
            if not some:
                return
        self.position = some[-1].number
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

    async def rest(self) -> None:
        """Wait until there is something to do; what the group has begun to send comes first."""
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
    """A coroutine that was run up to its first wait, and what it waits for; awaited, it goes on from there."""

    coroutine: Coroutine[Any, Any, None]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, None]:
        yield self.waits_for
        yield from self.coroutine.__await__()
