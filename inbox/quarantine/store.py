"""The quarantine's rows: a limited number of bodies per integration, and of signatures per body.

When there is no room, posts give way that Stripe no longer repeats or that a secret saved later did not verify.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import structlog

from database.access import Row, Transaction
from database.bulk import any_of, columns_of, insert_rows
from gateways.registry import GATEWAY
from inbox.delivery import IN_QUARANTINE, Origin, body_key
from models.event import STRIPE, Happening, append
from models.ids import Prefix, new_id
from models.instant import from_row, utc_now
from models.kinds import EventType, WebhookEventStatus
from models.webhook_event import WebhookEvent

log = structlog.get_logger(__name__)

MAX_KEPT: Final = 200
"""How many bodies are stored for one integration."""

FIRST_POSTS: Final = 32
LAST_POSTS: Final = 32
"""How many signatures of a body are stored, its first and its last, so that forged ones don't hide a genuine one."""

STRIPE_POSTS_FOR: Final = timedelta(days=3)
"""How long Stripe repeats a refused delivery. Source: Stripe, "Webhooks: automatic retries"."""

_BURST_ENDS: Final = timedelta(minutes=5)
_HEADER_LENGTH: Final = 1024
_DROPPED_AT_ONCE: Final = 500


@dataclass(slots=True, kw_only=True)
class Post:
    """A post that could not be verified; `judged_by` are the sealed secrets that it was checked against.

    `times` is how often it came with this signature since the last write.
    """

    origin: Origin
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    received_at: datetime
    secrets: Sequence[str] = field(repr=False)
    judged_by: Sequence[str | None] = field(repr=False)
    times: int = 1

    @property
    def key(self) -> str:
        """The key of its body in the quarantine."""
        return IN_QUARANTINE + body_key(self.body)

    @property
    def signature(self) -> str:
        """The Stripe-Signature header, cut to the length that is stored."""
        return self.headers.get("stripe-signature", "")[:_HEADER_LENGTH]


@dataclass(slots=True)
class Rejections:
    """An integration's unverified posts since the last write; `refused` are those for which there was no room."""

    last_at: datetime
    rejected: int = 0
    refused: int = 0


@dataclass(slots=True)
class Written:
    """The result of a write.

    `outdated` are the positions of posts whose secrets were replaced since they were checked, `full` the integrations
    without room, `newest` the numbers of the newest log lines.
    """

    outdated: set[int] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    newest: Mapping[str, int] = field(default_factory=dict)


_ROW: Final = columns_of(
    WebhookEvent,
    [
        "id",
        "workspace_id",
        "integration_id",
        "delivery_key",
        "status",
        "reason_code",
        "reason_detail",
        "deliveries",
        "attempts",
        "payload",
        "received_at",
        "posts",
    ],
)


async def write(tx: Transaction, posts: Sequence[Post], counts: Mapping[str, Rejections]) -> Written:
    """Store posts for which there is room, and count all."""
    ids = sorted({post.origin.integration_id for post in posts} | set(counts))
    written = Written()
    if not ids:
        return written
    judges = await _lock_integrations(tx, ids)
    known, room = await _what_waits(tx, ids, posts)
    totals = {id_: Rejections(count.last_at, count.rejected, count.refused) for id_, count in counts.items()}
    judged = []
    for position, post in enumerate(posts):
        if judges.get(post.origin.integration_id) == tuple(post.judged_by):
            judged.append(post)
        else:
            written.outdated.add(position)
    await _make_room(tx, judged, known, room)
    fresh: dict[tuple[str, str], dict[str, Any]] = {}
    for post in judged:
        id_ = post.origin.integration_id
        count = totals.setdefault(id_, Rejections(post.received_at))
        count.rejected += post.times
        count.last_at = max(count.last_at, post.received_at)
        key = id_, post.key
        if key in known:
            _add(known[key], post)
        elif room[id_] > 0:
            room[id_] -= 1
            fresh[key] = known[key] = _waiting_row(post)
        else:
            count.refused += post.times
            written.full.add(id_)
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
    written.newest = await append(tx, [_received(row) for row in _first_of_each(fresh.values(), bursts)])
    return written


async def _make_room(
    tx: Transaction, posts: Sequence[Post], known: Mapping[tuple[str, str], Any], room: dict[str, int]
) -> None:
    """Drop the oldest rows that may give way, as many as these posts need."""
    wanted: dict[str, set[str]] = {}
    for post in posts:
        if (post.origin.integration_id, post.key) not in known:
            wanted.setdefault(post.origin.integration_id, set()).add(post.key)
    posted_again = [row["id"] for row in known.values()]
    for id_, keys in sorted(wanted.items()):
        lacking = len(keys) - room[id_]
        if lacking <= 0:
            continue
        kept, values = any_of(tx.dialect, "e.id", 4, posted_again)
        dropped = await tx.fetch(
            "DELETE FROM webhook_events WHERE id IN (SELECT e.id FROM webhook_events e"  # noqa: S608
            " JOIN integration_traffic t ON t.integration_id = e.integration_id"
            " WHERE e.integration_id = $1 AND e.status = 'QUARANTINED'"
            f" AND (e.received_at < $2 OR e.received_at < t.quarantine_judged_at) AND NOT ({kept})"
            f" ORDER BY e.received_at, e.id LIMIT $3{_unlocked(tx)}) RETURNING id",
            id_,
            utc_now() - STRIPE_POSTS_FOR,
            lacking,
            values,
        )
        room[id_] += len(dropped)
        if dropped:
            log.info("unverified webhook events dropped", integration=id_, count=len(dropped), why="room was needed")


async def drop_expired(tx: Transaction) -> None:
    """Drop posts that no secret verified within the days for which Stripe posts again.

    If an integration has no secret, its posts stay.
    """
    rows = await tx.fetch(
        "DELETE FROM webhook_events WHERE id IN (SELECT e.id FROM webhook_events e"  # noqa: S608
        " JOIN integrations i ON i.id = e.integration_id"
        " WHERE e.status = 'QUARANTINED' AND e.received_at < $1 AND i.webhook_secret_sealed IS NOT NULL"
        f" ORDER BY e.received_at LIMIT $2{_unlocked(tx)}) RETURNING id",
        utc_now() - STRIPE_POSTS_FOR,
        _DROPPED_AT_ONCE,
    )
    if rows:
        log.info("unverified webhook events dropped", count=len(rows), why="no secret verified them for three days")


def _unlocked(tx: Transaction) -> str:
    """Skip rows that another transaction has locked, such as a release: each would wait for the other."""
    return " FOR UPDATE OF e SKIP LOCKED" if tx.dialect == "postgres" else ""


async def drop_all(tx: Transaction, integration_id: str) -> int:
    """Drop an integration's quarantined events and return their number; the caller has locked the integration."""
    rows = await tx.fetch(
        "DELETE FROM webhook_events WHERE integration_id = $1 AND status = 'QUARANTINED' RETURNING id", integration_id
    )
    return len(rows)


async def note_judged(tx: Transaction, integration_id: str, sealed: str | None, until: datetime) -> None:
    """Record that a secret was tried on everything received until an instant, if it is still the saved one."""
    await tx.execute(
        "UPDATE integration_traffic SET quarantine_judged_at = $3 WHERE integration_id = $1"
        " AND EXISTS (SELECT 1 FROM integrations i WHERE i.id = $1 AND i.webhook_secret_sealed = $2)",
        integration_id,
        sealed,
        until,
    )


async def _lock_integrations(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """Lock integrations and return their sealed secrets, which can't change until the transaction ends."""
    if tx.dialect == "postgres":
        for id_ in ids:  # two processes must not both find the last room
            await tx.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"quarantine {id_}")
    among, values = any_of(tx.dialect, "id", 1, ids)
    rows = await tx.fetch(
        tx.for_share(
            "SELECT id, webhook_secret_sealed, previous_webhook_secret_sealed FROM integrations"  # noqa: S608
            f" WHERE disconnected_at IS NULL AND {among}",
            by="id",
        ),
        values,
    )
    return {row["id"]: (row["webhook_secret_sealed"], row["previous_webhook_secret_sealed"]) for row in rows}


async def _what_waits(
    tx: Transaction, ids: Sequence[str], posts: Sequence[Post]
) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, int]]:
    """Lock the rows of these posts' bodies; return them, and how many more bodies each integration may have."""
    among, values = any_of(tx.dialect, "integration_id", 1, ids)
    keyed, keys = any_of(tx.dialect, "delivery_key", 2, sorted({post.key for post in posts}))
    rows = await tx.fetch(
        tx.for_update(
            "SELECT id, integration_id, delivery_key, deliveries, posts FROM webhook_events"  # noqa: S608
            f" WHERE {among} AND {keyed} AND status = 'QUARANTINED'",
            by="id",
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
    return known, {id_: MAX_KEPT - kept.get(id_, 0) for id_ in ids}


async def _count(tx: Transaction, totals: Mapping[str, Rejections]) -> set[str]:
    """Write the counts; return the integrations that had no rejection for a while."""
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


def _known(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "deliveries": row["deliveries"], "posts": orjson.loads(row["posts"] or "[]")}


def _waiting_row(post: Post) -> dict[str, Any]:
    header = post.headers.get("stripe-signature")
    code, detail = GATEWAY.examine(header, post.body, post.secrets, post.received_at.timestamp())
    return {
        "id": new_id(Prefix.WEBHOOK_EVENT),
        "workspace_id": post.origin.workspace_id,
        "integration_id": post.origin.integration_id,
        "delivery_key": post.key,
        "status": WebhookEventStatus.QUARANTINED.value,
        "reason_code": code,
        "reason_detail": detail,
        "deliveries": post.times,
        "attempts": 0,
        "payload": post.body,
        "received_at": post.received_at,
        "posts": [_remembered(post)],
    }


def _values(row: Mapping[str, Any]) -> list[Any]:
    return [orjson.dumps(row[name]).decode() if name == "posts" else row[name] for name in _ROW]


def _add(row: dict[str, Any], post: Post) -> None:
    """Count another post of a stored body; store its signature if it is new and could be genuine."""
    row["deliveries"] += post.times
    row["changed"] = True
    signature = post.signature
    if not GATEWAY.could_sign(signature, post.received_at.timestamp()):
        return
    posts = row["posts"]
    if any(each["headers"].get("stripe-signature") == signature for each in posts):
        return
    remembered = {"received_at": post.received_at.isoformat(), "headers": {"stripe-signature": signature}}
    row["posts"] = [*posts[:FIRST_POSTS], *[*posts[FIRST_POSTS:], remembered][-LAST_POSTS:]]


def _remembered(post: Post) -> dict[str, Any]:
    """Describe the first post of a body, with all headers that are stored."""
    headers = {name: value[:_HEADER_LENGTH] for name, value in post.headers.items()}
    return {"received_at": post.received_at.isoformat(), "headers": headers}
