"""Somebody who appends to a workspace's log, one to three lines at a time, and often gives up at the end.

As a command: `python -m tests.models.appending URL WORKSPACE_ID SEED WRITES`.
"""

import asyncio
import contextlib
import os
import random
import sys
from typing import Final

from database.access import Database, transaction
from models.event import Happening, append
from models.instant import utc_now
from models.kinds import EventType
from tests.models.rows import RolledBackError
from tests.world.loaded import finished

PATIENCE_S: Final = 60.0


async def append_at_random(workspace_id: str, seed: int, writes: int) -> int:
    """How many lines were committed."""
    chance, committed = random.Random(seed), 0
    for _ in range(writes):
        lines = chance.randint(1, 3)
        happening = Happening(
            type=EventType.CUSTOMER_UPDATED, workspace_id=workspace_id, actor=f"key_{seed}", occurred_at=utc_now()
        )
        with contextlib.suppress(RolledBackError):
            async with transaction() as tx:
                await append(tx, [happening] * lines)
                if chance.random() < 0.3:
                    raise RolledBackError
            committed += lines
    return committed


async def append_in_a_process(url: str, workspace_id: str, seed: int, writes: int) -> int:
    """The same, by another process."""
    arguments = [url, workspace_id, str(seed), str(writes)]
    done = await asyncio.to_thread(finished, ["-m", __name__], arguments, os.environ, None, PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


async def main(url: str, workspace_id: str, seed: str, writes: str) -> None:
    async with Database(url):
        committed = await append_at_random(workspace_id, int(seed), int(writes))
    sys.stdout.write(str(committed))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
