"""Two valid rows of every table, which share no key; each after what it refers to."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from database.access import transaction
from database.transaction import Transaction

Rows = Mapping[str, Mapping[str, Any]]

AT: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)

ROWS: Final[Rows] = {
    "workspaces": {"id": "ws_1", "name": "Acme", "mode": "TEST", "seq": 1, "created_at": AT},
    "api_keys": {
        "id": "key_1",
        "workspace_id": "ws_1",
        "name": "Dashboard",
        "sha256": "a1",
        "preview": "flx_test_…4242",
        "scopes": "READ,WRITE",
        "created_at": AT,
        "last_used_at": AT,
        "expires_at": AT,
        "revoked_at": None,
    },
    "integrations": {
        "id": "int_1",
        "workspace_id": "ws_1",
        "name": "Main account",
        "mode": "TEST",
        "is_active": True,
        "webhook_token": "token-1",
        "secret_key_sealed": "k:sealed",
        "secret_key_preview": "sk_test_…4242",
        "key_problem": None,
        "webhook_secret_sealed": "k:sealed",
        "webhook_secret_preview": "whsec_…4242",
        "webhook_secret_saved_at": AT,
        "previous_webhook_secret_sealed": "k:sealed",
        "previous_webhook_secret_preview": "whsec_…1234",
        "previous_webhook_secret_expires_at": AT,
        "provider_account_id": "acct_1",
        "webhook_endpoint_id": "we_1",
        "findings": '[["ENDPOINT_DISABLED", null]]',
        "checked_at": AT,
        "created_at": AT,
        "updated_at": AT,
        "disconnected_at": None,
    },
    "integration_traffic": {
        "integration_id": "int_1",
        "workspace_id": "ws_1",
        "deliveries": 3,
        "rejected": 1,
        "last_event_at": AT,
        "last_rejected_at": AT,
        "quarantine_refused": 0,
        "quarantine_logged_at": AT,
        "quarantine_judged_at": AT,
        "secret_matched_at": AT,
        "previous_secret_matched_at": AT,
        "secret_alone_since": AT,
        "synced_until": AT,
        "sync_due_at": AT,
    },
    "customers": {
        "id": "cust_1",
        "workspace_id": "ws_1",
        "name": "Ada",
        "email": "ada@example.com",
        "external_id": "C-1",
        "created_at": AT,
        "updated_at": AT,
    },
    "invoices": {
        "id": "inv_1",
        "workspace_id": "ws_1",
        "customer_id": "cust_1",
        "integration_id": "int_1",
        "number": "INV-2026-0001",
        "status": "OPEN",
        "currency": "USD",
        "total": 1999,
        "amount_paid": 0,
        "amount_paid_out_of_band": 0,
        "marked_paid": None,
        "amount_refunded": 0,
        "due_date": date(2026, 12, 24),
        "memo": "Thank you",
        "created_at": AT,
        "updated_at": AT,
        "finalized_at": AT,
        "paid_at": None,
        "voided_at": None,
        "uncollectible_at": None,
    },
    "invoice_sequences": {"workspace_id": "ws_1", "year": 2026, "last": 2},
    "line_items": {
        "id": "li_1",
        "workspace_id": "ws_1",
        "invoice_id": "inv_1",
        "position": 0,
        "description": "Paper",
        "quantity": "1",
        "unit_amount": "19.99",
        "amount": 1999,
    },
    "metadata": {"subject_id": "inv_1", "workspace_id": "ws_1", "entries": '{"order":"A-1"}'},
    "payment_links": {
        "id": "pl_1",
        "workspace_id": "ws_1",
        "invoice_id": "inv_1",
        "integration_id": "int_1",
        "status": "ACTIVE",
        "provider_id": "plink_1",
        "url": "https://buy.stripe.com/1",
        "amount": 1999,
        "currency": "USD",
        "attempt": 1,
        "outcome_unknown": False,
        "tries": 1,
        "due_at": AT,
        "sessions_closed_at": AT,
        "checked_at": AT,
        "problem_code": None,
        "problem_message": None,
        "created_at": AT,
        "updated_at": AT,
    },
    "payments": {
        "id": "pay_1",
        "workspace_id": "ws_1",
        "integration_id": "int_1",
        "provider_payment_id": "pi_1",
        "invoice_id": "inv_1",
        "customer_id": "cust_1",
        "status": "SUCCEEDED",
        "amount": 500,
        "currency": "USD",
        "amount_refunded": 0,
        "overpaid": 0,
        "allocation": "APPLIED",
        "unapplied_code": None,
        "failure_code": None,
        "failure_message": None,
        "decided_by": "",
        "refund_decided_by": None,
        "failed_refunds": None,
        "disputes": None,
        "presentment_amount": None,
        "presentment_currency": None,
        "amount_received": None,
        "order_id": None,
        "is_whole": False,
        "dispute_decided_by": None,
        "dispute_status": None,
        "dispute_reason": None,
        "dispute_amount": None,
        "dispute_opened_at": None,
        "dispute_closed_at": None,
        "occurred_at": AT,
        "created_at": AT,
    },
    "payment_references": {"workspace_id": "ws_1", "provider_id": "pi_1", "payment_id": "pay_1"},
    "webhook_events": {
        "id": "whe_1",
        "workspace_id": "ws_1",
        "integration_id": "int_1",
        "delivery_key": "evt_1",
        "provider_event_id": "evt_1",
        "type": "payment_intent.succeeded",
        "status": "PROCESSED",
        "reason_code": None,
        "reason_detail": None,
        "deliveries": 1,
        "attempts": 1,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "invoice_id": "inv_1",
        "customer_id": "cust_1",
        "payment_id": "pay_1",
        "payload": b"\x00\xff{}",
        "received_at": AT,
        "processed_at": AT,
        "retry_at": None,
        "reader_version": None,
        "posts": None,
    },
    "webhook_event_attempts": {
        "id": 1,
        "workspace_id": "ws_1",
        "webhook_event_id": "whe_1",
        "source": "REPLAY",
        "status": "FAILED",
        "reason_code": "INTERNAL_ERROR",
        "reason_detail": "a1",
        "at": AT,
    },
    "events": {
        "id": "ev_1",
        "workspace_id": "ws_1",
        "number": 1,
        "type": "INVOICE_FINALIZED",
        "occurred_at": AT,
        "actor": "key_1",
        "note": "As agreed",
        "previous_status": "DRAFT",
        "status": "OPEN",
        "invoice_id": "inv_1",
        "payment_id": None,
        "customer_id": "cust_1",
        "integration_id": "int_1",
        "webhook_event_id": None,
    },
    "idempotency_keys": {
        "workspace_id": "ws_1",
        "operation": "createInvoice",
        "key": "order-1",
        "input_sha256": "a1",
        "result_id": "inv_1",
        "created_at": AT,
    },
}

_KEYS: Final[Rows] = {
    "workspaces": {"id": "ws_2"},
    "api_keys": {"id": "key_2", "sha256": "a2"},
    "integrations": {"id": "int_2", "webhook_token": "token-2"},
    "integration_traffic": {"integration_id": "int_2"},
    "customers": {"id": "cust_2", "external_id": "C-2"},
    "invoices": {"id": "inv_2", "number": "INV-2026-0002"},
    "invoice_sequences": {"year": 2027},
    "line_items": {"id": "li_2", "position": 1},
    "metadata": {"subject_id": "inv_2"},
    "payment_links": {"id": "pl_2", "invoice_id": "inv_2", "provider_id": "plink_2"},
    "payments": {"id": "pay_2", "provider_payment_id": "pi_2"},
    "payment_references": {"provider_id": "pi_2"},
    "webhook_events": {"id": "whe_2", "delivery_key": "evt_2", "provider_event_id": "evt_2"},
    "webhook_event_attempts": {"id": 2},
    "events": {"id": "ev_2", "number": 2},
    "idempotency_keys": {"key": "order-2"},
}

TWINS: Final[Rows] = {table: {**row, **_KEYS[table]} for table, row in ROWS.items()}


async def insert(tx: Transaction, table: str, row: Mapping[str, object]) -> None:
    """Insert a row as it is."""
    marks = ", ".join(f"${position}" for position in range(1, len(row) + 1))
    await tx.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


async def insert_all(tx: Transaction, rows: Rows) -> None:
    """Insert a row into every table."""
    for table, row in rows.items():
        await insert(tx, table, row)


class RolledBackError(Exception):
    """What a test raises to undo a transaction."""


@contextlib.asynccontextmanager
async def rehearsal() -> AsyncIterator[Transaction]:
    """A transaction that leaves nothing behind."""
    with contextlib.suppress(RolledBackError):
        async with transaction() as tx:
            yield tx
            raise RolledBackError
