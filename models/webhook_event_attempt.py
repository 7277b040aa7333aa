"""Each time that a webhook event came or was tried, once there was more than one."""

from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import AttemptSource, WebhookEventStatus

MAX_KEPT: Final = 100
"""How many are kept of one event; after that its counts go on alone."""


class WebhookEventAttempt(Model):
    """A time that an event came or was tried, and what came of it. Ids are in their order.

    Of an event that came once there is none: its own row says the same.
    """

    id = fields.BigIntField(primary_key=True)
    workspace_id = fields.CharField(max_length=64)
    webhook_event_id = fields.CharField(max_length=64)
    source = fields.CharEnumField(AttemptSource, max_length=16)
    status = fields.CharEnumField(WebhookEventStatus, max_length=16)
    reason_code = fields.CharField(max_length=4096, null=True)
    reason_detail = fields.CharField(max_length=4096, null=True)
    at = InstantField()

    class Meta:
        table = "webhook_event_attempts"
        manager = WorkspaceManager()
