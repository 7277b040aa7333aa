"""Finds the integration behind a webhook token, and the secrets that verify its deliveries."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from database.access import fetch
from database.errors import is_unavailable
from database.transaction import Row
from errors import UnavailableError
from inbox.delivery import Origin
from models.instant import from_row
from models.integration import bound_to
from models.kinds import Mode
from models.secret import Keyring

MAX_KNOWN: Final = 1024
KNOWN_FOR_S: Final = 5.0
READ_TIMEOUT_S: Final = 5.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_QUERY: Final = (
    "SELECT id, workspace_id, mode, webhook_secret_sealed, previous_webhook_secret_sealed,"
    " previous_webhook_secret_expires_at FROM integrations WHERE webhook_token = $1 AND disconnected_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Listener:
    """An integration and its webhook secrets, as read from the database.

    `read_at` is that moment, by the monotonic clock. `sealed` are the current and the previous secret as they are
    stored.
    """

    origin: Origin
    sealed: tuple[str | None, str | None] = field(repr=False)
    secret: str | None = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_expires_at: datetime | None
    read_at: float

    def previous_at(self, at: datetime) -> str | None:
        """Return the secret before the current one, if it still verifies at that time."""
        expires_at = self.previous_expires_at
        return self.previous_secret if expires_at is not None and expires_at > at else None


class Directory:
    """Caches the integrations that were looked up in the last seconds; simultaneous look-ups of one share a query."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[str, Listener] = {}
        self._readings: dict[str, tuple[float, asyncio.Task[Listener | None]]] = {}

    async def find(self, token: str) -> Listener | None:
        """Find the integration with this token; what it returns may be KNOWN_FOR_S old.

        Raises:
            UnavailableError: The database is unavailable right now.
        """
        return self.known(token) or await self.find_since(token, time.monotonic())

    def known(self, token: str) -> Listener | None:
        """Return the integration with this token if it was read less than KNOWN_FOR_S ago."""
        known = self._known.get(token)
        if known is not None and time.monotonic() - known.read_at < KNOWN_FOR_S:
            return known
        return None

    async def find_since(self, token: str, since: float) -> Listener | None:
        """Find the integration with this token, as it is at `since` or later, by the monotonic clock.

        Raises:
            UnavailableError: The database is unavailable right now.
        """
        known = self._known.get(token)
        if known is not None and known.read_at >= since:
            return known
        if not _TOKEN.fullmatch(token):
            return None
        while True:
            began_at, reading = self._readings.get(token) or self._begin(token)
            found = await _patiently(reading)
            if began_at >= since:
                return found

    def forget(self, token: str) -> None:
        """Read this token's integration again when it is asked for next."""
        self._known.pop(token, None)

    def _begin(self, token: str) -> tuple[float, asyncio.Task[Listener | None]]:
        began_at = time.monotonic()
        reading = asyncio.create_task(self._read(token, began_at))
        self._readings[token] = began_at, reading

        def on_done(task: asyncio.Task[Listener | None]) -> None:
            del self._readings[token]
            if not task.cancelled():
                task.exception()  # marks it as seen: the callers that waited have raised it already

        reading.add_done_callback(on_done)
        return began_at, reading

    async def _read(self, token: str, began_at: float) -> Listener | None:
        rows = await fetch(_QUERY, token)
        if not rows:
            self.forget(token)
            return None
        row = rows[0]
        expires_at = row["previous_webhook_secret_expires_at"]
        listener = Listener(
            origin=Origin(row["workspace_id"], row["id"], Mode(row["mode"])),
            sealed=(row["webhook_secret_sealed"], row["previous_webhook_secret_sealed"]),
            secret=self._opened(row["id"], "webhook_secret_sealed", row),
            previous_secret=self._opened(row["id"], "previous_webhook_secret_sealed", row),
            previous_expires_at=None if expires_at is None else from_row(expires_at),
            read_at=began_at,
        )
        if len(self._known) >= MAX_KNOWN and token not in self._known:
            del self._known[next(iter(self._known))]
        self._known[token] = listener
        return listener

    def _opened(self, integration_id: str, column: str, row: Row) -> str | None:
        sealed = row[column]
        return None if sealed is None else self._keyring.open(sealed, bound_to(integration_id, column))


async def _patiently(reading: asyncio.Task[Listener | None]) -> Listener | None:
    """Wait for a read that others may wait for, too: a caller that gives up doesn't cancel it."""
    try:
        return await asyncio.wait_for(asyncio.shield(reading), READ_TIMEOUT_S)
    except Exception as error:
        if is_unavailable(error):
            raise UnavailableError("The integration can't be read right now: try again in a moment.") from error
        raise
