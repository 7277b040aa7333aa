"""The product serving a database, with nothing to do but what the test posts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.world.app import MAIN, RunningApp, running_app

OUTAGE_S: Final = float(os.environ.get("FLUXRATE_FAULT_OUTAGE_S", "10"))
"""How long something is away: longer than the product keeps what it looked up, or waits for a lock (5 s)."""

PROMPT_S: Final = 5.0
"""A client's patience with an answer that takes 2 s at most."""

_NOBODY: Final = "http://127.0.0.1:1"
_ALONE: Final = {"FLUXRATE_SYNC_INTERVAL_S": "0"}


@contextmanager
def serving(
    database_url: str,
    *,
    env: Mapping[str, str] | None = None,
    broadcast_url: str = "memory://",
    workers: int = 1,
    dies_at: str | None = None,
) -> Iterator[RunningApp]:
    """A server that asks nothing of Stripe. `dies_at` is a point and a time, like `committed:3`: see `dying`."""
    entry = (str(MAIN),) if dies_at is None else ("-m", "tests.faults.dying", dies_at)
    alone = {**_ALONE, **(env or {})}
    with running_app(database_url, broadcast_url, workers, stripe_api_base=_NOBODY, env=alone, entry=entry) as app:
        yield app
