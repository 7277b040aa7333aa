"""Writes the quarantine's rows, a limited number per integration.

If there is no room, rows are dropped that Stripe no longer repeats or that a secret saved later did not verify.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import structlog

from database.bulk import any_of, insert_rows
from database.transaction import Transaction
from inbox.quarantine.dropping import make_room
from inbox.quarantine.post import COLUMNS, Post, add_post, known_row, values_of, waiting_row
from models.event import STRIPE, Happening, append
from models.instant import from_row, utc_now
from models.kinds import EventType

log = structlog.get_logger(__name__)

MAX_KEPT: Final = 200
"""How many bodies are stored for one integration."""

_BURST_ENDS: Final = timedelta(minutes=5)


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
    await make_room(tx, judged, known, room)
    fresh: dict[tuple[str, str], dict[str, Any]] = {}
    for post in judged:
        id_ = post.origin.integration_id
        count = totals.setdefault(id_, Rejections(post.received_at))
        count.rejected += post.times
        count.last_at = max(count.last_at, post.received_at)
        key = id_, post.key
        if key in known:
            add_post(known[key], post)
        elif room[id_] > 0:
            room[id_] -= 1
            fresh[key] = known[key] = waiting_row(post)
        else:
            count.refused += post.times
            written.full.add(id_)
    await insert_rows(tx, "webhook_events", COLUMNS, [values_of(row) for row in fresh.values()])
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
    known = {(row["integration_id"], row["delivery_key"]): known_row(row) for row in rows}
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
