"""The enums of the API. Importing this module names and describes those that are declared in models."""

from collections.abc import Mapping
from enum import Enum, EnumMeta

import strawberry
from strawberry.types.enum import has_enum_definition

from models.kinds import (
    Allocation,
    AttemptSource,
    CustomerOrderField,
    EventType,
    IntegrationStatus,
    InvoiceOrderField,
    InvoiceStatus,
    Mode,
    OpenSessions,
    PaymentLinkStatus,
    PaymentOrderField,
    PaymentStatus,
    RevenueInterval,
    Scope,
    WebhookEventStatus,
)


@strawberry.enum(description="The order of a list.")
class OrderDirection(Enum):
    """The order of a list."""

    ASC = strawberry.enum_value("ASC", description="Oldest first, smallest first, from A to Z.")
    DESC = strawberry.enum_value("DESC", description="Newest first, largest first, from Z to A.")


@strawberry.enum(description="How exact a count is.")
class CountPrecision(Enum):
    """How exact a count is."""

    EXACT = strawberry.enum_value("EXACT", description="The count is exact.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="The count is a lower bound.")


def _describe(enum: EnumMeta, description: str, members: Mapping[str, str]) -> None:
    """Make an enum of models an enum of the schema, and describe its members."""
    strawberry.enum(enum, description=description)
    if has_enum_definition(enum):
        for value in enum.__strawberry_definition__.values:
            value.description = members[value.name]


_describe(
    Mode,
    "Whether money is real. A workspace's mode never changes.",
    {"LIVE": "Real money.", "TEST": "Stripe's test mode: no money moves."},
)
_describe(
    InvoiceOrderField,
    "What invoices can be ordered by. Invoices without a value come last in either direction.",
    {
        "CREATED_AT": "When they were created.",
        "DUE_DATE": "Their last day to pay.",
        "TOTAL": "Their total. Amounts in different currencies aren't compared: the order is by currency first.",
        "PAID_AT": "Their `paidAt`.",
        "CUSTOMER": "Their customer's name, ordered as in `CustomerOrderField.NAME`.",
    },
)
_describe(
    PaymentOrderField,
    "What payments can be ordered by.",
    {
        "CREATED_AT": "When they were first recorded here.",
        "OCCURRED_AT": "When they happened, by Stripe's clock.",
        "AMOUNT": "Their amount. Amounts in different currencies aren't compared: the order is by currency first.",
    },
)
_describe(
    CustomerOrderField,
    "What customers can be ordered by.",
    {
        "CREATED_AT": "When they were created.",
        "NAME": "The first 64 characters of their name, compared by code point, but ignoring case for A to Z.",
    },
)
_describe(
    Scope,
    "What an API key may do.",
    {
        "READ": "Query and subscribe.",
        "WRITE": "Change customers and invoices, apply payments, sync and replay events; includes READ.",
        "ADMIN": "Manage integrations and API keys; includes WRITE.",
    },
)
_describe(
    IntegrationStatus,
    "What an integration can do right now. If several statuses apply, the most serious one is given.",
    {
        "AWAITING_WEBHOOK_SECRET": "It makes Payment Links, but what Stripe sends can't be verified yet.",
        "READY": "It works.",
        "INACTIVE": "It is switched off: deliveries are stored, not applied.",
        "KEY_REJECTED": "Stripe refused its secret key.",
        "DISCONNECTED": "It was removed; only its history is left.",
    },
)
_describe(
    InvoiceStatus,
    "The status of an invoice.",
    {
        "DRAFT": "Being written: it can be changed and deleted.",
        "OPEN": "Finalized and waiting for its payment.",
        "PAID": "Paid, and that is final.",
        "VOID": "Voided, and that is final.",
        "UNCOLLECTIBLE": "Written off; a late payment still makes it PAID.",
    },
)
_describe(
    PaymentStatus,
    "The status of a payment. SUCCEEDED is final.",
    {
        "PENDING": "On its way, like a bank debit.",
        "SUCCEEDED": "The money came in.",
        "FAILED": "The attempt failed.",
    },
)
_describe(
    Allocation,
    "Whether a payment counts for an invoice.",
    {"APPLIED": "It counts for its invoice.", "UNAPPLIED": "It fits no invoice; `unappliedReason` says why."},
)
_describe(
    PaymentLinkStatus,
    "The status of a Payment Link.",
    {
        "PENDING": "Being made.",
        "ACTIVE": "It can be paid.",
        "COMPLETED": "It was paid.",
        "DEACTIVATED": "It can't be paid any more.",
        "FAILED": "Stripe did not make it; `problem` says why.",
    },
)
_describe(
    OpenSessions,
    "Whether a customer who has opened a Payment Link's page can still pay there.",
    {
        "POSSIBLE": "Yes: the link is open, or its open pages could not be closed; they expire within a day.",
        "CLOSING": "For now: the link is closed, and its open pages are being closed at Stripe.",
        "SETTLED": "No: nobody can pay there any more.",
    },
)
_describe(
    RevenueInterval,
    "How much time a point of revenue covers, by the calendar of a time zone.",
    {
        "HOUR": "An hour, counted from the beginning of the day.",
        "DAY": "From midnight to midnight: 23 or 25 hours when clocks change.",
        "WEEK": "Seven days from Monday on.",
        "MONTH": "A month of the calendar.",
    },
)
_describe(
    WebhookEventStatus,
    "The outcome of a webhook event.",
    {
        "PROCESSED": "Applied, or another event had applied the same change already.",
        "IGNORED": "Nothing needs to be done.",
        "UNAPPLIED": "Money that fits no invoice, or an event that may be about money but can't be read.",
        "HELD": "Verified while the integration was switched off; applied once it is switched on again.",
        "QUARANTINED": "It can't be verified: no webhook secret yet, or a wrong signature.",
        "FAILED": "Applying it failed inside Fluxrate; it is tried again.",
    },
)
_describe(
    AttemptSource,
    "What caused an attempt to process a webhook event.",
    {
        "WEBHOOK": "Stripe posted the event.",
        "SYNC": "A sync fetched the event from Stripe.",
        "RETRY": "Fluxrate tried the event again automatically.",
        "REPLAY": "A client replayed the event.",
        "APPLIED": "A client applied the event's payment (`applyPayment`).",
    },
)
_describe(
    EventType,
    "What can happen in a workspace.",
    {
        "INVOICE_CREATED": "A draft was created.",
        "INVOICE_UPDATED": "A draft, or the metadata of an invoice, was changed.",
        "INVOICE_DELETED": "A draft was deleted.",
        "INVOICE_FINALIZED": "A draft became OPEN and got its number.",
        "INVOICE_PARTIALLY_PAID": "A payment covered only a part of what remained to pay.",
        "INVOICE_PAID": "An invoice became PAID.",
        "INVOICE_VOIDED": "An invoice became VOID.",
        "INVOICE_MARKED_UNCOLLECTIBLE": "An invoice became UNCOLLECTIBLE.",
        "PAYMENT_PENDING": "A payment is pending, like a bank debit.",
        "PAYMENT_SUCCEEDED": "Money came in for an invoice.",
        "PAYMENT_FAILED": "An attempt to pay failed.",
        "PAYMENT_UNAPPLIED": "Money came in that fits no invoice.",
        "PAYMENT_APPLIED": "Money that fitted no invoice was applied to one.",
        "PAYMENT_REFUNDED": "A payment was refunded, in full or in part.",
        "PAYMENT_REFUND_FAILED": "A refund did not reach the customer.",
        "PAYMENT_DISPUTED": "A customer disputes a payment.",
        "PAYMENT_DISPUTE_CLOSED": "A dispute was decided.",
        "PAYMENT_LINK_CREATED": "Stripe made a Payment Link.",
        "PAYMENT_LINK_FAILED": "Stripe did not make a Payment Link.",
        "PAYMENT_LINK_DEACTIVATED": "A Payment Link can't be paid any more.",
        "INTEGRATION_CONNECTED": "A Stripe account was connected.",
        "INTEGRATION_UPDATED": "An integration was changed.",
        "INTEGRATION_DISCONNECTED": "An integration was removed.",
        "WEBHOOK_EVENT_RECEIVED": "Stripe sent a webhook event for the first time.",
        "WEBHOOK_EVENT_UPDATED": "The status of a webhook event changed.",
        "CUSTOMER_CREATED": "A customer was created.",
        "CUSTOMER_UPDATED": "A customer was changed.",
        "API_KEY_CREATED": "An API key was created.",
        "API_KEY_REVOKED": "An API key was revoked.",
    },
)
