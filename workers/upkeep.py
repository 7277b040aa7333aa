"""What a database needs now and then: sums merged, and statistics by which it plans."""

import asyncio
import time
from typing import Final, Self

import structlog

from database.door import optimize
from errors import FluxrateError
from models.sums import merge_all

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 2.0
OPTIMIZE_INTERVAL_S: Final = 3600.0


class Upkeep:
    """Every few seconds: merges what changes have added to the sums, so that totals read little. Every hour: has SQLite
    look at what its tables hold; PostgreSQL does so itself.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        optimized = float("-inf")
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await merge_all()
                if time.monotonic() - optimized > OPTIMIZE_INTERVAL_S:
                    await optimize()
                    optimized = time.monotonic()
            except FluxrateError as error:
                log.warning("sums left to be merged later", error=error.message)
            except Exception:
                log.exception("the database's upkeep failed, trying again")
