"""Long tests begin first: what is begun last is what the other workers wait for at the end."""

from itertools import groupby

import pytest

from tests.world.fast import takes_its_time


def spread(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the modules with tests that take their time at the beginning of the workers' shares.

    xdist gives each worker a part of the list, in order, and lets it steal from the end of others' when it is done. Who
    stands on a server of the session stays where it is, beside others of the same server.
    """
    long = {item.path for item in items if takes_its_time(item) and not _shares_servers(item)}
    modules = [list(group) for _, group in groupby((i for i in items if i.path in long), key=lambda item: item.path)]
    others = [item for item in items if item.path not in long]
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    size = -(-len(items) // workers)
    items.clear()
    for worker in range(workers):
        share = [item for module in modules[worker::workers] for item in module]
        wanted = max(0, size - len(share))
        items += share + others[:wanted]
        del others[:wanted]
    items += others


def _shares_servers(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "servers" in item.fixturenames
