"""Integrations: the Stripe accounts connected to a workspace, their keys, webhook URLs and states."""

import base64
import secrets
from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField
from models.kinds import IntegrationStatus, Mode
from models.secret import Keyring

_WEBHOOK_TOKEN_BYTES: Final = 24


class Integration(Model):
    """A connected Stripe account. Secrets are encrypted, each bound to this row and its column.

    `key_problem` is Stripe's answer when it refused the secret key, None while the key works. `webhook_endpoint_id` is
    Stripe's id of the endpoint that Fluxrate registered. `findings` are the results of the latest check at Stripe, made
    at `checked_at`: a JSON list of codes and details.
    """

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    name = fields.TextField()
    mode = fields.CharEnumField(Mode, max_length=8)
    is_active = fields.BooleanField()
    webhook_token = fields.CharField(max_length=4096, null=True)
    secret_key_sealed = fields.CharField(max_length=4096, null=True)
    secret_key_preview = fields.TextField()
    key_problem = fields.CharField(max_length=4096, null=True)
    webhook_secret_sealed = fields.CharField(max_length=4096, null=True)
    webhook_secret_preview = fields.CharField(max_length=4096, null=True)
    webhook_secret_saved_at = InstantField(null=True)
    previous_webhook_secret_sealed = fields.CharField(max_length=4096, null=True)
    previous_webhook_secret_preview = fields.CharField(max_length=4096, null=True)
    previous_webhook_secret_expires_at = InstantField(null=True)
    provider_account_id = fields.CharField(max_length=4096, null=True)
    webhook_endpoint_id = fields.CharField(max_length=4096, null=True)
    findings = fields.TextField(null=True)
    checked_at = InstantField(null=True)
    created_at = InstantField()
    updated_at = InstantField()
    disconnected_at = InstantField(null=True)

    class Meta:
        table = "integrations"
        manager = WorkspaceManager()

    @property
    def status(self) -> IntegrationStatus:
        """Return what it can do right now; of several statuses the most serious one."""
        if self.disconnected_at is not None:
            return IntegrationStatus.DISCONNECTED
        if not self.is_active:
            return IntegrationStatus.INACTIVE
        if self.key_problem is not None:
            return IntegrationStatus.KEY_REJECTED
        if self.webhook_secret_sealed is None:
            return IntegrationStatus.AWAITING_WEBHOOK_SECRET
        return IntegrationStatus.READY


class IntegrationTraffic(Model):
    """What came to an integration's webhook URL. It is a table of its own, because every delivery writes it.

    Quarantined events received before `quarantine_judged_at` were checked against the current secret and did not
    verify. `secret_alone_since` is since when deliveries are signed with the current secret only. `synced_until` is how
    far Stripe's list of events has been read, by the events' own time.
    """

    integration_id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    deliveries = fields.BigIntField(default=0)
    rejected = fields.BigIntField(default=0)
    last_event_at = InstantField(null=True)
    last_rejected_at = InstantField(null=True)
    quarantine_refused = fields.BigIntField(default=0)
    quarantine_logged_at = InstantField(null=True)
    quarantine_judged_at = InstantField(null=True)
    secret_matched_at = InstantField(null=True)
    previous_secret_matched_at = InstantField(null=True)
    secret_alone_since = InstantField(null=True)
    synced_until = InstantField(null=True)
    sync_due_at = InstantField(null=True)

    class Meta:
        table = "integration_traffic"
        manager = WorkspaceManager()


SEALED_COLUMNS: Final = ("secret_key_sealed", "webhook_secret_sealed", "previous_webhook_secret_sealed")
"""The columns with secrets, which are encrypted again when the key changes."""


def bound_to(integration_id: str, column: str) -> str:
    """Return what a secret is sealed to.

    Both webhook secrets share it, because a rotated one moves to the other column.
    """
    return f"integrations/{integration_id}/{column.removeprefix('previous_')}"


def opened(keyring: Keyring, integration: "Integration", column: str = "secret_key_sealed") -> str | None:
    """Decrypt a secret of an integration, by default its secret key; None if it has none.

    Raises:
        SealError: No configured key opens it.
    """
    sealed: str | None = getattr(integration, column)
    return None if sealed is None else keyring.open(sealed, bound_to(integration.id, column))


def new_webhook_token(secret: str | None = None) -> str:
    """Make the unguessable part of a webhook URL, from 192 random bits or from a given secret."""
    raw = secrets.token_bytes(_WEBHOOK_TOKEN_BYTES) if secret is None else bytes.fromhex(secret)[:_WEBHOOK_TOKEN_BYTES]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def preview_of(secret: str) -> str:
    """Return the part of a Stripe secret that is safe to display: sk_test_…4242, whsec_…4242."""
    prefix = secret[: secret.rindex("_", 0, 9) + 1] if "_" in secret[:9] else ""
    return f"{prefix}…{secret[-4:]}"
