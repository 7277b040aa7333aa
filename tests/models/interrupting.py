"""Cancelling a task at a wait of one's choice."""

import asyncio
from collections.abc import Coroutine, Generator
from enum import Enum
from itertools import count
from typing import Any


class Moment(Enum):
    """When a task is cancelled."""

    AS_THE_WAIT_BEGINS = "as the wait begins"
    AS_THE_WAIT_ENDS = "as the wait ends"
    AT_EVERY_WAIT_FROM_THERE = "at every wait from there"


class Interrupted:
    """Runs a coroutine and cancels the task that it runs in at its n-th wait, unless it has fewer."""

    def __init__(self, work: Coroutine[Any, Any, None], wait: int, moment: Moment) -> None:
        self._work = work
        self._wait = wait
        self._moment = moment
        self.was_cancelled = False

    async def run(self) -> None:
        """Be the task."""
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._work.__await__()
        raised: BaseException | None = None
        for wait in count():
            try:
                awaited = next(steps) if raised is None else steps.throw(raised)
            except StopIteration:
                return
            if wait == self._wait or (wait > self._wait and self._moment is Moment.AT_EVERY_WAIT_FROM_THERE):
                self._cancel(task, awaited)
            raised = None
            try:
                yield awaited
            except BaseException as error:
                raised = error

    def _cancel(self, task: asyncio.Task[Any], awaited: asyncio.Future[Any] | None) -> None:
        self.was_cancelled = True
        if awaited is not None and self._moment is Moment.AS_THE_WAIT_ENDS:
            awaited.add_done_callback(lambda _: task.cancel())  # before the task itself is told
        else:
            task.cancel()
