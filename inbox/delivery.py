"""A delivery: a verified body, its integration, the key that identifies it, and the receipt for it."""

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
"""Prefixes of a key that is made from the body, because the event id is missing or not verified."""


def body_key(body: bytes) -> str:
    """Make the key of a body from which no event id can be read."""
    return f"{OF_A_BODY}{hashlib.sha256(body).hexdigest()}"


def event_key(event_id: str | None, body: bytes) -> str:
    """Make the key of an event: its id, or the body's key if it has no id or one that looks like such a key."""
    if event_id is None or event_id.startswith((OF_A_BODY, IN_QUARANTINE)):
        return body_key(body)
    return event_id


@dataclass(frozen=True, slots=True)
class Origin:
    """The integration that an event was sent to."""

    workspace_id: str
    integration_id: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified body.

    `posts` is the number of Stripe's posts that it stands for: 0 if it is not a post but a try of ours. With `again`,
    an IGNORED or UNAPPLIED event is decided again, and one of a disconnected integration is accepted. `judged_by` are
    the sealed webhook secrets that it was checked against, `signed_by` those of them that signed it. `quarantined_id`
    is its row in the quarantine. `source` is what caused it.
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
    """The result of a delivery; `status` is None if its integration was disconnected meanwhile.

    `before` is the event's previous status, None for a new event. `happenings` are the lines that it added to the log.
    `is_outdated`: the integration's webhook secrets were replaced after the delivery was checked.
    """

    webhook_event_id: str | None = None
    status: WebhookEventStatus | None = None
    before: WebhookEventStatus | None = None
    happenings: tuple[Happening, ...] = ()
    is_outdated: bool = False


def delivery_of(origin: Origin, body: bytes, received_at: datetime, **more: Any) -> Delivery:
    """Make a delivery of a verified body and read its event, if it can be read; `more` are further fields."""
    try:
        event, unreadable = GATEWAY.read(body), None
    except UnreadableError as error:
        event, unreadable = None, error
    event_id = event.id if event else (unreadable.event_id if unreadable else None)
    key = event_key(event_id, body)
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
    """Make a delivery of a stored event, for another try."""
    origin = Origin(integration.workspace_id, integration.id, integration.mode)
    delivery = delivery_of(
        origin, webhook_event.payload, webhook_event.received_at, posts=0, again=again, source=source
    )
    return replace(delivery, key=webhook_event.delivery_key)
