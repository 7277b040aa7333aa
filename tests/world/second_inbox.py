"""Another process of the product over the same database: an inbox that is given deliveries and tells the receipts.

`deliver_apart` starts one; its command is `python -m tests.world.second_inbox FILE`.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from database.access import Database
from inbox.delivery import Origin, delivery_of
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.kinds import Mode
from tests.world.loaded import finished

PATIENCE_S: Final = 60.0


async def deliver_apart(url: str, integration: Integration, bodies: Sequence[bytes]) -> list[str]:
    """Deliver all at once to an inbox in a process of its own; the statuses that it answered."""
    asked = [url, integration.workspace_id, integration.id, integration.mode, [body.decode() for body in bodies]]
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(asked, file)
        file.flush()
        done = await asyncio.to_thread(finished, ["-m", __name__], [file.name], os.environ, None, PATIENCE_S)
    assert done.returncode == 0, done.stderr
    statuses: list[str] = json.loads(done.stdout.splitlines()[-1])
    return statuses


async def _main(url: str, workspace_id: str, integration_id: str, mode: str, bodies: Sequence[str]) -> None:
    origin = Origin(workspace_id, integration_id, Mode(mode))
    async with Database(url) as database, Inbox(database, lambda _: None, lambda: None) as inbox:
        deliveries = [delivery_of(origin, body.encode(), utc_now()) for body in bodies]
        receipts = await asyncio.gather(*(inbox.accept(delivery) for delivery in deliveries))
    print(json.dumps([receipt.status for receipt in receipts]))  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(_main(*json.loads(Path(sys.argv[1]).read_text())))
