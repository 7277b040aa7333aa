"""Stores deliveries whose signature can't be verified, until a saved secret verifies them as of their receipt.

Anybody who knows the URL can post here, so everything is bounded: the size of a body, the number per integration, the
transactions per second, and each integration's share. When the quarantine is full, new posts are refused; Stripe posts
again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
import structlog

from database.access import retrying, transaction
from database.conditions import Literally
from database.scope import scoped, unscoped
from database.transaction import Transaction
from errors import UnavailableError
from gateways.registry import GATEWAY
from inbox.delivery import Delivery, Origin, delivery_of
from inbox.quarantine.dropping import drop_all, drop_expired, note_judged
from inbox.quarantine.post import Post
from inbox.quarantine.store import Rejections, Written, write
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration, opened
from models.kinds import WebhookEventStatus
from models.secret import Keyring
from models.webhook_event import UNFINISHED, WebhookEvent

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 256 * 1024
"""The largest body that is stored."""

_PAUSE_S: Final = 0.2
_FULL_FOR_S: Final = 2.0
_MAX_WAITING: Final = 128


@dataclass(slots=True)
class _Waiting:
    """A post to store, and the future that its callers await."""

    post: Post
    kept: asyncio.Future[bool]


_Same = tuple[str, str, str, tuple[str | None, ...]]
"""What makes two posts the same: integration, body, signature, and the secrets that they were checked against."""


class Quarantine:
    """Stores posts in batches, a few transactions a second, and gives those that verify to the inbox."""

    def __init__(self, inbox: Inbox, keyring: Keyring, on_commit: Callable[[Mapping[str, int]], None]) -> None:
        self._inbox = inbox
        self._keyring = keyring
        self._on_commit = on_commit
        self._waiting: dict[_Same, _Waiting] = {}
        self._shares: Counter[str] = Counter()
        self._counts: dict[str, Rejections] = {}
        self._full_until: dict[str, float] = {}
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._unfinished: set[str] | None = None
        """Ids of integrations whose release is not finished; None until they are read from the database."""

    async def __aenter__(self) -> "Quarantine":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Store the posts that wait, then stop."""
        self._closing = True
        self._something.set()
        if self._task is not None:
            await self._task

    # --- Keeping -----------------------------------------------------------------------------------------------

    async def keep(self, post: Post) -> bool:
        """Store a post, or only count it if there is no room.

        False means that the secrets were replaced since the post was checked: check it again.

        Raises:
            UnavailableError: The database is unavailable right now; nothing is kept.
        """
        integration_id = post.origin.integration_id
        if len(post.body) > MAX_BYTES:
            self._note(post)
            return True
        same: _Same = integration_id, post.key, post.signature, tuple(post.judged_by)
        waiting = self._waiting.get(same)
        if waiting is not None:
            waiting.post.times += 1
            return await asyncio.shield(waiting.kept)
        full = self._full_until.get(integration_id, 0.0) > time.monotonic()
        if full or self._closing or not self._has_slot(integration_id):
            self._note(post, refused=1)
            return True
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[same] = _Waiting(post, kept)
        self._shares[integration_id] += 1
        self._something.set()
        return await asyncio.shield(kept)

    def _has_slot(self, integration_id: str) -> bool:
        """Whether another post of an integration may wait: it must leave as many slots free as it uses."""
        return self._shares[integration_id] < _MAX_WAITING - len(self._waiting)

    def _note(self, post: Post, refused: int = 0) -> None:
        count = self._counts.setdefault(post.origin.integration_id, Rejections(post.received_at))
        count.rejected += 1
        count.refused += refused
        count.last_at = max(count.last_at, post.received_at)
        self._something.set()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting and not self._counts):
            await self._something.wait()
            self._something.clear()
            await self._flush()
            if not self._closing:
                await asyncio.sleep(_PAUSE_S)

    async def _flush(self) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        self._shares.clear()
        counts, self._counts = self._counts, {}
        try:
            written = await retrying(lambda: _write([each.post for each in waiting], counts))
        except Exception as error:
            log.warning("posts could not be quarantined", posts=len(waiting), error=repr(error))
            for each in waiting:
                each.kept.set_exception(
                    UnavailableError("The delivery can't be stored right now: try again in a moment.")
                )
                each.kept.exception()  # read it, or asyncio logs it where nobody waits
            if not self._closing:
                self._put_back(counts)
            return
        self._on_commit(written.newest)
        for integration_id in written.full:
            self._full_until[integration_id] = time.monotonic() + _FULL_FOR_S
        for position, each in enumerate(waiting):
            each.kept.set_result(position not in written.outdated)

    def _put_back(self, counts: Mapping[str, Rejections]) -> None:
        for integration_id, count in counts.items():
            again = self._counts.setdefault(integration_id, Rejections(count.last_at))
            again.rejected += count.rejected
            again.refused += count.refused
        if counts:
            self._something.set()

    # --- Verifying ---------------------------------------------------------------------------------------------

    def verified(self, integration: Integration, row: WebhookEvent) -> Delivery | None:
        """Make a delivery of a quarantined event, if one of its posts verifies as of its receipt."""
        for post in orjson.loads(row.posts or "[]"):
            received_at = datetime.fromisoformat(post["received_at"])
            secrets = self._secrets_at(integration, received_at)
            header = post["headers"].get("stripe-signature")
            if GATEWAY.verify(header, row.payload, secrets, received_at.timestamp()):
                origin = Origin(integration.workspace_id, integration.id, integration.mode)
                return delivery_of(
                    origin,
                    row.payload,
                    row.received_at,
                    posts=row.deliveries,
                    quarantined_id=row.id,
                )
        return None

    async def release(self, integration: Integration) -> int:
        """Give the inbox what verifies now, in the order of receipt; return how many webhook events that added.

        Raises:
            UnavailableError: The database is unavailable right now; what was not released yet stays.
        """
        began_at = utc_now()
        rows = await scoped(WebhookEvent, integration.workspace_id).filter(
            Literally(UNFINISHED), integration_id=integration.id, status=WebhookEventStatus.QUARANTINED
        )
        found = []
        for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
            if (delivery := self.verified(integration, row)) is not None:
                found.append(delivery)
            await asyncio.sleep(0)  # verifying may take milliseconds: let other tasks run
        receipts = await asyncio.gather(*(self._inbox.accept(delivery) for delivery in found))
        async with transaction() as tx:
            await note_judged(tx, integration.id, integration.webhook_secret_sealed, began_at)
        self._full_until.pop(integration.id, None)
        return sum(receipt.before is WebhookEventStatus.QUARANTINED for receipt in receipts)

    async def release_or_defer(self, integration: Integration) -> int:
        """Release like `release`; if the database becomes unavailable, `finish_releases` does the rest, uncounted."""
        try:
            return await self.release(integration)
        except UnavailableError as error:
            log.warning("quarantine not released, trying again", integration=integration.id, error=error.message)
            if self._unfinished is not None:
                self._unfinished.add(integration.id)
            return 0

    async def finish_releases(self) -> None:
        """Finish releases that were interrupted, in this process or in one that has ended."""
        if self._unfinished is None:
            waiting = (
                unscoped(WebhookEvent).filter(Literally(UNFINISHED), status=WebhookEventStatus.QUARANTINED).distinct()
            )
            self._unfinished = {str(id_) for id_ in await waiting.values_list("integration_id", flat=True)}
        for id_ in sorted(self._unfinished):
            integration = await unscoped(Integration).filter(id=id_, webhook_secret_sealed__not_isnull=True).first()
            self._unfinished.discard(id_)
            if integration is not None:
                await self.release_or_defer(integration)

    async def drop_expired(self) -> None:
        """Drop posts that no secret verified within the days for which Stripe posts again.

        Raises:
            UnavailableError: The database is unavailable right now.
        """
        async with transaction() as tx:
            await drop_expired(tx)

    async def discard(self, tx: Transaction, integration_id: str) -> int:
        """Drop an integration's quarantined events and return their number; the caller has locked the integration."""
        self._full_until.pop(integration_id, None)
        return await drop_all(tx, integration_id)

    def _secrets_at(self, integration: Integration, received_at: datetime) -> list[str]:
        columns = ["webhook_secret_sealed"]
        expires_at = integration.previous_webhook_secret_expires_at
        if expires_at is not None and received_at < expires_at:
            columns.append("previous_webhook_secret_sealed")
        return [secret for column in columns if (secret := opened(self._keyring, integration, column))]


async def _write(posts: Sequence[Post], counts: Mapping[str, Rejections]) -> Written:
    async with transaction() as tx:
        return await write(tx, posts, counts)
