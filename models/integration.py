"""A Stripe account connected to a workspace: its keys, its webhook URL, its state."""

import base64
import re
import secrets
from enum import StrEnum
from typing import Final

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from errors import InvalidInput, ModeMismatch
from models.workspace import Mode

WHEN_SENT: Final = {
    "checkout.session.completed": "a customer is through with a Payment Link",
    "payment_intent.succeeded": "money came",
    "payment_intent.payment_failed": "an attempt to pay failed",
    "invoice.payment_succeeded": "a Stripe invoice was paid",
    "invoice.payment_failed": "an attempt to pay a Stripe invoice failed",
    "checkout.session.async_payment_succeeded": "a bank debit came after the customer was through",
    "checkout.session.async_payment_failed": "a bank debit did not come",
    "charge.refunded": "money went back, with the total of it",
    "refund.failed": "a refund came back",
    "charge.dispute.created": "a customer's bank disputes a payment",
    "charge.dispute.closed": "a dispute was decided",
    "payment_intent.processing": "a bank debit is under way, so nobody should pay again",
    "payment_intent.canceled": "a payment was given up, so the invoice can be paid again",
    "payment_intent.partially_funded": "a part of a bank transfer came",
    "refund.created": "money goes back, refund by refund",
    "refund.updated": "a refund was canceled or changed",
    "invoice.paid": "a Stripe invoice was paid, perhaps outside of Stripe",
}
"""What Stripe sends each event for. Source: Stripe, "Types of events"."""

EVENTS_TO_SEND: Final = tuple(WHEN_SENT)
"""What to select in Stripe. The first five alone are enough to mark invoices paid."""

NEEDED_EVENTS: Final = EVENTS_TO_SEND[:5]
"""Those that mark invoices paid; the others tell of bank debits, refunds, disputes and what was paid outside Stripe."""

_WEBHOOK_TOKEN_BYTES: Final = 24
_SECRET_KEY_FORM: Final = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]{6,250}")
_WEBHOOK_SECRET_FORM: Final = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,250}")


class IntegrationStatus(StrEnum):
    """What an integration can do right now."""

    AWAITING_WEBHOOK_SECRET = "AWAITING_WEBHOOK_SECRET"  # noqa: S105  (a status)
    READY = "READY"
    INACTIVE = "INACTIVE"
    KEY_REJECTED = "KEY_REJECTED"
    DISCONNECTED = "DISCONNECTED"


class Integration(Model):
    """A connected Stripe account. Secrets are sealed, each bound to this row and its column.

    `key_problem` says what Stripe answered when it refused the secret key, None while it works.
    `webhook_endpoint_id` is Stripe's id of the endpoint that we registered; `findings` is what the latest check at
    Stripe found, a JSON list of code and detail, made at `checked_at`.
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
    webhook_secret_saved_at = fields.DatetimeField(null=True)
    previous_webhook_secret_sealed = fields.CharField(max_length=4096, null=True)
    previous_webhook_secret_preview = fields.CharField(max_length=4096, null=True)
    previous_webhook_secret_expires_at = fields.DatetimeField(null=True)
    stripe_account_id = fields.CharField(max_length=4096, null=True)
    webhook_endpoint_id = fields.CharField(max_length=4096, null=True)
    findings = fields.TextField(null=True)
    checked_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()
    disconnected_at = fields.DatetimeField(null=True)

    class Meta:
        table = "integrations"
        manager = WorkspaceManager()

    @property
    def status(self) -> IntegrationStatus:
        """What it can do right now; what is gravest comes first."""
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
    """What came to an integration's webhook URL: kept apart, since every delivery writes it.

    What waits in quarantine and came before `quarantine_judged_at` was tried with the current secret, in vain.
    `secret_alone_since` is when deliveries began to be signed with the current secret and not with the previous one.
    `synced_until` is how far Stripe's list of events has been read, by the events' own time.
    """

    integration_id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    deliveries = fields.BigIntField(default=0)
    rejected = fields.BigIntField(default=0)
    last_event_at = fields.DatetimeField(null=True)
    last_rejected_at = fields.DatetimeField(null=True)
    quarantine_refused = fields.BigIntField(default=0)
    quarantine_logged_at = fields.DatetimeField(null=True)
    quarantine_judged_at = fields.DatetimeField(null=True)
    secret_matched_at = fields.DatetimeField(null=True)
    previous_secret_matched_at = fields.DatetimeField(null=True)
    secret_alone_since = fields.DatetimeField(null=True)
    synced_until = fields.DatetimeField(null=True)
    sync_due_at = fields.DatetimeField(null=True)

    class Meta:
        table = "integration_traffic"
        manager = WorkspaceManager()


SEALED_COLUMNS: Final = ("secret_key_sealed", "webhook_secret_sealed", "previous_webhook_secret_sealed")
"""The columns that hold secrets, for re-sealing."""


def bound_to(integration_id: str, column: str) -> str:
    """What a sealed secret is bound to. A rotated webhook secret moves column, so both webhook columns are one."""
    return f"integrations/{integration_id}/{column.removeprefix('previous_')}"


def new_webhook_token(secret: str | None = None) -> str:
    """The unguessable part of a webhook URL: 192 random bits, or as many of a secret in hexadecimal."""
    raw = secrets.token_bytes(_WEBHOOK_TOKEN_BYTES) if secret is None else bytes.fromhex(secret)[:_WEBHOOK_TOKEN_BYTES]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def preview_of(secret: str) -> str:
    """What of a Stripe secret may be shown: sk_test_…4242, whsec_…4242."""
    prefix = secret[: secret.rindex("_", 0, 9) + 1] if "_" in secret[:9] else ""
    return f"{prefix}…{secret[-4:]}"


def parse_secret_key(text: str, workspace_mode: Mode, *, live_keys_allowed: bool, path: list[str]) -> str:
    """A Stripe secret key, without the spaces and quotes that pasting adds.

    Raises:
        InvalidInput: It is something else; the message says what.
        ModeMismatch: It is a live key in a test workspace, or the reverse.
    """
    key = _pasted(text)
    if not _SECRET_KEY_FORM.fullmatch(key):
        raise InvalidInput(_what_instead_of_a_secret_key(key), code="INVALID_SECRET_KEY", path=path)
    mode = Mode.LIVE if key[3:7] == "live" else Mode.TEST
    if mode is Mode.LIVE and not live_keys_allowed:
        raise InvalidInput(
            "Live keys are refused while FLUXRATE_STRIPE_API_BASE points to another host than Stripe's:"
            " use a test key (sk_test_…).",
            code="LIVE_KEY_REFUSED",
            path=path,
        )
    if mode is not workspace_mode:
        raise ModeMismatch(
            f"This is a {mode.value.lower()} key, but the workspace is in {workspace_mode.value.lower()} mode for"
            f" good: use a key that begins with sk_{workspace_mode.value.lower()}_, or another workspace.",
            path=path,
        )
    return key


def parse_webhook_secret(text: str, path: list[str]) -> str:
    """A webhook signing secret, without the spaces and quotes that pasting adds.

    Raises:
        InvalidInput: It is something else; the message says what.
    """
    secret = _pasted(text)
    if not _WEBHOOK_SECRET_FORM.fullmatch(secret):
        raise InvalidInput(_what_instead_of_a_webhook_secret(secret), code="INVALID_WEBHOOK_SECRET", path=path)
    return secret


def _pasted(text: str) -> str:
    return "".join(text.split()).strip("\"'`“”‘’\u200b\ufeff")


def _what_instead_of_a_secret_key(text: str) -> str:
    where = "copy the Secret key (sk_test_… or sk_live_…) from Stripe → Developers → API keys"
    if text.startswith(("pk_test_", "pk_live_")):
        return f"This is the publishable key, which can't create Payment Links: {where}."
    if text.startswith("whsec_"):
        return f"This is a webhook signing secret; it belongs in the Webhook Secret field. Here, {where}."
    if text.startswith(("http://", "https://")):
        return f"This is a URL, not a key: {where}."
    if not text:
        return f"The secret key is empty: {where}."
    return f"This is not a Stripe secret key: {where}."


def _what_instead_of_a_webhook_secret(text: str) -> str:
    where = "copy the Signing secret (whsec_…) from the endpoint's page under Stripe → Developers → Webhooks"
    if text.startswith(("http://", "https://")):
        return f"This is the endpoint's URL, not its signing secret: {where}."
    if text.startswith(("sk_", "rk_", "pk_")):
        return f"This is an API key, not a signing secret: {where}."
    if text.startswith("we_"):
        return f"This is the endpoint's id, not its signing secret: {where}."
    if not text:
        return f"The webhook secret is empty: {where}."
    return f"This is not a webhook signing secret: {where}."
