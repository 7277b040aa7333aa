"""What Stripe posted to us, raw, and what became of it."""

from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import WebhookEventStatus


class WebhookEvent(Model):
    """An event of Stripe, once however often it was delivered.

    `delivery_key` is the Stripe event's id, or the body's hash where none could be read. `deliveries` counts Stripe's
    posts, `attempts` our tries to apply it. `posts` is a JSON list of the headers and times of receipt of a delivery
    that could not be verified yet. `reader_version` is set while the payload, which may be about money, can't be read:
    that of the reader which tried last.
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
"""The condition of the index of what somebody or something has to look at still."""

OTHER_ID: Final = "provider_event_id <> delivery_key"
"""The condition of the index of what isn't known to its integration by Stripe's id: nearly all is."""

IGNORED: Final = "status = 'IGNORED'"
"""The condition of the index of ignored events."""

COMMON_TYPES: Final = frozenset({"payment_intent.succeeded", "checkout.session.completed"})
RARE: Final = "type NOT IN ('payment_intent.succeeded', 'checkout.session.completed')"
"""The condition of the index by type: what comes with every payment isn't in it."""

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
"""A payload may be a megabyte: lists don't read it."""
