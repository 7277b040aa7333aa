"""The parameters of a Payment Link, and Stripe's defaults for the rest."""

from typing import Final

from simulator.call import LISTING
from simulator.errors import Payload
from simulator.line_item import LINE_ITEMS
from simulator.money import currency
from simulator.parameters import (
    anything,
    fields,
    flag,
    integer,
    list_of,
    matching,
    metadata,
    one_of,
    text,
    unsupported,
)

WEB_URL: Final = matching(r"https?://[^\s]{1,2000}", "an http or https URL")
RESTRICTIONS: Final = fields(
    {"completed_sessions": fields({"limit": integer(least=1)}, required=("limit",))},
    required=("completed_sessions",),
)
PAYMENT_INTENT_DATA: Final = fields(
    {
        "capture_method": one_of("automatic", "automatic_async"),
        "description": text(),
        "metadata": metadata,
        "setup_future_usage": one_of("off_session", "on_session"),
        "statement_descriptor": text(22),
        "statement_descriptor_suffix": text(22),
        "transfer_group": text(),
    }
)
AFTER_COMPLETION: Final = fields(
    {
        "hosted_confirmation": fields({"custom_message": text(500)}),
        "redirect": fields({"url": WEB_URL}, required=("url",)),
        "type": one_of("hosted_confirmation", "redirect"),
    },
    required=("type",),
)
UNSUPPORTED: Final = (
    "application_fee_amount",
    "application_fee_percent",
    "managed_payments",
    "on_behalf_of",
    "optional_items",
    "shipping_options",
    "subscription_data",
    "transfer_data",
)
CREATE: Final = fields(
    {
        **dict.fromkeys(UNSUPPORTED, unsupported),
        "after_completion": AFTER_COMPLETION,
        "allow_promotion_codes": flag,
        "automatic_tax": fields({"enabled": flag, "liability": anything}, required=("enabled",)),
        "billing_address_collection": one_of("auto", "required"),
        "consent_collection": anything,
        "currency": currency,
        "custom_fields": anything,
        "custom_text": anything,
        "customer_creation": one_of("always", "if_required"),
        "inactive_message": text(500),
        "invoice_creation": fields({"enabled": flag, "invoice_data": anything}, required=("enabled",)),
        "line_items": LINE_ITEMS,
        "metadata": metadata,
        "name_collection": anything,
        "payment_intent_data": PAYMENT_INTENT_DATA,
        "payment_method_collection": one_of("always", "if_required"),
        "payment_method_options": anything,
        "payment_method_types": list_of(text()),
        "phone_number_collection": fields({"enabled": flag}, required=("enabled",)),
        "restrictions": RESTRICTIONS,
        "shipping_address_collection": anything,
        "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
        "tax_id_collection": fields({"enabled": flag, "required": text()}, required=("enabled",)),
    },
    required=("line_items",),
)
UPDATE: Final = fields(
    {
        "active": flag,
        "inactive_message": text(500),
        "metadata": metadata,
        "restrictions": RESTRICTIONS,
    }
)
LIST: Final = fields({**LISTING, "active": flag})
LIST_LINE_ITEMS: Final = fields(LISTING)

DEFAULTS: Final[Payload] = {
    "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
    "allow_promotion_codes": False,
    "application": None,
    "application_fee_amount": None,
    "application_fee_percent": None,
    "automatic_tax": {"enabled": False, "liability": None},
    "billing_address_collection": "auto",
    "consent_collection": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "customer_creation": "if_required",
    "inactive_message": None,
    "invoice_creation": {"enabled": False, "invoice_data": None},
    "managed_payments": None,
    "name_collection": None,
    "on_behalf_of": None,
    "optional_items": None,
    "payment_intent_data": None,
    "payment_method_collection": "if_required",
    "payment_method_options": None,
    "payment_method_types": None,
    "phone_number_collection": {"enabled": False},
    "restrictions": None,
    "shipping_address_collection": None,
    "shipping_options": [],
    "submit_type": "auto",
    "subscription_data": None,
    "tax_id_collection": {"enabled": False, "required": "never"},
    "transfer_data": None,
}
"""Stripe's values for parameters that were not sent."""
