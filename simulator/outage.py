"""An outage: for some seconds the API does nothing and no event is posted."""

import asyncio
import time
from typing import Final

from simulator.errors import server_error

MAX_DURATION_S: Final = 300.0
_POLL_S: Final = 0.2
"""How often to check whether an outage was ended early."""


class Outage:
    """Holds the end of the current outage; at first there is none."""

    def __init__(self) -> None:
        self._ends_at = 0.0

    @property
    def left_s(self) -> float:
        """The seconds until its end, 0 when there is none."""
        return max(0.0, self._ends_at - time.monotonic())

    def begin(self, seconds: float) -> None:
        """Begin an outage of some seconds, which replaces the current one."""
        self._ends_at = time.monotonic() + min(seconds, MAX_DURATION_S)

    def end(self) -> None:
        """End it now."""
        self._ends_at = 0.0

    async def wait(self) -> None:
        """Wait until there is none."""
        while self.left_s > 0:  # noqa: ASYNC110 - its end moves when another begins or it is ended early
            await asyncio.sleep(min(self.left_s, _POLL_S))

    def refuse(self) -> None:
        """Refuse a call while it lasts.

        Raises:
            StripeError: There is an outage.
        """
        if self.left_s > 0:
            raise server_error(500)
