"""What each constraint is there to refuse: a change to an otherwise valid row."""

from collections.abc import Mapping
from typing import Any, Final

from tests.migrations.declared import FOREIGN_KEY, PRIMARY_KEY, constraints
from tests.models.rows import AT, ROWS, TWINS

Violation = tuple[str, str, Mapping[str, Any]]
"""The constraint, the table, and what of the table's second row is changed."""

_DISCONNECTED: Final[Mapping[str, object]] = {
    "disconnected_at": AT,
    "webhook_token": None,
    "secret_key_sealed": None,
    "webhook_secret_sealed": None,
    "previous_webhook_secret_sealed": None,
}

_CHECKS: Final[list[Violation]] = [
    ("workspaces_mode_known", "workspaces", {"mode": "SANDBOX"}),
    ("workspaces_seq_positive", "workspaces", {"seq": -1}),
    ("integrations_mode_known", "integrations", {"mode": "SANDBOX"}),
    *(
        ("integrations_disconnected_without_secrets", "integrations", {**_DISCONNECTED, secret: "kept"})
        for secret in _DISCONNECTED
        if secret != "disconnected_at"
    ),
    ("invoices_status_known", "invoices", {"status": "LOST"}),
    ("invoices_currency_upper", "invoices", {"currency": "usd"}),
    ("invoices_total_positive", "invoices", {"total": -1}),
    ("invoices_amount_paid_positive", "invoices", {"amount_paid": -1}),
    ("invoices_amount_paid_out_of_band_positive", "invoices", {"amount_paid_out_of_band": -1}),
    ("invoices_amount_refunded_positive", "invoices", {"amount_refunded": -1}),
    ("invoices_numbered_when_finalized", "invoices", {"status": "DRAFT"}),
    ("invoices_numbered_when_finalized", "invoices", {"status": "DRAFT", "number": None}),
    ("invoices_numbered_when_finalized", "invoices", {"status": "DRAFT", "finalized_at": None}),
    ("invoices_numbered_when_finalized", "invoices", {"number": None}),
    ("invoices_numbered_when_finalized", "invoices", {"number": None, "finalized_at": None}),
    ("invoices_numbered_when_finalized", "invoices", {"finalized_at": None}),
    ("invoices_paid_at_when_paid", "invoices", {"status": "PAID"}),
    ("invoices_paid_at_when_paid", "invoices", {"paid_at": AT}),
    ("invoice_sequences_last_positive", "invoice_sequences", {"last": 0}),
    ("line_items_amount_positive", "line_items", {"amount": -1}),
    ("payment_links_status_known", "payment_links", {"status": "LOST"}),
    ("payment_links_amount_positive", "payment_links", {"amount": 0}),
    ("payment_links_active_has_url", "payment_links", {"url": None}),
    ("payment_links_active_has_url", "payment_links", {"provider_id": None}),
    ("payments_status_known", "payments", {"status": "LOST"}),
    ("payments_amount_positive", "payments", {"amount": -1, "overpaid": 0}),
    ("payments_amount_refunded_positive", "payments", {"amount_refunded": -1}),
    ("payments_overpaid_within_amount", "payments", {"overpaid": -1}),
    ("payments_overpaid_within_amount", "payments", {"amount": 500, "overpaid": 501}),
    ("payments_allocation_known", "payments", {"allocation": "LOST"}),
    ("payments_applied_to_an_invoice", "payments", {"invoice_id": None}),
    ("payments_unapplied_with_reason", "payments", {"allocation": "UNAPPLIED"}),
    ("payments_unapplied_with_reason", "payments", {"unapplied_code": "INVOICE_VOID"}),
    ("webhook_events_status_known", "webhook_events", {"status": "LOST", "reason_code": "NO_METADATA"}),
    ("webhook_events_reason_unless_processed", "webhook_events", {"status": "IGNORED"}),
    ("webhook_events_reason_unless_processed", "webhook_events", {"reason_code": "NO_METADATA"}),
]

_KEYS: Final[list[Violation]] = [
    ("api_keys_sha256_unique", "api_keys", {"sha256": "a1"}),
    ("integrations_webhook_token_unique", "integrations", {"webhook_token": "token-1"}),
    ("customers_external_id_unique", "customers", {"external_id": "C-1"}),
    ("invoices_number_unique", "invoices", {"number": "INV-2026-0001"}),
    ("line_items_position_unique", "line_items", {"position": 0}),
    ("payment_links_stripe_id_unique", "payment_links", {"provider_id": "plink_1"}),
    *(
        ("payment_links_one_live", "payment_links", {"invoice_id": "inv_1", "status": status})
        for status in ("PENDING", "ACTIVE", "FAILED")
    ),
    ("payments_provider_payment_id_unique", "payments", {"provider_payment_id": "pi_1"}),
    ("webhook_events_delivery_key_unique", "webhook_events", {"delivery_key": "evt_1"}),
    ("events_number_unique", "events", {"number": 1}),
]


_PRIMARY_KEYS: Final[list[Violation]] = [
    (declared.name, declared.table, {column: ROWS[declared.table][column] for column in declared.columns})
    for declared in constraints()
    if declared.kind == PRIMARY_KEY and declared.table in ROWS
]

_FOREIGN_KEYS: Final[list[Violation]] = [
    (declared.name, declared.table, {declared.columns[0]: f"{TWINS[declared.table][declared.columns[0]]}_not_there"})
    for declared in constraints()
    if declared.kind == FOREIGN_KEY
]

VIOLATIONS: Final = [*_CHECKS, *_KEYS, *_PRIMARY_KEYS, *_FOREIGN_KEYS]
