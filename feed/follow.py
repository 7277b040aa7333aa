"""The feed: every new line of a workspace's log, once, in order, to each follower.

Subscribe, then read, then follow. A follower is registered before it reads the log from its cursor, so nothing falls
between the two; what both have shown is passed over by its number. The buffer of each is bounded: one that falls
behind goes back to reading the log.

The line of an API key's revocation, and every later line, is sent only after the keys of open connections have been
checked: so in every process a revoked key gets nothing that was committed later.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar

import structlog

from database.access import fetch, reading_dialect
from database.bulk import any_of
from database.scope import scoped
from feed.bus import Bus, is_shared
from models.event import Event
from models.kinds import EventType
from periodic import Periodic

log = structlog.get_logger(__name__)

POLL_INTERVAL_S: Final = 1.0
PAGE: Final = 200
MAX_BUFFERED: Final = 1000
_END: Final = 2**63 - 1


SharedT = TypeVar("SharedT")


@dataclass(frozen=True, slots=True)
class Line(Generic[SharedT]):
    """A line of the log, with what all who follow it at the moment share: what is loaded for one serves the others."""

    event: Event
    shared: SharedT


@dataclass(eq=False, slots=True)
class _Follower(Generic[SharedT]):
    buffer: deque[Line[SharedT]] = field(default_factory=deque)
    fell_behind: bool = False
    something: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, lines: Sequence[Line[SharedT]]) -> None:
        if len(self.buffer) + len(lines) > MAX_BUFFERED:
            self.buffer.clear()
            self.fell_behind = True
        elif not self.fell_behind:
            self.buffer.extend(lines)
        self.something.set()


@dataclass(eq=False, slots=True)
class _Channel(Generic[SharedT]):
    """A workspace that is followed: the number up to which its followers were sent lines, and who they are."""

    position: int
    newest: int
    followers: set[_Follower[SharedT]] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None


class Feed(Generic[SharedT]):
    """All workspaces that somebody follows in this process. `share` makes what the followers of a line share."""

    def __init__(self, broadcast_url: str, share: Callable[[str], SharedT]) -> None:
        self._bus = Bus(broadcast_url, self._wake) if is_shared(broadcast_url) else None
        self._share = share
        self._channels: dict[str, _Channel[SharedT]] = {}
        self._poll_now = asyncio.Event()
        self._poller = Periodic("the log", POLL_INTERVAL_S, self._poll, due=self._poll_now, expected=Exception)
        self._check_keys: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Self:
        if self._bus is not None:
            await self._bus.__aenter__()
        await self._poller.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._poller.__aexit__()
        reading = [channel.reading for channel in self._channels.values() if channel.reading is not None]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        if self._bus is not None:
            await self._bus.__aexit__()

    def wake(self, newest: Mapping[str, int]) -> None:
        """Say that lines were committed: the newest number of each workspace. Followers here are woken at once."""
        for workspace_id, number in newest.items():
            self._wake(workspace_id, number)
        if self._bus is not None:
            self._bus.wake(newest)

    def check_keys_with(self, check: Callable[[], Awaitable[None]]) -> None:
        """Say how the connections of keys that are not valid any more are closed."""
        self._check_keys = check

    async def check_keys(self) -> None:
        """Have them closed now."""
        if self._check_keys is not None:
            await self._check_keys()

    @property
    def follower_count(self) -> int:
        """How many subscriptions are open in this process."""
        return sum(len(channel.followers) for channel in self._channels.values())

    async def follow(
        self, workspace_id: str, after: int, until: int | None = None
    ) -> AsyncGenerator[Line[SharedT], None]:
        """Every line after a number: what was committed since, then live; in order, none twice, none left out.

        With `until` it ends with that line, which has been committed.
        """
        if until is not None:
            async for line in self._read(workspace_id, after, until):
                yield line
            return
        follower: _Follower[SharedT] = _Follower()
        await self._join(workspace_id, follower)
        cursor = after
        try:
            while True:
                follower.fell_behind = False
                async for line in self._read(workspace_id, cursor):
                    cursor = line.event.number
                    yield line
                while not follower.fell_behind:
                    while follower.buffer:
                        line = follower.buffer.popleft()
                        if line.event.number > cursor:
                            cursor = line.event.number
                            yield line
                    follower.something.clear()
                    if not follower.fell_behind:
                        await follower.something.wait()
        finally:
            self._leave(workspace_id, follower)

    # --- Following ---------------------------------------------------------------------------------------------

    async def _join(self, workspace_id: str, follower: _Follower[SharedT]) -> None:
        if workspace_id not in self._channels:
            newest = (await _newest_numbers([workspace_id])).get(workspace_id, 0)
            self._channels.setdefault(workspace_id, _Channel(newest, newest))
        self._channels[workspace_id].followers.add(follower)

    def _leave(self, workspace_id: str, follower: _Follower[SharedT]) -> None:
        channel = self._channels.get(workspace_id)
        if channel is None:
            return
        channel.followers.discard(follower)
        if not channel.followers and channel.reading is None:
            del self._channels[workspace_id]

    async def _read(self, workspace_id: str, after: int, until: int = _END) -> AsyncIterator[Line[SharedT]]:
        while after < until:
            shared = self._share(workspace_id)
            later = scoped(Event, workspace_id).filter(number__gt=after, number__lte=until)
            events = await later.order_by("number").limit(PAGE)
            if any(event.type is EventType.API_KEY_REVOKED for event in events):
                await self.check_keys()
            for event in events:
                yield Line(event, shared)
            if len(events) < PAGE:
                return
            after = events[-1].number

    # --- Being told --------------------------------------------------------------------------------------------

    def _wake(self, workspace_id: str | None, number: int | None) -> None:
        if workspace_id is None or number is None:
            self._poll_now.set()
        elif (channel := self._channels.get(workspace_id)) is not None:
            self._advance(workspace_id, channel, number)

    def _advance(self, workspace_id: str, channel: _Channel[SharedT], newest: int) -> None:
        channel.newest = max(channel.newest, newest)
        if channel.reading is None and channel.newest > channel.position:
            channel.reading = asyncio.create_task(self._tell(workspace_id, channel))

    async def _tell(self, workspace_id: str, channel: _Channel[SharedT]) -> None:
        try:
            while channel.newest > channel.position and channel.followers:
                until = channel.position + MAX_BUFFERED  # of more than that nobody would be told, they would read it
                lines = [line async for line in self._read(workspace_id, channel.position, until)]
                if not lines:
                    break
                channel.position = lines[-1].event.number
                for follower in channel.followers:
                    follower.offer(lines)
        except Exception as error:
            log.warning("the log could not be read, trying again", workspace=workspace_id, error=repr(error))
        finally:
            channel.reading = None
            if not channel.followers and self._channels.get(workspace_id) is channel:
                del self._channels[workspace_id]

    async def _poll(self) -> None:
        newest = await _newest_numbers(list(self._channels)) if self._channels else {}
        for workspace_id, number in newest.items():
            if (channel := self._channels.get(workspace_id)) is not None:
                self._advance(workspace_id, channel, number)


async def _newest_numbers(workspace_ids: Sequence[str]) -> dict[str, int]:
    condition, values = any_of(reading_dialect(), "id", 1, workspace_ids)
    rows = await fetch(f"SELECT id, seq FROM workspaces WHERE {condition}", values)  # noqa: S608
    return {row["id"]: row["seq"] for row in rows}


# --- Cursors ---------------------------------------------------------------------------------------------------
