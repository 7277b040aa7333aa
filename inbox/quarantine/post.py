"""A post that could not be verified, and its row, which has a limited number of signatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from database.bulk import columns_of
from database.transaction import Row
from gateways.registry import GATEWAY
from inbox.delivery import IN_QUARANTINE, Origin, body_key
from models.ids import Prefix, new_id
from models.kinds import WebhookEventStatus
from models.webhook_event import WebhookEvent

FIRST_POSTS: Final = 32
LAST_POSTS: Final = 32
"""How many signatures of a body are stored, its first and its last, so that forged ones don't hide a genuine one."""

_HEADER_LENGTH: Final = 1024

COLUMNS: Final = columns_of(
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


def known_row(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "deliveries": row["deliveries"], "posts": orjson.loads(row["posts"] or "[]")}


def waiting_row(post: Post) -> dict[str, Any]:
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


def values_of(row: Mapping[str, Any]) -> list[Any]:
    return [orjson.dumps(row[name]).decode() if name == "posts" else row[name] for name in COLUMNS]


def add_post(row: dict[str, Any], post: Post) -> None:
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
