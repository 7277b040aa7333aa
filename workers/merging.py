"""Merging the sums that changes have added to."""

import asyncio
from typing import Final, Self

import structlog

from errors import FluxrateError
from models.sums import merge_all

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 2.0


class Merging:
    """Every few seconds: merges what changes have added to the sums, so that totals read little."""

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
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await merge_all()
            except FluxrateError as error:
                log.warning("sums left to be merged later", error=error.message)
            except Exception:
                log.exception("sums could not be merged, trying again")
