"""Drops rows of the quarantine: expired ones, all of an integration, and those that give way to new posts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from database.bulk import any_of
from database.transaction import Transaction
from inbox.quarantine.post import Post
from models.instant import utc_now

log = structlog.get_logger(__name__)

STRIPE_POSTS_FOR: Final = timedelta(days=3)
"""How long Stripe repeats a refused delivery. Source: Stripe, "Webhooks: automatic retries"."""

_DROPPED_AT_ONCE: Final = 500


async def make_room(
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
