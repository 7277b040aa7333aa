"""Payment Links at Stripe: one row per link to be made, whatever became of it."""

from enum import StrEnum
from typing import Final

from tortoise import fields
from tortoise.models import Model

from models.database import WorkspaceManager


class PaymentLinkStatus(StrEnum):
    """PENDING and FAILED links are still to be made; ACTIVE ones can be paid."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    DEACTIVATED = "DEACTIVATED"
    FAILED = "FAILED"


LIVE: Final = frozenset({PaymentLinkStatus.PENDING, PaymentLinkStatus.ACTIVE, PaymentLinkStatus.FAILED})
"""Links that can be paid or will be: an invoice has at most one, the database sees to it."""


class PaymentLink(Model):
    """A link for what remained of an invoice when it was asked for.

    `attempt` is part of Stripe's idempotency key: it stays while the outcome of a try is unknown and grows after a
    definite answer. `due_at` is when the background sweep acts on it next, None when there is nothing left to do.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    invoice_id = fields.CharField(max_length=64)
    integration_id = fields.CharField(max_length=64)
    status = fields.CharEnumField(PaymentLinkStatus, max_length=16)
    stripe_id = fields.CharField(max_length=4096, null=True)
    url = fields.CharField(max_length=4096, null=True)
    amount = fields.BigIntField()
    currency = fields.CharField(max_length=3)
    attempt = fields.BigIntField(default=1)
    outcome_unknown = fields.BooleanField(default=False)
    tries = fields.BigIntField(default=0)
    checked_at = fields.DatetimeField(null=True)
    due_at = fields.DatetimeField(null=True)
    problem_code = fields.CharField(max_length=4096, null=True)
    problem_message = fields.CharField(max_length=4096, null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "payment_links"
        manager = WorkspaceManager()

    @property
    def idempotency_key(self) -> str:
        """Stripe's key for the current attempt to make the link."""
        return f"{self.invoice_id}:{self.id}:{self.attempt}"
