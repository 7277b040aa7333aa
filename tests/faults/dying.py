"""The command line of a product that kills itself: `python -m tests.faults.dying committed:3 serve …`.

It dies at a point of a delivery's way, reached for the n-th time, as by `kill -9`.
"""

import os
import signal
import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Final

from edge.server.direct import DirectCycle
from inbox import batch, queue
from inbox.loading import Loader
from inbox.queue import Inbox
from main import cli

Work = Callable[..., Any]

BEFORE: Final[dict[str, tuple[Any, str]]] = {
    "verified": (Inbox, "submit"),
    "begun": (batch, "post"),
    "settled": (batch, "write_books"),
}
AFTER: Final[dict[str, tuple[Any, str]]] = {
    "read": (Loader, "load"),
    "booked": (batch, "write_books"),
    "stored": (batch, "write_postings"),
    "logged": (batch, "append"),
    "committed": (queue, "retrying"),
    "published": (Inbox, "_post"),
    "answered": (DirectCycle, "answer"),
}
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


def die_at(point: str, times: int) -> None:
    """Have this process die when a point is reached for the n-th time."""
    left = times

    def reached() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    holder, name = {**BEFORE, **AFTER}[point]
    work: Work = getattr(holder, name)

    async def dying(*args: Any, **kwargs: Any) -> Any:
        if point in BEFORE:
            reached()
        done = await work(*args, **kwargs)
        if point in AFTER:
            reached()
        return done

    def dying_at_once(*args: Any, **kwargs: Any) -> Any:
        if point in BEFORE:
            reached()
        done = work(*args, **kwargs)
        if point in AFTER:
            reached()
        return done

    setattr(holder, name, dying if iscoroutinefunction(work) else dying_at_once)


if __name__ == "__main__":
    name, _, times = sys.argv.pop(1).partition(":")
    die_at(name, int(times))
    cli()
