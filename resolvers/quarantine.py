"""What can't be verified yet: kept as it came, until a webhook secret verifies it as of its receipt.

Whoever knows the URL can post here, so everything is bounded: what a body may weigh, how many wait for an integration,
how often the database is written. What is full refuses what is new rather than give up what is old: Stripe posts again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import structlog

from models.books import Origin
from models.bulk import any_of, insert_rows
from models.database import Row, Transaction, scoped, transaction, unscoped
from models.errors import Unavailable
from models.event import STRIPE, EventType, Happening, append
from models.ids import Prefix, new_id
from models.instant import from_row, utc_now
from models.integration import Integration, bound_to
from models.secret import Keyring
from models.signature import examine, verify
from models.stripe_event import IN_QUARANTINE, body_key
from models.webhook_event import WebhookEvent, WebhookEventStatus
from resolvers.inbox import CONFLICTS, Inbox, delivery_of
from resolvers.posting import Delivery

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 256 * 1024
"""The largest body that is kept."""

MOST_KEPT: Final = 200
"""How many bodies wait for one integration."""

MOST_POSTS: Final = 8
"""How many posts of one body are remembered: a forged one must not hide a genuine one."""

_BURST_ENDS: Final = timedelta(minutes=5)
_PAUSE_S: Final = 0.2
_FULL_FOR_S: Final = 2.0
_MOST_WAITING: Final = 64
_TRIES: Final = 5
_HEADER_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Something that was posted and could not be verified. `judged_by` are the sealed secrets that did not."""

    origin: Origin
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    received_at: datetime
    secrets: Sequence[str] = field(repr=False)
    judged_by: Sequence[str | None] = field(repr=False)


@dataclass(slots=True)
class _Count:
    """What was rejected of an integration since that was last written; `refused` for want of room."""

    last_at: datetime
    rejected: int = 0
    refused: int = 0


class Quarantine:
    """Keeps posts, a batch in a transaction, a few transactions a second; gives to the inbox what verifies."""

    def __init__(self, inbox: Inbox, keyring: Keyring, published: Callable[[Mapping[str, int]], None]) -> None:
        self._inbox = inbox
        self._keyring = keyring
        self._published = published
        self._waiting: list[tuple[Post, asyncio.Future[bool]]] = []
        self._counts: dict[str, _Count] = {}
        self._full_until: dict[str, float] = {}
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._owed: set[str] | None = None
        """Whose release was not finished; None: not known yet, as this process has just begun."""

    async def __aenter__(self) -> "Quarantine":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keep what waits, then stop."""
        self._closing = True
        self._something.set()
        if self._task is not None:
            await self._task

    # --- Keeping -----------------------------------------------------------------------------------------------

    async def keep(self, post: Post) -> bool:
        """Keep a post, or count it where there is no room. False: the secrets were replaced meanwhile, look again.

        Raises:
            Unavailable: The database can't be had right now; nothing is kept.
        """
        integration_id = post.origin.integration_id
        if len(post.body) > MOST_BYTES:
            self._note(post)
            return True
        full = self._full_until.get(integration_id, 0.0) > time.monotonic()
        if full or self._closing or len(self._waiting) >= _MOST_WAITING:
            self._note(post, refused=1)
            return True
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((post, kept))
        self._something.set()
        return await kept

    def _note(self, post: Post, refused: int = 0) -> None:
        count = self._counts.setdefault(post.origin.integration_id, _Count(post.received_at))
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
            if self._closing:
                self._something.set()

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        counts, self._counts = self._counts, {}
        try:
            outcome = await self._write_with_retries([post for post, _ in waiting], counts)
        except Exception as error:
            log.warning("posts could not be quarantined", posts=len(waiting), error=repr(error))
            for _, kept in waiting:
                if not kept.done():
                    kept.set_exception(Unavailable("The delivery can't be kept right now: try again in a moment."))
            if not self._closing:
                self._put_back(counts)
            return
        self._published(outcome.newest)
        for integration_id in outcome.full:
            self._full_until[integration_id] = time.monotonic() + _FULL_FOR_S
        for position, (_, kept) in enumerate(waiting):
            if not kept.done():
                kept.set_result(position not in outcome.outdated)

    def _put_back(self, counts: Mapping[str, _Count]) -> None:
        for integration_id, count in counts.items():
            again = self._counts.setdefault(integration_id, _Count(count.last_at))
            again.rejected += count.rejected
            again.refused += count.refused
        if counts:
            self._something.set()

    async def _write_with_retries(self, posts: Sequence[Post], counts: Mapping[str, _Count]) -> "_Outcome":
        for attempt in range(_TRIES):
            try:
                async with transaction() as tx:
                    return await _write(tx, posts, counts)
            except CONFLICTS:  # another process keeps the same body: read again and find it
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("the last try returns or raises")

    # --- Verifying ---------------------------------------------------------------------------------------------

    def verified(self, integration: Integration, row: WebhookEvent) -> Delivery | None:
        """What is quarantined as a delivery, if one of its posts verifies as of its receipt."""
        for post in orjson.loads(row.posts or "[]"):
            received_at = datetime.fromisoformat(post["received_at"])
            secrets = self._secrets_at(integration, received_at)
            header = post["headers"].get("stripe-signature")
            if verify(header, row.payload, secrets, received_at.timestamp()):
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
        """Give what verifies by now to the inbox, in the order of its receipt; how many webhook events that added.

        Raises:
            Unavailable: The database can't be had right now; what was not released yet stays.
        """
        rows = await scoped(WebhookEvent, integration.workspace_id).filter(
            integration_id=integration.id, status=WebhookEventStatus.QUARANTINED
        )
        found = []
        for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
            if (delivery := self.verified(integration, row)) is not None:
                found.append(delivery)
            await asyncio.sleep(0)  # each may take milliseconds, and others have something to do too
        receipts = await asyncio.gather(*(self._inbox.accept(delivery) for delivery in found))
        return sum(receipt.before is WebhookEventStatus.QUARANTINED for receipt in receipts)

    async def release_or_owe(self, integration: Integration) -> int:
        """As `release`; what the database did not let it do is done by `release_owed`, and not counted."""
        try:
            return await self.release(integration)
        except Unavailable as error:
            log.warning("quarantine not released, trying again", integration=integration.id, error=error.message)
            if self._owed is not None:
                self._owed.add(integration.id)
            return 0

    async def release_owed(self) -> None:
        """Finish releases that were interrupted: here, or in whatever process ended in the middle of one."""
        if self._owed is None:
            waiting = unscoped(WebhookEvent).filter(status=WebhookEventStatus.QUARANTINED).distinct()
            self._owed = {str(id_) for id_ in await waiting.values_list("integration_id", flat=True)}
        for id_ in sorted(self._owed):
            integration = await unscoped(Integration).filter(id=id_, webhook_secret_sealed__not_isnull=True).first()
            self._owed.discard(id_)
            if integration is not None:
                await self.release_or_owe(integration)

    def _secrets_at(self, integration: Integration, received_at: datetime) -> list[str]:
        sealed = {"webhook_secret_sealed": integration.webhook_secret_sealed}
        expires_at = integration.previous_webhook_secret_expires_at
        if expires_at is not None and received_at < expires_at:
            sealed["previous_webhook_secret_sealed"] = integration.previous_webhook_secret_sealed
        return [self._keyring.open(text, bound_to(integration.id, column)) for column, text in sealed.items() if text]


# --- Writing ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Outcome:
    """Which posts were judged by secrets that are replaced by now, whose quarantine is full, what was logged."""

    outdated: set[int] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    newest: Mapping[str, int] = field(default_factory=dict)


_ROW: Final = {
    "id": "text",
    "workspace_id": "text",
    "integration_id": "text",
    "delivery_key": "text",
    "status": "text",
    "reason_code": "text",
    "reason_detail": "text",
    "deliveries": "bigint",
    "attempts": "bigint",
    "payload": "bytea",
    "received_at": "timestamptz",
    "posts": "text",
}


async def _write(tx: Transaction, posts: Sequence[Post], counts: Mapping[str, _Count]) -> _Outcome:
    ids = sorted({post.origin.integration_id for post in posts} | set(counts))
    outcome = _Outcome()
    if not ids:
        return outcome
    judges = await _lock_integrations(tx, ids)
    known, room = await _what_waits(tx, ids, posts)
    totals = {id_: _Count(count.last_at, count.rejected, count.refused) for id_, count in counts.items()}
    fresh: dict[tuple[str, str], dict[str, Any]] = {}
    for position, post in enumerate(posts):
        id_ = post.origin.integration_id
        if judges.get(id_) != tuple(post.judged_by):
            outcome.outdated.add(position)
            continue
        count = totals.setdefault(id_, _Count(post.received_at))
        count.rejected += 1
        count.last_at = max(count.last_at, post.received_at)
        key = id_, _key(post)
        if key in known:
            known[key]["deliveries"] += 1
            known[key]["posts"] = [*known[key]["posts"], _remembered(post)][-MOST_POSTS:]
            known[key]["changed"] = True
        elif room[id_] > 0:
            room[id_] -= 1
            fresh[key] = known[key] = _waiting_row(post)
        else:
            count.refused += 1
            outcome.full.add(id_)
    await insert_rows(tx, "webhook_events", _ROW, [_values(row) for row in fresh.values()])
    for key, row in known.items():
        if row.get("changed") and key not in fresh:
            await tx.execute(
                "UPDATE webhook_events SET deliveries = $2, posts = $3 WHERE id = $1",
                row["id"],
                row["deliveries"],
                orjson.dumps(row["posts"]).decode(),
            )
    bursts = await _count(tx, totals)
    outcome.newest = await append(tx, [_received(row) for row in _first_of_each(fresh.values(), bursts)])
    return outcome


async def _lock_integrations(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """The sealed secrets of the integrations, which stay so until the end."""
    if tx.dialect == "postgres":
        for id_ in ids:  # two processes must not both find the last room
            await tx.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"quarantine {id_}")
    among, values = any_of(tx.dialect, "id", 1, ids)
    rows = await tx.fetch(
        tx.for_share(
            "SELECT id, webhook_secret_sealed, previous_webhook_secret_sealed FROM integrations"  # noqa: S608
            f" WHERE disconnected_at IS NULL AND {among} ORDER BY id"
        ),
        values,
    )
    return {row["id"]: (row["webhook_secret_sealed"], row["previous_webhook_secret_sealed"]) for row in rows}


async def _what_waits(
    tx: Transaction, ids: Sequence[str], posts: Sequence[Post]
) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, int]]:
    """What is quarantined of these posts already, locked, and how many more bodies each integration takes."""
    among, values = any_of(tx.dialect, "integration_id", 1, ids)
    keyed, keys = any_of(tx.dialect, "delivery_key", 2, sorted({_key(post) for post in posts}))
    rows = await tx.fetch(
        tx.for_update(
            "SELECT id, integration_id, delivery_key, deliveries, posts FROM webhook_events"  # noqa: S608
            f" WHERE {among} AND {keyed} AND status = 'QUARANTINED' ORDER BY id"
        ),
        values,
        keys,
    )
    counted = await tx.fetch(
        "SELECT integration_id, COUNT(*) AS kept FROM webhook_events"  # noqa: S608
        f" WHERE {among} AND status = 'QUARANTINED' GROUP BY integration_id",
        values,
    )
    kept = {row["integration_id"]: row["kept"] for row in counted}
    known = {(row["integration_id"], row["delivery_key"]): _known(row) for row in rows}
    return known, {id_: MOST_KEPT - kept.get(id_, 0) for id_ in ids}


async def _count(tx: Transaction, totals: Mapping[str, _Count]) -> set[str]:
    """Write what was rejected; the integrations for which a burst begins."""
    now = utc_now()
    bursts = set()
    for id_, count in sorted(totals.items()):
        rows = await tx.fetch(
            tx.for_update("SELECT quarantine_logged_at FROM integration_traffic WHERE integration_id = $1"), id_
        )
        last = rows[0]["quarantine_logged_at"] if rows else None
        if last is None or from_row(last) < now - _BURST_ENDS:
            bursts.add(id_)
        await tx.execute(
            "UPDATE integration_traffic SET rejected = rejected + $2, last_rejected_at = $3,"
            " quarantine_refused = quarantine_refused + $4, quarantine_logged_at = $5 WHERE integration_id = $1",
            id_,
            count.rejected,
            count.last_at,
            count.refused,
            now,
        )
        log.warning("webhook deliveries rejected", integration=id_, count=count.rejected, refused=count.refused)
    return bursts


def _first_of_each(rows: Any, integration_ids: set[str]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["integration_id"], row)
    return [row for id_, row in first.items() if id_ in integration_ids]


def _received(row: Mapping[str, Any]) -> Happening:
    return Happening(
        type=EventType.WEBHOOK_EVENT_RECEIVED,
        workspace_id=row["workspace_id"],
        actor=STRIPE,
        occurred_at=utc_now(),
        integration_id=row["integration_id"],
        webhook_event_id=row["id"],
    )


def _key(post: Post) -> str:
    return IN_QUARANTINE + body_key(post.body)


def _known(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "deliveries": row["deliveries"], "posts": orjson.loads(row["posts"] or "[]")}


def _waiting_row(post: Post) -> dict[str, Any]:
    header = post.headers.get("stripe-signature")
    code, detail = examine(header, post.body, post.secrets, post.received_at.timestamp())
    return {
        "id": new_id(Prefix.WEBHOOK_EVENT),
        "workspace_id": post.origin.workspace_id,
        "integration_id": post.origin.integration_id,
        "delivery_key": _key(post),
        "status": WebhookEventStatus.QUARANTINED.value,
        "reason_code": code,
        "reason_detail": detail,
        "deliveries": 1,
        "attempts": 0,
        "payload": post.body,
        "received_at": post.received_at,
        "posts": [_remembered(post)],
    }


def _values(row: Mapping[str, Any]) -> list[Any]:
    return [orjson.dumps(row[name]).decode() if name == "posts" else row[name] for name in _ROW]


def _remembered(post: Post) -> dict[str, Any]:
    headers = {name: value[:_HEADER_LENGTH] for name, value in post.headers.items()}
    return {"received_at": post.received_at.isoformat(), "headers": headers}
