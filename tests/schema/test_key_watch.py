"""Keys of open connections."""

import asyncio
from collections.abc import Callable

from models.api_key import ApiKey
from models.database import transaction, unscoped
from models.instant import utc_now
from schema.key_watch import KeyWatch
from tests.schema.caller import Caller


class Called:
    """Who was called back."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.back = asyncio.Event()

    def by(self, name: str) -> Callable[[], None]:
        """A callback that is noted."""

        def call() -> None:
            self.names.append(name)
            self.back.set()

        return call


async def test_what_a_revoked_key_holds_is_called_back(admin: Caller, reader: Caller) -> None:
    """And nothing else."""
    watch, called = KeyWatch(poll_interval_s=0.02), Called()
    revoked, kept = (await admin.operation()).caller.api_key, (await reader.operation()).caller.api_key
    watching = asyncio.create_task(watch.watch())

    with (
        watch.holding(revoked.id, called.by("revoked")),
        watch.holding(kept.id, called.by("kept")),
    ):
        await asyncio.sleep(0.1)
        assert called.names == []
        async with transaction():
            await unscoped(ApiKey).filter(id=revoked.id).update(revoked_at=utc_now())
        async with asyncio.timeout(5):
            await called.back.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert set(called.names) == {"revoked"}


async def test_the_use_of_a_key_is_written_down_at_the_end(reader: Caller) -> None:
    """At the latest."""
    watch, key = KeyWatch(), (await reader.operation()).caller.api_key
    watching = asyncio.create_task(watch.watch())
    await asyncio.sleep(0)

    watch.note(key.id)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    answer = await reader.query("{ viewer { apiKey { lastUsedAt } } }")
    assert answer["viewer"]["apiKey"]["lastUsedAt"] is not None
