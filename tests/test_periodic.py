"""Work that is done again and again."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from edge.metrics import Metrics
from errors import UnavailableError
from periodic import Periodic


class Work:
    """Counts how often it was done; `fails` says with what the first time fails."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.times = 0
        self._fails = fails
        self._done = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        self._done.set()
        if self._fails is not None and self.times == 1:
            raise self._fails

    async def until(self, is_enough: Callable[[int], bool]) -> None:
        """Wait until it was done often enough."""
        async with asyncio.timeout(20):
            while not is_enough(self.times):
                self._done.clear()
                await self._done.wait()


async def test_it_is_done_again_and_again_until_the_block_ends() -> None:
    work = Work()

    async with Periodic("counting", 0.01, work):
        await work.until(lambda times: times >= 3)
    times = work.times
    await asyncio.sleep(0.1)

    assert work.times == times


async def test_what_swallows_that_the_block_ended_is_not_done_again() -> None:
    """As `asyncio.wait_for` of Python 3.11 does when its result comes at the same moment."""
    times, began = 0, asyncio.Event()

    async def work() -> None:
        nonlocal times
        times += 1
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with asyncio.timeout(20):
        async with Periodic("swallowing", 0.01, work):
            await began.wait()
        await asyncio.sleep(0.1)

    assert times == 1


async def test_what_is_due_is_done_at_once() -> None:
    work, due = Work(), asyncio.Event()

    async with Periodic("counting", 3600, work, due=due):
        due.set()
        await work.until(lambda times: times == 1)
        assert not due.is_set()
        due.set()
        await work.until(lambda times: times == 2)


async def test_a_period_of_0_is_never() -> None:
    work, due = Work(), asyncio.Event()

    async with Periodic("counting", 0, work, due=due):
        due.set()
        await asyncio.sleep(0.05)

    assert work.times == 0


@pytest.mark.parametrize(
    ("error", "level"), [(UnavailableError("The database is away."), "warning"), (KeyError("a mistake"), "error")]
)
async def test_what_failed_is_told_and_done_again(error: Exception, level: str) -> None:
    """A mistake of ours with its traceback, what is expected in a line."""
    work, ran = Work(fails=error), list[tuple[str, bool]]()
    periodic = Periodic("counting", 0.01, work)
    periodic.on_ran = lambda job, seconds, failed: ran.append((job, failed)) if seconds >= 0 else None

    with capture_logs() as logs:
        async with periodic:
            await work.until(lambda times: times >= 3)

    assert [(entry["log_level"], entry["job"], bool(entry.get("exc_info"))) for entry in logs] == [
        (level, "counting", level == "error")
    ]
    assert ran[:2] == [("counting", True), ("counting", False)]


async def test_a_job_may_expect_every_error() -> None:
    work = Work(fails=KeyError("gone"))

    with capture_logs() as logs:
        async with Periodic("counting", 0.01, work, expected=Exception):
            await work.until(lambda times: times >= 2)

    assert [(entry["log_level"], entry["error"]) for entry in logs] == [("warning", "KeyError('gone')")]


def test_prometheus_is_told_how_long_a_job_takes_and_how_often_it_fails() -> None:
    metrics = Metrics()

    metrics.count_background("upkeep", 0.25, failed=False)
    metrics.count_background("upkeep", 0.5, failed=True)

    told = metrics.exposition().decode()
    assert 'fluxrate_background_seconds_sum{job="upkeep"} 0.75' in told
    assert 'fluxrate_background_failures_total{job="upkeep"} 1.0' in told
