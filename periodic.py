"""Runs a job in the background again and again.

If several processes run the same job, each row of work is claimed, so that one process does it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

import structlog

from errors import FluxrateError

log: Final = structlog.get_logger(__name__)

Ran = Callable[[str, float, bool], None]
"""Called after each run with the job's name, its seconds, and whether it failed."""


def is_stopped() -> bool:
    """Whether the current task was cancelled, even if the cancellation was swallowed.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives together with its result, and redis-py uses
    it: without this check a loop would never end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Periodic:
    """Runs `work` every `every_s` seconds, and whenever `due` is set, while its context is open; 0 means never.

    A failed run is tried again after the usual interval. An expected failure is logged in one line, any other with its
    traceback.
    """

    def __init__(
        self,
        job: str,
        every_s: float,
        work: Callable[[], Awaitable[None]],
        *,
        due: asyncio.Event | None = None,
        expected: type[Exception] = FluxrateError,
    ) -> None:
        self._job = job
        self._every_s = every_s
        self._work = work
        self._due = due or asyncio.Event()
        self._expected = expected
        self._task: asyncio.Task[None] | None = None
        self.on_ran: Ran | None = None

    async def __aenter__(self) -> Self:
        if self._every_s > 0:
            self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not is_stopped():
            try:
                async with asyncio.timeout(self._every_s):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            began_at = time.monotonic()
            succeeded = await self._succeeded()
            if self.on_ran is not None:
                self.on_ran(self._job, time.monotonic() - began_at, not succeeded)

    async def _succeeded(self) -> bool:
        try:
            await self._work()
        except self._expected as error:
            reason = error.message if isinstance(error, FluxrateError) else repr(error)
            log.warning("background work left for later", job=self._job, error=reason)
        except Exception:
            log.exception("background work failed, trying again later", job=self._job)
        else:
            return True
        return False
