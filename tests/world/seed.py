"""Rows put straight into a database, for tests that are not about how they get there.

Inside `async with Database(…)` use the coroutines; for a database that another process serves there is `within`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from database.access import Database, fetch, transaction
from database.transaction import Row
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic, bound_to, new_webhook_token, preview_of
from models.kinds import Mode
from models.secret import Keyring
from tests.world.apart import run_apart
from tests.world.app import ENCRYPTION_KEY

SECRET_KEY: Final = "sk_test_4242424242424242"
WEBHOOK_SECRET: Final = "whsec_4242424242424242"
KEYRING: Final = Keyring.parse([ENCRYPTION_KEY])

T = TypeVar("T")


@dataclass(frozen=True)
class Seeded:
    """An integration that was put there."""

    id: str
    token: str

    @property
    def webhook_path(self) -> str:
        """Where Stripe posts to."""
        return f"/webhooks/stripe/{self.token}"

    def seal(self, secret: str, column: str = "webhook_secret_sealed") -> str:
        """A secret as one of its columns holds it."""
        return KEYRING.seal(secret, bound_to(self.id, column))

    async def change(self, **values: Any) -> None:
        """Write columns of it, behind the back of whoever knows it."""
        async with transaction() as tx:
            for column, value in values.items():
                await tx.execute(f"UPDATE integrations SET {column} = $2 WHERE id = $1", self.id, value)

    async def traffic(self) -> Row:
        """What is counted of it."""
        (row,) = await fetch("SELECT * FROM integration_traffic WHERE integration_id = $1", self.id)
        return row


async def add_integration(
    workspace_id: str,
    *,
    webhook_secret: str | None = WEBHOOK_SECRET,
    previous_secret: str | None = None,
    previous_expires_at: datetime | None = None,
) -> Seeded:
    """An active test integration with sealed secrets."""
    seeded, now = Seeded(new_id(Prefix.INTEGRATION), new_webhook_token()), utc_now()
    async with transaction():
        await Integration(
            id=seeded.id,
            workspace_id=workspace_id,
            name="Stripe",
            mode=Mode.TEST,
            is_active=True,
            webhook_token=seeded.token,
            secret_key_sealed=seeded.seal(SECRET_KEY, "secret_key_sealed"),
            secret_key_preview=preview_of(SECRET_KEY),
            webhook_secret_sealed=webhook_secret and seeded.seal(webhook_secret),
            previous_webhook_secret_sealed=previous_secret and seeded.seal(previous_secret),
            previous_webhook_secret_expires_at=previous_expires_at,
            created_at=now,
            updated_at=now,
        ).save()
        await IntegrationTraffic(integration_id=seeded.id, workspace_id=workspace_id).save()
    return seeded


def within(database_url: str, work: Callable[[], Awaitable[T]]) -> T:
    """Do something with the models in a database that this process hasn't open."""

    async def run() -> T:
        async with Database(database_url, pool_size=1):
            return await work()

    return run_apart(run)


def rows(database_url: str, query: str, *values: object) -> list[Row]:
    """What a query answers in a database that this process hasn't open."""

    async def read() -> list[Row]:
        return list(await fetch(query, *values))

    return within(database_url, read)
