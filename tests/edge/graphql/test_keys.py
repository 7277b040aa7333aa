"""Keys of open connections."""

import asyncio
from collections.abc import Callable

from database.access import transaction
from database.scope import unscoped
from edge.graphql.keys import KeyWatch
from models.api_key import ApiKey
from models.instant import utc_now
from models.kinds import EventType
from models.workspace import Workspace
from resolvers.context import Services
from resolvers.operator import revoke_key
from tests.world import documents
from tests.world.caller import Caller


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

    async with watch:
        with watch.holding(revoked.id, called.by("revoked")), watch.holding(kept.id, called.by("kept")):
            await asyncio.sleep(0.1)
            assert called.names == []
            async with transaction():
                await unscoped(ApiKey).filter(id=revoked.id).update(revoked_at=utc_now())
            async with asyncio.timeout(5):
                await called.back.wait()

    assert set(called.names) == {"revoked"}


async def test_what_a_revoked_key_holds_is_called_back_before_later_lines_are_told(
    admin: Caller, reader: Caller, services: Services, callers_workspace: Workspace
) -> None:
    """Also when another process revoked it, and however late this one hears of both."""
    watch, heard = KeyWatch(poll_interval_s=60), list[str]()
    services.feed.check_keys_with(watch.check)
    key, newest = (await reader.operation()).caller.api_key, callers_workspace.seq
    everything = asyncio.Event()

    async def follow() -> None:
        async for line in services.feed.follow(callers_workspace.id, newest):
            heard.append(line.event.type.value)
            if line.event.type is EventType.CUSTOMER_CREATED:
                everything.set()

    following = asyncio.create_task(follow())
    async with asyncio.timeout(20):
        while services.feed.follower_count == 0:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
    with watch.holding(key.id, lambda: heard.append("called back")):
        await revoke_key(key.id)
        await admin.query(documents.CREATE_CUSTOMER, input={"name": "Ada", "email": "ada@example.com"})
        async with asyncio.timeout(20):
            await everything.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert heard[0] == "called back"
    assert [told for told in heard if told != "called back"][:2] == ["API_KEY_REVOKED", "CUSTOMER_CREATED"]


async def test_who_catches_up_after_a_revocation_is_called_back_first(
    reader: Caller, services: Services, callers_workspace: Workspace
) -> None:
    """What it missed is read from the log by itself."""
    watch, heard = KeyWatch(poll_interval_s=60), list[str]()
    services.feed.check_keys_with(watch.check)
    key = (await reader.operation()).caller.api_key

    with watch.holding(key.id, lambda: heard.append("called back")):
        await revoke_key(key.id)
        async for line in services.feed.follow(callers_workspace.id, callers_workspace.seq, callers_workspace.seq + 1):
            heard.append(line.event.type.value)

    assert heard == ["called back", "API_KEY_REVOKED"]


async def test_the_use_of_a_key_is_written_down_at_the_end(reader: Caller) -> None:
    """At the latest."""
    watch, key = KeyWatch(), (await reader.operation()).caller.api_key

    async with watch:
        watch.note(key.id)

    answer = await reader.query("{ viewer { apiKey { lastUsedAt } } }")
    assert answer["viewer"]["apiKey"]["lastUsedAt"] is not None
