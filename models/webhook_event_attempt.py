"""Attempts at a webhook event, stored only if there is more than one."""

from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import AttemptSource, WebhookEventStatus

MAX_KEPT: Final = 100
"""The most attempts that are stored of one event; after that only its counts grow."""


class WebhookEventAttempt(Model):
    """A delivery of a webhook event, or an attempt to apply it, with its outcome. Ids are in the order of time.

    An event that came once has no such row, because its own row says the same.
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
