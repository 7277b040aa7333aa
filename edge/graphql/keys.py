"""The API keys of open connections: one that is revoked or expires closes what it holds open.

The feed has them checked before it sends what was committed after a revocation. The poll finds what no line of the log
says: keys that expire, and connections that follow nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import Final, Self

import structlog

from models.instant import utc_now
from models.session import Session
from periodic import Periodic
from resolvers.auth import note_use, still_valid

log = structlog.get_logger(__name__)

POLL_INTERVAL_S: Final = 0.5
_NOTE_INTERVAL_S: Final = 30.0


class KeyWatch:
    """Looks after the keys of this process: whether they still open anything, and when they were last used.

    It works in the background, within its block.
    """

    def __init__(self, poll_interval_s: float = POLL_INTERVAL_S) -> None:
        self._poll_interval_s = poll_interval_s
        self._work = AsyncExitStack()
        self._held: dict[str, set[Callable[[], None]]] = defaultdict(set)
        self._used_at: dict[str, datetime] = {}

    def note(self, key_id: str) -> None:
        """Remember that a key was used."""
        self._used_at[key_id] = utc_now()

    @contextmanager
    def holding(self, key_id: str, on_invalid: Callable[[], None]) -> Iterator[None]:
        """Call back when the key stops to be valid within the block."""
        self._held[key_id].add(on_invalid)
        try:
            yield
        finally:
            self._held[key_id].discard(on_invalid)
            if not self._held[key_id]:
                del self._held[key_id]

    async def __aenter__(self) -> Self:
        for each in (
            Periodic("API keys", self._poll_interval_s, self.check, expected=Exception),
            Periodic("use of API keys", _NOTE_INTERVAL_S, self._write_use),
        ):
            await self._work.enter_async_context(each)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._work.aclose()
        await self._write_use()

    async def check(self, key_ids: Collection[str] | None = None) -> None:
        """Look now, by default at all keys that are held: what an invalid one holds has been called back then.

        Raises:
            Exception: The database can't be asked, so nobody knows.
        """
        held = set(self._held if key_ids is None else key_ids)
        for key_id in held - await still_valid(held) if held else ():
            for on_invalid in list(self._held.get(key_id, ())):
                on_invalid()

    async def _write_use(self) -> None:
        used_at, self._used_at = self._used_at, {}
        try:
            if used_at:
                await note_use(used_at)
        except Exception as error:
            log.warning("the use of API keys could not be noted", error=repr(error))


@contextmanager
def ends_with(session: Session | None, on_end: Callable[[], None]) -> Iterator[None]:
    """Call back when a session ends within the block; without one never."""
    if session is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(session.remaining_s, on_end)
    try:
        yield
    finally:
        timer.cancel()
