"""The enums of rows' columns, in a module of their own, so that naming one loads no database."""

from enum import StrEnum


class Mode(StrEnum):
    """Whether money is real. A workspace's mode never changes."""

    LIVE = "LIVE"
    TEST = "TEST"


class Scope(StrEnum):
    """What an API key may do; ADMIN includes WRITE, WRITE includes READ."""

    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"


class IntegrationStatus(StrEnum):
    """What an integration can do right now."""

    AWAITING_WEBHOOK_SECRET = "AWAITING_WEBHOOK_SECRET"  # noqa: S105  (a status)
    READY = "READY"
    INACTIVE = "INACTIVE"
    KEY_REJECTED = "KEY_REJECTED"
    DISCONNECTED = "DISCONNECTED"


class InvoiceStatus(StrEnum):
    """The status of an invoice."""

    DRAFT = "DRAFT"
    OPEN = "OPEN"
    PAID = "PAID"
    VOID = "VOID"
    UNCOLLECTIBLE = "UNCOLLECTIBLE"


class PaymentLinkStatus(StrEnum):
    """The status of a payment link. PENDING and FAILED links are still to be made; ACTIVE ones can be paid."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    DEACTIVATED = "DEACTIVATED"
    FAILED = "FAILED"


class OpenSessions(StrEnum):
    """Whether customers may still pay on a page of a link that they have open. Stripe closes a page after 24 hours."""

    POSSIBLE = "POSSIBLE"
    CLOSING = "CLOSING"
    SETTLED = "SETTLED"


class PaymentStatus(StrEnum):
    """The status of a payment. SUCCEEDED is final; between the others the later event by Stripe's clock decides."""

    PENDING = "PENDING"
    FAILED = "FAILED"
    SUCCEEDED = "SUCCEEDED"


class Allocation(StrEnum):
    """Whether a payment counts for an invoice."""

    APPLIED = "APPLIED"
    UNAPPLIED = "UNAPPLIED"


class RevenueInterval(StrEnum):
    "How much time a point of revenue covers, by the calendar of a time zone."

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class InvoiceOrderField(StrEnum):
    """What invoices can be ordered by."""

    CREATED_AT = "CREATED_AT"
    DUE_DATE = "DUE_DATE"
    TOTAL = "TOTAL"
    PAID_AT = "PAID_AT"
    CUSTOMER = "CUSTOMER"


class PaymentOrderField(StrEnum):
    """What payments can be ordered by."""

    CREATED_AT = "CREATED_AT"
    OCCURRED_AT = "OCCURRED_AT"
    AMOUNT = "AMOUNT"


class CustomerOrderField(StrEnum):
    """What customers can be ordered by."""

    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


class WebhookEventStatus(StrEnum):
    """The outcome of a webhook event."""

    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    UNAPPLIED = "UNAPPLIED"
    HELD = "HELD"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


class AttemptSource(StrEnum):
    """What caused an attempt to process a webhook event."""

    WEBHOOK = "WEBHOOK"
    SYNC = "SYNC"
    RETRY = "RETRY"
    REPLAY = "REPLAY"
    APPLIED = "APPLIED"


class EventType(StrEnum):
    """What can happen in a workspace."""

    INVOICE_CREATED = "INVOICE_CREATED"
    INVOICE_UPDATED = "INVOICE_UPDATED"
    INVOICE_DELETED = "INVOICE_DELETED"
    INVOICE_FINALIZED = "INVOICE_FINALIZED"
    INVOICE_PARTIALLY_PAID = "INVOICE_PARTIALLY_PAID"
    INVOICE_PAID = "INVOICE_PAID"
    INVOICE_VOIDED = "INVOICE_VOIDED"
    INVOICE_MARKED_UNCOLLECTIBLE = "INVOICE_MARKED_UNCOLLECTIBLE"
    PAYMENT_PENDING = "PAYMENT_PENDING"
    PAYMENT_SUCCEEDED = "PAYMENT_SUCCEEDED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAYMENT_UNAPPLIED = "PAYMENT_UNAPPLIED"
    PAYMENT_APPLIED = "PAYMENT_APPLIED"
    PAYMENT_REFUNDED = "PAYMENT_REFUNDED"
    PAYMENT_REFUND_FAILED = "PAYMENT_REFUND_FAILED"
    PAYMENT_DISPUTED = "PAYMENT_DISPUTED"
    PAYMENT_DISPUTE_CLOSED = "PAYMENT_DISPUTE_CLOSED"
    PAYMENT_LINK_CREATED = "PAYMENT_LINK_CREATED"
    PAYMENT_LINK_FAILED = "PAYMENT_LINK_FAILED"
    PAYMENT_LINK_DEACTIVATED = "PAYMENT_LINK_DEACTIVATED"
    INTEGRATION_CONNECTED = "INTEGRATION_CONNECTED"
    INTEGRATION_UPDATED = "INTEGRATION_UPDATED"
    INTEGRATION_DISCONNECTED = "INTEGRATION_DISCONNECTED"
    WEBHOOK_EVENT_RECEIVED = "WEBHOOK_EVENT_RECEIVED"
    WEBHOOK_EVENT_UPDATED = "WEBHOOK_EVENT_UPDATED"
    CUSTOMER_CREATED = "CUSTOMER_CREATED"
    CUSTOMER_UPDATED = "CUSTOMER_UPDATED"
    API_KEY_CREATED = "API_KEY_CREATED"
    API_KEY_REVOKED = "API_KEY_REVOKED"
