"""Long tests begin first: what is begun last is what the other workers wait for at the end."""

from itertools import cycle, groupby
from typing import Final

import pytest

from tests.world.fast import takes_its_time

SHARED: Final = ("browser", "servers")
"""Fixtures of the session that take seconds to start: who asks for one runs beside the others, in one worker."""


def spread(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long at the beginning of the workers' shares.

    xdist gives each worker a part of the list, in order, and lets it steal from the end of others' when it is done. So
    the first workers begin with those that share a browser or servers, each with one kind; modules with tests that take
    their time follow, and all else.
    """
    kinds = {name: [item for item in items if _shared_by(item) == name] for name in SHARED}
    alone = [item for item in items if _shared_by(item) is None]
    long = {item.path for item in alone if takes_its_time(item)}
    modules = [list(group) for _, group in groupby((i for i in alone if i.path in long), key=lambda item: item.path)]
    others = [item for item in alone if item.path not in long]
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for share, block in zip(cycle(shares), [*kinds.values(), *modules], strict=False):
        share += block
    size = -(-len(items) // workers)
    items.clear()
    for share in shares:
        wanted = max(0, size - len(share))
        items += share + others[:wanted]
        del others[:wanted]
    items += others


def _shared_by(item: pytest.Item) -> str | None:
    """What a test shares with others of the session."""
    if not isinstance(item, pytest.Function):
        return None
    return next((name for name in SHARED if name in item.fixturenames), None)
