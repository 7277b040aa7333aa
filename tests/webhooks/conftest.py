"""The webhook endpoint on a real database, called as a server calls it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import orjson
import pytest
from starlette.types import Message

from database.access import transaction
from models.kinds import Mode
from models.workspace import add_workspace
from resolvers.context import Services
from settings import Settings
from tests.world.app import ENCRYPTION_KEY
from tests.world.seed import Seeded, add_integration
from tests.world.stripe_payloads import signed_headers
from webhooks.stripe import PostOutcome, StripeWebhook


@dataclass
class Answer:
    """What the endpoint sent; nothing when the client was gone."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def json(self) -> object:
        return orjson.loads(self.messages[1]["body"])


@dataclass
class Stripe:
    """Posts to the endpoint, and knows how often what became of it."""

    webhook: StripeWebhook
    outcomes: Counter[PostOutcome]

    async def post(self, integration: Seeded, body: bytes, secret: str) -> Answer:
        """A delivery signed with a secret."""
        return await self.send(integration.webhook_path, [body], signed_headers(body, secret))

    async def send(
        self,
        path: str,
        chunks: Sequence[bytes] = (b"",),
        headers: dict[str, str] | None = None,
        method: str = "POST",
        then: str | None = None,
    ) -> Answer:
        """Any request. After the chunks the body is over, or `then`: "hang up" or "wait" for ever."""
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": then is not None or index < len(chunks) - 1}
            for index, chunk in enumerate(chunks)
        ]
        if then == "hang up":
            messages.append({"type": "http.disconnect"})

        async def receive() -> Message:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop(0)

        answer = Answer()

        async def send(message: Message) -> None:
            answer.messages.append(message)

        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": raw,
            "path_params": {"token": path.rpartition("/")[2]},
        }
        await self.webhook(scope, receive, send)
        return answer


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    """What lives as long as a process, open as far as deliveries need it."""
    from parts import compose

    environ = {"FLUXRATE_DATABASE_URL": database_url, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    async with compose(Settings.from_env(environ)).running(background=False) as services:
        yield services


@pytest.fixture
async def workspace_id(services: Services) -> str:
    """A workspace."""
    async with transaction() as tx:
        return (await add_workspace(tx, "Acme", Mode.TEST)).id


@pytest.fixture
async def integration(workspace_id: str) -> Seeded:
    """An integration of the workspace that is ready."""
    return await add_integration(workspace_id)


@pytest.fixture
async def stripe(services: Services) -> Stripe:
    """Somebody who posts."""
    outcomes: Counter[PostOutcome] = Counter()
    return Stripe(StripeWebhook(services, lambda outcome, _: outcomes.update([outcome])), outcomes)
