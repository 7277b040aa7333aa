"""Places at which a process can be told to kill itself, for the tests of what survives it.

Nothing happens at any of them unless one was armed, which only the tests do.
"""

import os
import signal
from typing import Final

POINTS: Final = (
    "verified",
    "begun",
    "read",
    "settled",
    "booked",
    "stored",
    "logged",
    "committed",
    "published",
    "answered",
)
"""On a delivery's way, in order. Its body is verified. Its transaction has begun, has read what is known, settled, and
written the payments and invoices, the raw bytes with the outcome, the log. It is committed, subscribers are woken,
Stripe is answered.
"""

_armed: str | None = None
_passes_left = 0


def parse(text: str) -> tuple[str, int]:
    """The point and the time that a text like `committed:3` names.

    Raises:
        ValueError: There is no such point, or no such number.
    """
    name, _, times = text.partition(":")
    if name not in POINTS or not (times.isascii() and times.isdecimal() and int(times) > 0):
        raise ValueError(f'must be one of {", ".join(POINTS)}, a colon and a number from 1, like "committed:3"')
    return name, int(times)


def arm(name: str, times: int) -> None:
    """Die when a point is reached for the n-th time."""
    global _armed, _passes_left
    _armed, _passes_left = name, times


def point(name: str) -> None:
    """A place at which the process dies if it was told to: at once, as by `kill -9`."""
    if _armed is not None:
        _pass(name)


def _pass(name: str) -> None:
    global _passes_left  # noqa: PLW0603
    if name == _armed:
        _passes_left -= 1
        if _passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
