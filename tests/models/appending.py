"""Somebody who appends to a workspace's log, one to three lines at a time, and often gives up at the end.

As a command: `python -m tests.models.appending URL WORKSPACE_ID SEED WRITES`.
"""

import asyncio
import contextlib
import random
import sys
from pathlib import Path
from typing import Final

from database.access import Database, transaction
from models.event import Happening, append
from models.instant import utc_now
from models.kinds import EventType
from tests.models.rows import RolledBackError

ROOT: Final = Path(__file__).parents[2]


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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.models.appending",
        *(url, workspace_id, str(seed), str(writes)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await process.communicate()
    assert process.returncode == 0
    return int(stdout)


async def main(url: str, workspace_id: str, seed: str, writes: str) -> None:
    async with Database(url):
        committed = await append_at_random(workspace_id, int(seed), int(writes))
    sys.stdout.write(str(committed))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
