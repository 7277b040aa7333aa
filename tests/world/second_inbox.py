"""Another process of the product over the same database: an inbox that is given deliveries and tells the receipts.

`deliver_apart` starts one; its command is `python -m tests.world.second_inbox`.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from database.access import Database
from inbox.delivery import Origin, delivery_of
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.kinds import Mode

ROOT: Final = Path(__file__).resolve().parents[2]


async def deliver_apart(url: str, integration: Integration, bodies: Sequence[bytes]) -> list[str]:
    """Deliver all at once to an inbox in a process of its own; the statuses that it answered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    asked = [url, integration.workspace_id, integration.id, integration.mode, [body.decode() for body in bodies]]
    answer, _ = await process.communicate(json.dumps(asked).encode())
    assert process.returncode == 0
    statuses: list[str] = json.loads(answer.splitlines()[-1])
    return statuses


async def _main() -> None:
    url, workspace_id, integration_id, mode, bodies = json.load(sys.stdin)
    origin = Origin(workspace_id, integration_id, Mode(mode))
    async with Database(url) as database, Inbox(database, lambda _: None, lambda: None) as inbox:
        deliveries = [delivery_of(origin, body.encode(), utc_now()) for body in bodies]
        receipts = await asyncio.gather(*(inbox.accept(delivery) for delivery in deliveries))
    print(json.dumps([receipt.status for receipt in receipts]))  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(_main())
