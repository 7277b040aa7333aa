"""Watches the API keys of open connections: when a key expires or is revoked, its connections are closed.

The feed checks them before it sends anything that was committed after a revocation. The poll finds the rest: keys that
expire, and connections without a subscription.
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
    """Watches the keys that this process uses: whether they are valid, and when each was last used.

    It works in the background while its block runs.
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
        """Call `on_invalid` if the key becomes invalid while the block runs."""
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
        """Check keys, by default all that are held, and call back for each invalid one before returning.

        Raises:
            Exception: The database can't be read, so the keys are unchecked.
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
    """Call `on_end` if the session ends while the block runs; without a session do nothing."""
    if session is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(session.remaining_s, on_end)
    try:
        yield
    finally:
        timer.cancel()
