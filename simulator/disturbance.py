"""A disturbance: the events of the next steps are posted twice, late or out of order."""

import time
from dataclasses import dataclass
from typing import Final

from simulator.delivery import Posting

MAX_DURATION_S: Final = 600.0
"""A disturbance ends after this time, even if steps are left."""

MAX_STEPS: Final = 100
MAX_TIMES: Final = 10
MAX_DELAY_S: Final = 60.0


@dataclass
class Disturbance:
    """How the next steps' events are posted, for some steps and until an instant of the monotonic clock."""

    posting: Posting
    steps_left: int
    ends_at: float

    @property
    def left_s(self) -> float:
        """The seconds until its end."""
        return self.ends_at - time.monotonic()


class Disturbances:
    """Holds the current disturbance, if there is one."""

    def __init__(self) -> None:
        self._current: Disturbance | None = None

    @property
    def current(self) -> Disturbance | None:
        """Return the disturbance of the next step, or None."""
        if self._current is not None and (self._current.steps_left <= 0 or self._current.left_s <= 0):
            self._current = None
        return self._current

    def begin(self, posting: Posting, steps: int, longest_s: float = MAX_DURATION_S) -> None:
        """Begin a disturbance of the next steps, which replaces the current one."""
        self._current = Disturbance(posting, steps, time.monotonic() + longest_s)

    def end(self) -> None:
        """End the disturbance."""
        self._current = None

    def applied(self, asked: Posting) -> Posting:
        """Use up one step: add the disturbance to how its events were to be posted."""
        disturbance = self.current
        if disturbance is None or asked.times == 0:
            return asked
        disturbance.steps_left -= 1
        added = disturbance.posting
        return Posting(
            times=max(asked.times, added.times),
            delay_s=max(asked.delay_s, added.delay_s),
            is_shuffled=asked.is_shuffled or added.is_shuffled,
            is_tampered=asked.is_tampered or added.is_tampered,
        )
