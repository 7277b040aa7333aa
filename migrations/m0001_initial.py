"""The first tables."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Workspaces, keys, integrations, customers, invoices, payments, webhook events and the event log."""

    initial = True
    operations = [
        Sql(
            """
            CREATE TABLE workspaces (
                id TEXT PRIMARY KEY,
                name TEXT NOT NULL,
                mode TEXT NOT NULL CONSTRAINT workspaces_mode_known CHECK (mode IN ('LIVE', 'TEST')),
                seq {BIGINT} NOT NULL DEFAULT 0 CONSTRAINT workspaces_seq_positive CHECK (seq >= 0),
                created_at {INSTANT} NOT NULL
            ) {STRICT}
            """,
            """
            CREATE TABLE api_keys (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL CONSTRAINT api_keys_workspace REFERENCES workspaces (id),
                name TEXT NOT NULL,
                sha256 TEXT NOT NULL CONSTRAINT api_keys_sha256_unique UNIQUE,
                preview TEXT NOT NULL,
                scopes TEXT NOT NULL,
                created_at {INSTANT} NOT NULL,
                last_used_at {INSTANT},
                expires_at {INSTANT},
                revoked_at {INSTANT}
            ) {STRICT}
            """,
            "CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id)",
            """
            CREATE TABLE integrations (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL CONSTRAINT integrations_workspace REFERENCES workspaces (id),
                name TEXT NOT NULL,
                mode TEXT NOT NULL CONSTRAINT integrations_mode_known CHECK (mode IN ('LIVE', 'TEST')),
                is_active {BOOL} NOT NULL,
                webhook_token TEXT CONSTRAINT integrations_webhook_token_unique UNIQUE,
                secret_key_sealed TEXT,
                secret_key_preview TEXT NOT NULL,
                key_problem TEXT,
                webhook_secret_sealed TEXT,
                webhook_secret_preview TEXT,
                webhook_secret_saved_at {INSTANT},
                previous_webhook_secret_sealed TEXT,
                previous_webhook_secret_expires_at {INSTANT},
                stripe_account_id TEXT,
                created_at {INSTANT} NOT NULL,
                updated_at {INSTANT} NOT NULL,
                disconnected_at {INSTANT},
                CONSTRAINT integrations_disconnected_without_secrets CHECK (
                    disconnected_at IS NULL OR (
                        webhook_token IS NULL AND secret_key_sealed IS NULL AND webhook_secret_sealed IS NULL
                        AND previous_webhook_secret_sealed IS NULL
                    )
                )
            ) {STRICT}
            """,
            "CREATE INDEX integrations_by_workspace ON integrations (workspace_id, id)",
            """
            CREATE TABLE integration_traffic (
                integration_id TEXT PRIMARY KEY
                    CONSTRAINT integration_traffic_integration REFERENCES integrations (id),
                workspace_id TEXT NOT NULL,
                deliveries {BIGINT} NOT NULL DEFAULT 0,
                rejected {BIGINT} NOT NULL DEFAULT 0,
                last_event_at {INSTANT},
                last_rejected_at {INSTANT}
            ) {STRICT}
            """,
            """
            CREATE TABLE customers (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL CONSTRAINT customers_workspace REFERENCES workspaces (id),
                name TEXT NOT NULL,
                email TEXT NOT NULL,
                external_id TEXT,
                created_at {INSTANT} NOT NULL,
                updated_at {INSTANT} NOT NULL,
                CONSTRAINT customers_external_id_unique UNIQUE (workspace_id, external_id)
            ) {STRICT}
            """,
            "CREATE INDEX customers_by_workspace ON customers (workspace_id, id)",
            """
            CREATE TABLE invoices (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL CONSTRAINT invoices_workspace REFERENCES workspaces (id),
                customer_id TEXT NOT NULL CONSTRAINT invoices_customer REFERENCES customers (id),
                integration_id TEXT CONSTRAINT invoices_integration REFERENCES integrations (id),
                number TEXT,
                status TEXT NOT NULL CONSTRAINT invoices_status_known
                    CHECK (status IN ('DRAFT', 'OPEN', 'PAID', 'VOID', 'UNCOLLECTIBLE')),
                currency TEXT NOT NULL CONSTRAINT invoices_currency_upper CHECK (currency = upper(currency)),
                total {BIGINT} NOT NULL CONSTRAINT invoices_total_positive CHECK (total >= 0),
                amount_paid {BIGINT} NOT NULL DEFAULT 0
                    CONSTRAINT invoices_amount_paid_positive CHECK (amount_paid >= 0),
                amount_paid_out_of_band {BIGINT} NOT NULL DEFAULT 0
                    CONSTRAINT invoices_amount_paid_out_of_band_positive CHECK (amount_paid_out_of_band >= 0),
                amount_refunded {BIGINT} NOT NULL DEFAULT 0
                    CONSTRAINT invoices_amount_refunded_positive CHECK (amount_refunded >= 0),
                due_date {DATE},
                memo TEXT,
                created_at {INSTANT} NOT NULL,
                updated_at {INSTANT} NOT NULL,
                finalized_at {INSTANT},
                paid_at {INSTANT},
                voided_at {INSTANT},
                uncollectible_at {INSTANT},
                CONSTRAINT invoices_number_unique UNIQUE (workspace_id, number),
                CONSTRAINT invoices_numbered_when_finalized
                    CHECK ((status = 'DRAFT') = (number IS NULL) AND (number IS NULL) = (finalized_at IS NULL)),
                CONSTRAINT invoices_paid_at_when_paid CHECK ((status = 'PAID') = (paid_at IS NOT NULL))
            ) {STRICT}
            """,
            "CREATE INDEX invoices_by_workspace ON invoices (workspace_id, id)",
            "CREATE INDEX invoices_by_status ON invoices (workspace_id, status, id)",
            "CREATE INDEX invoices_by_customer ON invoices (customer_id, id)",
            "CREATE INDEX invoices_by_due_date ON invoices (workspace_id, due_date) WHERE status = 'OPEN'",
            """
            CREATE TABLE invoice_sequences (
                workspace_id TEXT NOT NULL CONSTRAINT invoice_sequences_workspace REFERENCES workspaces (id),
                year {BIGINT} NOT NULL,
                last {BIGINT} NOT NULL CONSTRAINT invoice_sequences_last_positive CHECK (last > 0),
                PRIMARY KEY (workspace_id, year)
            ) {STRICT}
            """,
            """
            CREATE TABLE line_items (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                invoice_id TEXT NOT NULL CONSTRAINT line_items_invoice REFERENCES invoices (id) ON DELETE CASCADE,
                position {BIGINT} NOT NULL,
                description TEXT NOT NULL,
                quantity TEXT NOT NULL,
                unit_amount TEXT NOT NULL,
                amount {BIGINT} NOT NULL CONSTRAINT line_items_amount_positive CHECK (amount >= 0),
                CONSTRAINT line_items_position_unique UNIQUE (invoice_id, position)
            ) {STRICT}
            """,
            """
            CREATE TABLE payment_links (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                invoice_id TEXT NOT NULL CONSTRAINT payment_links_invoice REFERENCES invoices (id),
                integration_id TEXT NOT NULL CONSTRAINT payment_links_integration REFERENCES integrations (id),
                status TEXT NOT NULL CONSTRAINT payment_links_status_known
                    CHECK (status IN ('PENDING', 'ACTIVE', 'COMPLETED', 'DEACTIVATED', 'FAILED')),
                stripe_id TEXT,
                url TEXT,
                amount {BIGINT} NOT NULL CONSTRAINT payment_links_amount_positive CHECK (amount > 0),
                currency TEXT NOT NULL,
                attempt {BIGINT} NOT NULL DEFAULT 1,
                outcome_unknown {BOOL} NOT NULL,
                tries {BIGINT} NOT NULL DEFAULT 0,
                due_at {INSTANT},
                problem_code TEXT,
                problem_message TEXT,
                created_at {INSTANT} NOT NULL,
                updated_at {INSTANT} NOT NULL,
                CONSTRAINT payment_links_active_has_url
                    CHECK (status <> 'ACTIVE' OR (stripe_id IS NOT NULL AND url IS NOT NULL)),
                CONSTRAINT payment_links_stripe_id_unique UNIQUE (workspace_id, stripe_id)
            ) {STRICT}
            """,
            """
            CREATE UNIQUE INDEX payment_links_one_live ON payment_links (invoice_id)
            WHERE status IN ('PENDING', 'ACTIVE', 'FAILED')
            """,
            "CREATE INDEX payment_links_by_invoice ON payment_links (invoice_id, id)",
            "CREATE INDEX payment_links_due ON payment_links (due_at) WHERE due_at IS NOT NULL",
            """
            CREATE TABLE payments (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                integration_id TEXT NOT NULL CONSTRAINT payments_integration REFERENCES integrations (id),
                provider_payment_id TEXT NOT NULL,
                invoice_id TEXT CONSTRAINT payments_invoice REFERENCES invoices (id),
                customer_id TEXT,
                status TEXT NOT NULL CONSTRAINT payments_status_known
                    CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')),
                amount {BIGINT} NOT NULL CONSTRAINT payments_amount_positive CHECK (amount >= 0),
                currency TEXT NOT NULL,
                amount_refunded {BIGINT} NOT NULL DEFAULT 0
                    CONSTRAINT payments_amount_refunded_positive CHECK (amount_refunded >= 0),
                overpaid {BIGINT} NOT NULL DEFAULT 0
                    CONSTRAINT payments_overpaid_within_amount CHECK (overpaid >= 0 AND overpaid <= amount),
                allocation TEXT NOT NULL CONSTRAINT payments_allocation_known
                    CHECK (allocation IN ('APPLIED', 'UNAPPLIED')),
                unapplied_code TEXT,
                failure_code TEXT,
                failure_message TEXT,
                decided_by TEXT NOT NULL,
                dispute_status TEXT,
                dispute_reason TEXT,
                dispute_amount {BIGINT},
                dispute_opened_at {INSTANT},
                dispute_closed_at {INSTANT},
                occurred_at {INSTANT} NOT NULL,
                created_at {INSTANT} NOT NULL,
                CONSTRAINT payments_provider_payment_id_unique UNIQUE (workspace_id, provider_payment_id),
                CONSTRAINT payments_applied_to_an_invoice CHECK (allocation <> 'APPLIED' OR invoice_id IS NOT NULL),
                CONSTRAINT payments_unapplied_with_reason CHECK ((allocation = 'UNAPPLIED') = (unapplied_code IS NOT NULL))
            ) {STRICT}
            """,
            "CREATE INDEX payments_by_workspace ON payments (workspace_id, id)",
            "CREATE INDEX payments_by_invoice ON payments (invoice_id, id) WHERE invoice_id IS NOT NULL",
            "CREATE INDEX payments_by_customer ON payments (customer_id, id) WHERE customer_id IS NOT NULL",
            "CREATE INDEX payments_unapplied ON payments (workspace_id, id) WHERE allocation = 'UNAPPLIED'",
            """
            CREATE TABLE payment_references (
                workspace_id TEXT NOT NULL,
                provider_id TEXT NOT NULL,
                payment_id TEXT NOT NULL CONSTRAINT payment_references_payment REFERENCES payments (id),
                CONSTRAINT payment_references_unique PRIMARY KEY (workspace_id, provider_id)
            ) {STRICT}
            """,
            "CREATE INDEX payment_references_by_payment ON payment_references (payment_id)",
            """
            CREATE TABLE webhook_events (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                integration_id TEXT NOT NULL CONSTRAINT webhook_events_integration REFERENCES integrations (id),
                delivery_key TEXT NOT NULL,
                stripe_event_id TEXT,
                type TEXT,
                status TEXT NOT NULL CONSTRAINT webhook_events_status_known CHECK (
                    status IN ('PROCESSED', 'IGNORED', 'UNAPPLIED', 'HELD', 'QUARANTINED', 'FAILED')
                ),
                reason_code TEXT,
                reason_detail TEXT,
                deliveries {BIGINT} NOT NULL,
                attempts {BIGINT} NOT NULL,
                livemode {BOOL},
                api_version TEXT,
                invoice_id TEXT,
                customer_id TEXT,
                payment_id TEXT,
                payload {BYTES} NOT NULL,
                received_at {INSTANT} NOT NULL,
                processed_at {INSTANT},
                retry_at {INSTANT},
                CONSTRAINT webhook_events_delivery_key_unique UNIQUE (integration_id, delivery_key),
                CONSTRAINT webhook_events_reason_unless_processed
                    CHECK ((status = 'PROCESSED') = (reason_code IS NULL))
            ) {STRICT}
            """,
            "CREATE INDEX webhook_events_by_workspace ON webhook_events (workspace_id, id)",
            "CREATE INDEX webhook_events_by_integration ON webhook_events (integration_id, id)",
            """
            CREATE INDEX webhook_events_by_stripe_id ON webhook_events (workspace_id, stripe_event_id)
            WHERE stripe_event_id IS NOT NULL
            """,
            "CREATE INDEX webhook_events_by_invoice ON webhook_events (invoice_id, id) WHERE invoice_id IS NOT NULL",
            """
            CREATE INDEX webhook_events_unfinished ON webhook_events (integration_id, status, id)
            WHERE status IN ('UNAPPLIED', 'HELD', 'QUARANTINED', 'FAILED')
            """,
            "CREATE INDEX webhook_events_to_retry ON webhook_events (retry_at) WHERE retry_at IS NOT NULL",
            """
            CREATE TABLE events (
                id TEXT PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                number {BIGINT} NOT NULL,
                type TEXT NOT NULL,
                occurred_at {INSTANT} NOT NULL,
                actor TEXT NOT NULL,
                note TEXT,
                previous_status TEXT,
                status TEXT,
                invoice_id TEXT,
                payment_id TEXT,
                customer_id TEXT,
                integration_id TEXT,
                webhook_event_id TEXT,
                CONSTRAINT events_number_unique UNIQUE (workspace_id, number)
            ) {STRICT}
            """,
            "CREATE INDEX events_by_invoice ON events (invoice_id, number) WHERE invoice_id IS NOT NULL",
            "CREATE INDEX events_by_customer ON events (customer_id, number) WHERE customer_id IS NOT NULL",
            "CREATE INDEX events_by_integration ON events (integration_id, number) WHERE integration_id IS NOT NULL",
            """
            CREATE TABLE idempotency_keys (
                workspace_id TEXT NOT NULL CONSTRAINT idempotency_keys_workspace REFERENCES workspaces (id),
                operation TEXT NOT NULL,
                key TEXT NOT NULL,
                input_sha256 TEXT NOT NULL,
                result_id TEXT NOT NULL,
                created_at {INSTANT} NOT NULL,
                CONSTRAINT idempotency_keys_unique PRIMARY KEY (workspace_id, operation, key)
            ) {STRICT}
            """,
        ),
    ]
