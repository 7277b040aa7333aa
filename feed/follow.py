"""The feed: sends every new line of a workspace's log to each follower, once and in order.

Before it sends the line of an API key's revocation, or a later line, it has the keys of open connections checked. So in
every process a revoked key gets nothing that was committed after its revocation.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Self, TypeVar

import structlog

from database.access import fetch, reading_dialect
from database.bulk import any_of
from database.scope import scoped
from feed.bus import Bus, is_shared
from feed.follower import MAX_BUFFERED, Follower
from models.event import Event
from models.kinds import EventType
from periodic import Periodic

log = structlog.get_logger(__name__)

POLL_INTERVAL_S: Final = 1.0
PAGE: Final = 200
_END: Final = 2**63 - 1


SharedT = TypeVar("SharedT")


@dataclass(slots=True)
class Line(Generic[SharedT]):
    """A line of the log, and what its followers share, so that rows are loaded once for all."""

    number: int
    event: Event
    shared: SharedT


@dataclass(eq=False, slots=True)
class _Channel(Generic[SharedT]):
    """A workspace with followers in this process, which have received the lines up to `position`."""

    position: int
    newest: int
    followers: set["_Follower[SharedT]"] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None


class Feed(Generic[SharedT]):
    """Follows the logs of all workspaces with subscribers here; `share` makes what the followers of a line share."""

    def __init__(self, broadcast_url: str, share: Callable[[str], SharedT]) -> None:
        self._poll_now = asyncio.Event()
        self._bus = Bus(broadcast_url, self._wake, self._poll_now.set) if is_shared(broadcast_url) else None
        self._share = share
        self._channels: dict[str, _Channel[SharedT]] = {}
        self._poller = Periodic("the log", POLL_INTERVAL_S, self._poll, due=self._poll_now, expected=Exception)
        self._check_keys: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Self:
        if self._bus is not None:
            await self._bus.__aenter__()
        await self._poller.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._poller.__aexit__()
        if self._bus is not None:  # a message that came later would begin to read again
            await self._bus.__aexit__()
        reading = [channel.reading for channel in self._channels.values() if channel.reading is not None]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def wake(self, newest: Mapping[str, int]) -> None:
        """Report committed lines: each workspace's newest number. Followers in this process are woken at once."""
        for workspace_id, number in newest.items():
            self._wake(workspace_id, number)
        if self._bus is not None:
            self._bus.wake(newest)

    def check_keys_with(self, check: Callable[[], Awaitable[None]]) -> None:
        """Set the function that closes connections whose keys are no longer valid."""
        self._check_keys = check

    async def check_keys(self) -> None:
        """Close connections whose keys are no longer valid."""
        if self._check_keys is not None:
            await self._check_keys()

    @property
    def follower_count(self) -> int:
        """How many subscriptions are open in this process."""
        return sum(len(channel.followers) for channel in self._channels.values())

    def follow(self, workspace_id: str, after: int, until: int | None = None) -> AsyncGenerator[Line[SharedT], None]:
        """Yield every line after a number, in order, each once: first those committed since, then new ones.

        With `until` it ends with that line, which is already committed.
        """
        if until is not None:
            return self._read(workspace_id, after, until)
        return _Follower(self, workspace_id, after).items()

    # --- Following ---------------------------------------------------------------------------------------------

    async def _join(self, workspace_id: str, follower: "_Follower[SharedT]") -> None:
        if workspace_id not in self._channels:
            newest = (await _newest_numbers([workspace_id]))[workspace_id]
            self._channels.setdefault(workspace_id, _Channel(newest, newest))
        self._channels[workspace_id].followers.add(follower)

    def _leave(self, workspace_id: str, follower: "_Follower[SharedT]") -> None:
        channel = self._channels[workspace_id]
        channel.followers.remove(follower)
        if not channel.followers and channel.reading is None:
            del self._channels[workspace_id]

    async def _read(self, workspace_id: str, after: int, until: int = _END) -> AsyncGenerator[Line[SharedT], None]:
        while after < until:
            shared = self._share(workspace_id)
            later = scoped(Event, workspace_id).filter(number__gt=after, number__lte=until)
            events = await later.order_by("number").limit(PAGE)
            if any(event.type is EventType.API_KEY_REVOKED for event in events):
                await self.check_keys()
            for event in events:
                yield Line(event.number, event, shared)
            if len(events) < PAGE:
                return
            after = events[-1].number

    # --- Waking ------------------------------------------------------------------------------------------------

    def _wake(self, workspace_id: str, number: int) -> None:
        if (channel := self._channels.get(workspace_id)) is not None:
            self._advance(workspace_id, channel, number)

    def _advance(self, workspace_id: str, channel: _Channel[SharedT], newest: int) -> None:
        channel.newest = max(channel.newest, newest)
        if channel.reading is None and channel.newest > channel.position:
            channel.reading = asyncio.create_task(self._send_lines(workspace_id, channel))

    async def _send_lines(self, workspace_id: str, channel: _Channel[SharedT]) -> None:
        try:
            while channel.newest > channel.position and channel.followers:
                # Followers buffer no more than this; they read the rest themselves.
                until = channel.position + MAX_BUFFERED
                lines = [line async for line in self._read(workspace_id, channel.position, until)]
                if not lines:
                    break
                channel.position = lines[-1].number
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
            self._wake(workspace_id, number)


class _Follower(Follower[Line[SharedT]]):
    """A follower of one workspace's log."""

    def __init__(self, feed: Feed[SharedT], workspace_id: str, after: int) -> None:
        super().__init__(after)
        self._feed, self._workspace_id = feed, workspace_id

    async def join(self) -> None:
        await self._feed._join(self._workspace_id, self)

    def leave(self) -> None:
        self._feed._leave(self._workspace_id, self)

    def missed(self) -> AsyncGenerator[Line[SharedT], None]:
        return self._feed._read(self._workspace_id, self.position)


async def _newest_numbers(workspace_ids: Sequence[str]) -> dict[str, int]:
    condition, values = any_of(reading_dialect(), "id", 1, workspace_ids)
    rows = await fetch(f"SELECT id, seq FROM workspaces WHERE {condition}", values)  # noqa: S608
    return {row["id"]: row["seq"] for row in rows}
