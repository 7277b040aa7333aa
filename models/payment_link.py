"""Payment links: one row for each link that Stripe should make, whatever its outcome."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from database.transaction import Row
from models.columns import Columns
from models.instant import InstantField
from models.kinds import OpenSessions, PaymentLinkStatus

LIVE: Final = frozenset({PaymentLinkStatus.PENDING, PaymentLinkStatus.ACTIVE, PaymentLinkStatus.FAILED})
"""The statuses of links that can be paid or will be; the database allows an invoice at most one such link."""

FAILED: Final = "status = 'FAILED'"
"""The condition of the index of links that Stripe did not make."""

SESSION_LIFETIME: Final = timedelta(hours=24)
"""How long an opened page can be paid. Source: Stripe, "The Checkout Session object", `expires_at`."""


class PaymentLink(Model):
    """A link for what remained of an invoice when it was asked for.

    `attempt` is part of Stripe's idempotency key: it stays while the outcome of a try is unknown and grows after a
    definite answer. `due_at` is when the background sweep acts on it next, None when there is nothing left to do.
    `sessions_closed_at` is when Stripe said that no customer has a page of the closed link open any more.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    invoice_id = fields.CharField(max_length=64)
    integration_id = fields.CharField(max_length=64)
    status = fields.CharEnumField(PaymentLinkStatus, max_length=16)
    provider_id = fields.CharField(max_length=4096, null=True)
    url = fields.CharField(max_length=4096, null=True)
    amount = fields.BigIntField()
    currency = fields.CharField(max_length=3)
    attempt = fields.BigIntField(default=1)
    outcome_unknown = fields.BooleanField(default=False)
    tries = fields.BigIntField(default=0)
    checked_at = InstantField(null=True)
    due_at = InstantField(null=True)
    sessions_closed_at = InstantField(null=True)
    problem_code = fields.CharField(max_length=4096, null=True)
    problem_message = fields.CharField(max_length=4096, null=True)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        table = "payment_links"
        manager = WorkspaceManager()

    def open_sessions(self, now: datetime) -> OpenSessions:
        """Return whether customers may still pay on a page of it that they have open.

        If a session of the link was completed, nobody can: Stripe completes no second one (`restrictions`).
        """
        if self.provider_id is None and self.due_at is None:
            return OpenSessions.SETTLED
        if self.status in LIVE:
            return OpenSessions.POSSIBLE if self.provider_id else OpenSessions.SETTLED
        if self.sessions_closed_at is not None or now - self.updated_at > SESSION_LIFETIME:
            return OpenSessions.SETTLED
        if self.due_at is not None:
            return OpenSessions.CLOSING
        is_completed = self.status is PaymentLinkStatus.COMPLETED and self.problem_code is None
        return OpenSessions.SETTLED if is_completed else OpenSessions.POSSIBLE

    def is_claimed(self, now: datetime) -> bool:
        """Whether a caller is making it right now: a PENDING link is claimed until `due_at`."""
        return self.status is PaymentLinkStatus.PENDING and self.due_at is not None and self.due_at > now

    @property
    def idempotency_key(self) -> str:
        """Return Stripe's idempotency key for the current attempt to make the link."""
        return f"{self.invoice_id}:{self.id}:{self.attempt}"


class LinkState(NamedTuple):
    """The part of a link that events can change. `stop`: it must still be made unpayable at Stripe."""

    id: str
    integration_id: str
    status: PaymentLinkStatus
    provider_id: str | None
    amount: int
    stop: bool = False


LINK: Final = Columns[LinkState](PaymentLink, (name for name in LinkState._fields if name != "stop"))


def link_of(row: Row) -> LinkState:
    """Read a row with LINK's columns and `due_at`."""
    link = LinkState(**LINK.read(row))
    return link._replace(stop=link.status not in LIVE and row["due_at"] is not None)
