"""Saves an integration's secrets, encrypted. A replaced webhook secret stays valid for up to a day."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from database.access import fetch, transaction
from database.transaction import Transaction
from models.event import SYSTEM, Happening, append
from models.instant import utc_now
from models.integration import Integration, bound_to, preview_of
from models.kinds import EventType
from models.secret import Keyring

PREVIOUS_SECRET_LASTS: Final = timedelta(hours=24)
"""How long a replaced webhook secret still verifies. Source: Stripe signs with both for up to 24 h."""

STRIPE_HAS_STOPPED: Final = timedelta(minutes=10)
"""How long Stripe must not have signed with a replaced secret before it is dropped."""


def save_secret_key(keyring: Keyring, integration: Integration, key: str) -> None:
    """Set an integration's secret key, which Stripe has accepted; the caller saves the row."""
    integration.secret_key_sealed = keyring.seal(key, bound_to(integration.id, "secret_key_sealed"))
    integration.secret_key_preview = preview_of(key)
    integration.key_problem = None
    integration.findings = "[]"  # they were found with another key


async def save_webhook_secret(tx: Transaction, keyring: Keyring, integration: Integration, secret: str) -> None:
    """Set an integration's webhook secret; the caller has locked the row and saves it.

    The old secret stays valid for a day. Replacing a secret that never verified a delivery keeps the older, working
    one. Events that were refused because the quarantine was full are soon fetched from Stripe. Saving the same secret
    again only updates when it was saved.
    """
    where = bound_to(integration.id, "webhook_secret_sealed")
    now = utc_now()
    current, preview = integration.webhook_secret_sealed, integration.webhook_secret_preview
    integration.webhook_secret_saved_at = now
    if current is not None and keyring.open(current, where) == secret:
        return
    integration.webhook_secret_sealed = keyring.seal(secret, where)
    integration.webhook_secret_preview = preview_of(secret)
    if current is not None and not await _is_unproven(tx, integration):
        integration.previous_webhook_secret_sealed = current
        integration.previous_webhook_secret_preview = preview
        integration.previous_webhook_secret_expires_at = now + PREVIOUS_SECRET_LASTS
        await tx.execute(
            "UPDATE integration_traffic SET previous_secret_matched_at = secret_matched_at WHERE integration_id = $1",
            integration.id,
        )
    await tx.execute(
        "UPDATE integration_traffic SET secret_matched_at = NULL, secret_alone_since = NULL,"
        " quarantine_judged_at = NULL,"
        " sync_due_at = CASE WHEN quarantine_refused > 0 THEN NULL ELSE sync_due_at END WHERE integration_id = $1",
        integration.id,
    )


async def _is_unproven(tx: Transaction, integration: Integration) -> bool:
    """Whether the current secret has never verified a delivery while an older one is still kept."""
    expires_at = integration.previous_webhook_secret_expires_at
    if expires_at is None or expires_at <= utc_now():
        return False
    rows = await tx.fetch("SELECT secret_matched_at FROM integration_traffic WHERE integration_id = $1", integration.id)
    return bool(rows) and rows[0]["secret_matched_at"] is None


async def retire_previous_secrets() -> Mapping[str, int]:
    """Drop replaced webhook secrets that have expired or that Stripe no longer uses; return each log's newest number.

    Stripe no longer uses a secret if all deliveries of the last minutes, longer than a signature is valid, were signed
    with the current one alone.
    """
    now = utc_now()
    due = await fetch(_RETIRING, now, now - STRIPE_HAS_STOPPED)
    newest: dict[str, int] = {}
    for row in due:
        async with transaction() as tx:
            retired = await tx.fetch(
                "UPDATE integrations SET previous_webhook_secret_sealed = NULL, previous_webhook_secret_preview = NULL,"
                " previous_webhook_secret_expires_at = NULL, updated_at = $3"
                " WHERE id = $1 AND previous_webhook_secret_sealed = $2"
                " AND (previous_webhook_secret_expires_at <= $3 OR EXISTS (SELECT 1 FROM integration_traffic t"
                " WHERE t.integration_id = integrations.id AND t.secret_alone_since <= $4)) RETURNING workspace_id",
                row["id"],
                row["previous_webhook_secret_sealed"],
                now,
                now - STRIPE_HAS_STOPPED,
            )
            if retired:
                happening = Happening(
                    type=EventType.INTEGRATION_UPDATED,
                    workspace_id=retired[0]["workspace_id"],
                    actor=SYSTEM,
                    occurred_at=now,
                    integration_id=row["id"],
                )
                newest |= await append(tx, [happening])
    return newest


_RETIRING: Final = """
    SELECT i.id, i.previous_webhook_secret_sealed
    FROM integrations i LEFT JOIN integration_traffic t ON t.integration_id = i.id
    WHERE i.previous_webhook_secret_sealed IS NOT NULL
    AND (i.previous_webhook_secret_expires_at <= $1 OR t.secret_alone_since <= $2)
    ORDER BY i.id
"""
