"""A delivery: a verified body, where it came in, what it is known by, and what became of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from gateways.registry import GATEWAY
from models.event import Happening
from models.integration import Integration
from models.kinds import AttemptSource, Mode, WebhookEventStatus
from models.payment_fact import PaymentFact, UnreadableError
from models.webhook_event import WebhookEvent

OF_A_BODY: Final = "sha256:"
IN_QUARANTINE: Final = "quarantine:"
"""What the keys of bodies begin with that have no event id, or none that is verified."""


def body_key(body: bytes) -> str:
    """What a body is known by when no event id can be read from it."""
    return f"{OF_A_BODY}{hashlib.sha256(body).hexdigest()}"


def event_key(event_id: str | None, body: bytes) -> str:
    """What an event is known by: its id, unless it has none or one that would be taken for a body's key."""
    if event_id is None or event_id.startswith((OF_A_BODY, IN_QUARANTINE)):
        return body_key(body)
    return event_id


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event came in."""

    workspace_id: str
    integration_id: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified body.

    `posts` is how many of Stripe's posts it stands for: 0 when we try by ourselves. `again` decides again on what was
    IGNORED or UNAPPLIED, and on what came to an integration that is disconnected by now. `signed_by` are the sealed
    webhook secrets that signed it, of those that it was `judged_by`. `quarantined_id` is the row in which it waited
    until it could be verified. `source` is why it came.
    """

    origin: Origin
    key: str
    body: bytes
    event: PaymentFact | None
    unreadable: UnreadableError | None
    received_at: datetime
    posts: int = 1
    again: bool = False
    signed_by: Sequence[str] = field(default=(), repr=False)
    judged_by: tuple[str | None, ...] = field(default=(), repr=False)
    quarantined_id: str | None = None
    source: AttemptSource = AttemptSource.WEBHOOK


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery; `status` is None when its integration has been disconnected meanwhile.

    `before` is its event's status until then, None when it was new. `happenings` is what it did. `is_outdated`: other
    webhook secrets are stored by now than it was judged by.
    """

    webhook_event_id: str | None = None
    status: WebhookEventStatus | None = None
    before: WebhookEventStatus | None = None
    happenings: tuple[Happening, ...] = ()
    is_outdated: bool = False


def delivery_of(origin: Origin, body: bytes, received_at: datetime, **more: Any) -> Delivery:
    """A delivery of a verified body, read as far as it can be; `more` are further fields of `Delivery`."""
    try:
        event, unreadable = GATEWAY.read(body), None
    except UnreadableError as error:
        event, unreadable = None, error
    told = event.id if event else (unreadable.event_id if unreadable else None)
    key = event_key(told, body)
    return Delivery(
        origin=origin, key=key, body=body, event=event, unreadable=unreadable, received_at=received_at, **more
    )


def kept(
    integration: Integration,
    webhook_event: WebhookEvent,
    *,
    again: bool = False,
    source: AttemptSource = AttemptSource.RETRY,
) -> Delivery:
    """A stored event as a delivery, for another try."""
    origin = Origin(integration.workspace_id, integration.id, integration.mode)
    delivery = delivery_of(
        origin, webhook_event.payload, webhook_event.received_at, posts=0, again=again, source=source
    )
    return replace(delivery, key=webhook_event.delivery_key)
