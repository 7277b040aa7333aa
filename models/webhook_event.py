"""Webhook events: what Stripe sent, unchanged, and its outcome."""

from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import WebhookEventStatus


class WebhookEvent(Model):
    """A Stripe event, stored once however often it was delivered.

    `delivery_key` is the Stripe event's id, or a hash of the body if it has no readable id. `deliveries` counts
    Stripe's posts, `attempts` our attempts to apply it. `posts` is a JSON list of the headers and receipt times of a
    delivery that could not be verified yet. `reader_version` is set while the payload may be about money but can't be
    read: it is the version of the last reader that failed.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    integration_id = fields.CharField(max_length=64)
    delivery_key = fields.TextField()
    provider_event_id = fields.CharField(max_length=4096, null=True)
    type = fields.CharField(max_length=4096, null=True)
    status = fields.CharEnumField(WebhookEventStatus, max_length=16)
    reason_code = fields.CharField(max_length=4096, null=True)
    reason_detail = fields.CharField(max_length=4096, null=True)
    deliveries = fields.BigIntField(default=1)
    attempts = fields.BigIntField(default=0)
    livemode = fields.BooleanField(null=True)
    api_version = fields.CharField(max_length=4096, null=True)
    invoice_id = fields.CharField(max_length=64, null=True)
    customer_id = fields.CharField(max_length=64, null=True)
    payment_id = fields.CharField(max_length=64, null=True)
    payload = fields.BinaryField()
    posts = fields.TextField(null=True)
    received_at = InstantField()
    processed_at = InstantField(null=True)
    retry_at = InstantField(null=True)
    reader_version = fields.BigIntField(null=True)

    class Meta:
        table = "webhook_events"
        manager = WorkspaceManager()


UNFINISHED: Final = "status IN ('UNAPPLIED', 'HELD', 'QUARANTINED', 'FAILED')"
"""The condition of the index of events that are not finished: a person or a retry has to look at them."""

OTHER_ID: Final = "provider_event_id <> delivery_key"
"""The condition of the index of events whose `delivery_key` is not Stripe's id, which are rare."""

IGNORED: Final = "status = 'IGNORED'"
"""The condition of the index of ignored events."""

COMMON_TYPES: Final = frozenset({"payment_intent.succeeded", "checkout.session.completed"})
RARE: Final = "type NOT IN ('payment_intent.succeeded', 'checkout.session.completed')"
"""The condition of the index by type. It leaves out the two types that come with every payment."""

UNFINISHED_STATUSES: Final = frozenset(
    {
        WebhookEventStatus.UNAPPLIED,
        WebhookEventStatus.HELD,
        WebhookEventStatus.QUARANTINED,
        WebhookEventStatus.FAILED,
    }
)

WITHOUT_PAYLOAD: Final = tuple(
    name
    for name in WebhookEvent._meta.fields_map
    if name not in {"delivery_key", "payload", "posts", "retry_at", "reader_version"}
)
"""The columns that lists read: all but the payload, which may be a megabyte."""
