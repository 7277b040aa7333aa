"""Maintains the database: merges its sums and updates its planner's statistics."""

import time
from typing import Final

from database.access import optimize
from models.sums import merge_all
from periodic import Periodic

INTERVAL_S: Final = 2.0
OPTIMIZE_INTERVAL_S: Final = 3600.0


class Upkeep(Periodic):
    """Every few seconds merges the rows that changes have added to the sums, so that totals read few rows. Every hour
    updates SQLite's statistics of its tables; PostgreSQL does so itself.
    """

    def __init__(self) -> None:
        super().__init__("upkeep", INTERVAL_S, self.run_due)
        self._optimized_at = float("-inf")

    async def run_due(self) -> None:
        """Do what is due."""
        await merge_all()
        if time.monotonic() - self._optimized_at > OPTIMIZE_INTERVAL_S:
            await optimize()
            self._optimized_at = time.monotonic()
