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


@strawberry.enum(description="The direction in which a list is ordered.")
class OrderDirection(Enum):
    """The order of a list."""

    ASC = strawberry.enum_value("ASC", description="Ascending: oldest first, smallest first, or from A to Z.")
    DESC = strawberry.enum_value("DESC", description="Descending: newest first, largest first, or from Z to A.")


@strawberry.enum(description="Whether a count or a sum is exact.")
class CountPrecision(Enum):
    """How exact a count is."""

    EXACT = strawberry.enum_value("EXACT", description="The count or sum is exact.")
    AT_LEAST = strawberry.enum_value("AT_LEAST", description="The count or sum is a lower bound.")


def _describe(enum: EnumMeta, description: str, members: Mapping[str, str]) -> None:
    """Make an enum of models an enum of the schema, and describe its members."""
    strawberry.enum(enum, description=description)
    if has_enum_definition(enum):
        for value in enum.__strawberry_definition__.values:
            value.description = members[value.name]


_describe(
    Mode,
    "Whether payments move real money. A workspace's mode never changes.",
    {"LIVE": "Stripe's live mode: payments move real money.", "TEST": "Stripe's test mode: payments move no money."},
)
_describe(
    InvoiceOrderField,
    "What invoices can be ordered by. Invoices without a value for the chosen field come last, in both directions.",
    {
        "CREATED_AT": "When the invoice was created.",
        "DUE_DATE": "The last day to pay the invoice.",
        "TOTAL": "The invoice's total. Invoices are ordered by currency first, and within a currency by total.",
        "PAID_AT": "The invoice's `paidAt`.",
        "CUSTOMER": "The customer's name, ordered as in `CustomerOrderField.NAME`.",
    },
)
_describe(
    PaymentOrderField,
    "What payments can be ordered by.",
    {
        "CREATED_AT": "When Fluxrate first recorded the payment.",
        "OCCURRED_AT": "When the payment happened, by Stripe's clock.",
        "AMOUNT": "The payment's amount. Payments are ordered by currency first, and within a currency by amount.",
    },
)
_describe(
    CustomerOrderField,
    "What customers can be ordered by.",
    {
        "CREATED_AT": "When the customer was created.",
        "NAME": (
            "The customer's name. Only the first 64 characters are compared, by code point. The case"
            " of the letters A to Z is ignored."
        ),
    },
)
_describe(
    Scope,
    "What an API key may do.",
    {
        "READ": "Use queries and subscriptions.",
        "WRITE": "Change customers and invoices, apply payments, and sync and replay Stripe's events. Includes READ.",
        "ADMIN": "Manage integrations and API keys. Includes WRITE.",
    },
)
_describe(
    IntegrationStatus,
    "What an integration can do right now. If several statuses apply, the API returns the most serious one.",
    {
        "AWAITING_WEBHOOK_SECRET": (
            "The integration makes Payment Links, but has no webhook secret yet, so Stripe's"
            " deliveries can't be verified."
        ),
        "READY": "The integration works.",
        "INACTIVE": "The integration is switched off. Stripe's deliveries are stored but not applied.",
        "KEY_REJECTED": "Stripe refused the integration's secret key.",
        "DISCONNECTED": "The integration was removed. Only its history is left.",
    },
)
_describe(
    InvoiceStatus,
    "The status of an invoice.",
    {
        "DRAFT": "The invoice is being written. It can be changed and deleted.",
        "OPEN": "The invoice is finalized and waits for payment.",
        "PAID": "The invoice is paid. This status is final.",
        "VOID": "The invoice is void. This status is final.",
        "UNCOLLECTIBLE": "The invoice is written off. A late payment can still make it PAID.",
    },
)
_describe(
    PaymentStatus,
    "The status of a payment. The status SUCCEEDED is final.",
    {
        "PENDING": "The payment, for instance a bank debit, is on its way.",
        "SUCCEEDED": "The payment's money came in.",
        "FAILED": "The attempt to pay failed.",
    },
)
_describe(
    Allocation,
    "Whether a payment counts toward an invoice.",
    {
        "APPLIED": "The payment counts toward its invoice.",
        "UNAPPLIED": "The payment counts toward no invoice. `Payment.unappliedReason` says why.",
    },
)
_describe(
    PaymentLinkStatus,
    "The status of a Payment Link.",
    {
        "PENDING": "Stripe has not made the link yet.",
        "ACTIVE": "Customers can pay on the link's page.",
        "COMPLETED": "The link was paid.",
        "DEACTIVATED": (
            "The link was closed without being paid. `openSessions` says whether customers can still"
            " pay on pages that they opened earlier."
        ),
        "FAILED": "Stripe did not make the link. `problem` says why.",
    },
)
_describe(
    OpenSessions,
    "Whether a customer who has opened a Payment Link's page can still pay on this page.",
    {
        "POSSIBLE": (
            "A customer can still pay. Either the link is open, or the pages that customers opened"
            " could not be closed. In the second case, the pages expire within a day."
        ),
        "CLOSING": (
            "A customer can still pay for a short time. The link is closed, and the pages that"
            " customers opened are being closed at Stripe."
        ),
        "SETTLED": "Nobody can pay on any of the link's pages any more.",
    },
)
_describe(
    RevenueInterval,
    "How much time a point of revenue covers, by the calendar of a time zone.",
    {
        "HOUR": "One hour. The first hour of each day begins at midnight in the time zone.",
        "DAY": "One day, from midnight to midnight. A day on which clocks change has 23 or 25 hours.",
        "WEEK": "One week, from Monday to Sunday.",
        "MONTH": "One calendar month.",
    },
)
_describe(
    WebhookEventStatus,
    "What Fluxrate did with a webhook event.",
    {
        "PROCESSED": "The event is applied, or another event had already made the same change.",
        "IGNORED": "The event requires no change.",
        "UNAPPLIED": ("The event reports money that fits no invoice, or the event can't be read and may report money."),
        "HELD": (
            "The event was verified while the integration was switched off. The event is applied once"
            " the integration is switched on again."
        ),
        "QUARANTINED": (
            "The event can't be verified: either no webhook secret is saved yet, or none of the"
            " saved secrets matches the signature."
        ),
        "FAILED": "Fluxrate failed while it applied the event. Fluxrate tries again automatically.",
    },
)
_describe(
    AttemptSource,
    "What caused a delivery of a webhook event, or an attempt to process the event.",
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
        "INVOICE_UPDATED": "A draft was changed, or the metadata of an invoice in any status was changed.",
        "INVOICE_DELETED": "A draft was deleted.",
        "INVOICE_FINALIZED": "A draft became OPEN and got its number.",
        "INVOICE_PARTIALLY_PAID": "A payment covered only a part of what remained to pay on an invoice.",
        "INVOICE_PAID": "An invoice became PAID.",
        "INVOICE_VOIDED": "An invoice became VOID.",
        "INVOICE_MARKED_UNCOLLECTIBLE": "An invoice became UNCOLLECTIBLE.",
        "PAYMENT_PENDING": "A payment, such as a bank debit, is on its way.",
        "PAYMENT_SUCCEEDED": "Money came in for an invoice.",
        "PAYMENT_FAILED": "An attempt to pay failed.",
        "PAYMENT_UNAPPLIED": "Money came in that fits no invoice.",
        "PAYMENT_APPLIED": "An unapplied payment was applied to an invoice.",
        "PAYMENT_REFUNDED": "A payment was refunded, in full or in part.",
        "PAYMENT_REFUND_FAILED": "A refund did not reach the customer.",
        "PAYMENT_DISPUTED": "A customer disputes a payment.",
        "PAYMENT_DISPUTE_CLOSED": "A dispute was decided.",
        "PAYMENT_LINK_CREATED": "Stripe made a Payment Link.",
        "PAYMENT_LINK_FAILED": "Stripe did not make a Payment Link.",
        "PAYMENT_LINK_DEACTIVATED": "A Payment Link was closed without being paid.",
        "INTEGRATION_CONNECTED": "A Stripe account was connected.",
        "INTEGRATION_UPDATED": "An integration was changed.",
        "INTEGRATION_DISCONNECTED": "An integration was removed.",
        "WEBHOOK_EVENT_RECEIVED": "A new webhook event arrived.",
        "WEBHOOK_EVENT_UPDATED": "The status of a webhook event changed.",
        "CUSTOMER_CREATED": "A customer was created.",
        "CUSTOMER_UPDATED": "A customer was changed.",
        "API_KEY_CREATED": "An API key was created.",
        "API_KEY_REVOKED": "An API key was revoked.",
    },
)
