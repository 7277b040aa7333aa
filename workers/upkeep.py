"""What a database needs now and then: sums merged, and statistics by which it plans."""

import time
from typing import Final

from database.access import optimize
from models.sums import merge_all
from periodic import Periodic

INTERVAL_S: Final = 2.0
OPTIMIZE_INTERVAL_S: Final = 3600.0


class Upkeep(Periodic):
    """Every few seconds: merges what changes have added to the sums, so that totals read little. Every hour: has SQLite
    look at what its tables hold; PostgreSQL does so itself.
    """

    def __init__(self) -> None:
        super().__init__("upkeep", INTERVAL_S, self.work_off)
        self._optimized_at = float("-inf")

    async def work_off(self) -> None:
        """Do once what is due."""
        await merge_all()
        if time.monotonic() - self._optimized_at > OPTIMIZE_INTERVAL_S:
            await optimize()
            self._optimized_at = time.monotonic()
