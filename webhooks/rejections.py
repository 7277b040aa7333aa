"""Counting rejected deliveries in memory, written down once a second at most: forgeries can't flood the database."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from models.database import transaction

log = structlog.get_logger(__name__)

FLUSH_INTERVAL_S: Final = 1.0


@dataclass(slots=True)
class _Count:
    rejected: int
    last_at: datetime


class Rejections:
    """How many deliveries of which integration were rejected since that was last written down."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Rejections":
        self._task = asyncio.create_task(self._flush_often())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()

    def note(self, integration_id: str, at: datetime, times: int = 1) -> None:
        """Count a rejected delivery; never waits."""
        count = self._counts.get(integration_id)
        if count is None:
            self._counts[integration_id] = _Count(times, at)
        else:
            count.rejected += times
            count.last_at = max(count.last_at, at)
        self._something.set()

    async def _flush_often(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            await self._flush()
            await asyncio.sleep(FLUSH_INTERVAL_S)

    async def _flush(self) -> None:
        counts, self._counts = self._counts, {}
        if not counts:
            return
        writing = asyncio.create_task(_write(counts))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:  # what is being written is written to its end, and not counted again
            await asyncio.wait({writing})
            if writing.exception() is not None:
                self._put_back(counts)
            raise
        except Exception as error:
            log.warning("rejected deliveries could not be counted, trying again", error=repr(error))
            self._put_back(counts)
            return
        for integration_id, count in counts.items():
            log.warning("webhook deliveries rejected", integration=integration_id, count=count.rejected)

    def _put_back(self, counts: dict[str, _Count]) -> None:
        for integration_id, count in counts.items():
            self.note(integration_id, count.last_at, count.rejected)


async def _write(counts: dict[str, _Count]) -> None:
    async with transaction() as tx:
        for integration_id in sorted(counts):
            await tx.execute(
                "UPDATE integration_traffic SET rejected = rejected + $2, last_rejected_at = $3"
                " WHERE integration_id = $1",
                integration_id,
                counts[integration_id].rejected,
                counts[integration_id].last_at,
            )
