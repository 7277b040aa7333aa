"""Checkout Sessions: one customer's visit to a payment link each."""

import time
from collections.abc import Callable
from typing import Final

from simulator.account import Account
from simulator.call import LISTING, Call, page
from simulator.errors import ExecutionError, Payload, no_such
from simulator.event import record
from simulator.ids import random_text
from simulator.parameters import fields, one_of, text
from simulator.payment_link import find_payment_link

DAY_S: Final = 86_400
LIST: Final = fields(
    {
        **LISTING,
        "payment_intent": text(),
        "payment_link": text(),
        "status": one_of("complete", "expired", "open"),
    }
)
FILTERS: Final = ("payment_intent", "payment_link", "status")


def open_checkout_session(account: Account, link: Payload, created: int | None = None) -> Payload:
    """Open a session of a link, by default now; it copies the link's metadata."""
    created = int(time.time()) if created is None else created
    session: Payload = {
        "id": f"cs_test_a1{random_text(56)}",
        "object": "checkout.session",
        "after_expiration": None,
        "allow_promotion_codes": link["allow_promotion_codes"],
        "amount_subtotal": 0,
        "amount_total": 0,
        "automatic_tax": {**link["automatic_tax"], "status": None},
        "billing_address_collection": link["billing_address_collection"],
        "cancel_url": "https://stripe.com",
        "client_reference_id": None,
        "client_secret": None,
        "consent": None,
        "consent_collection": link["consent_collection"],
        "created": created,
        "currency": link["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": link["custom_text"],
        "customer": None,
        "customer_creation": link["customer_creation"],
        "customer_details": None,
        "customer_email": None,
        "expires_at": created + DAY_S,
        "invoice": None,
        "invoice_creation": link["invoice_creation"],
        "livemode": False,
        "locale": "auto",
        "metadata": dict(link["metadata"]),
        "mode": "payment",
        "payment_intent": None,
        "payment_link": link["id"],
        "payment_method_collection": link["payment_method_collection"],
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": link["payment_method_types"] or ["card", "us_bank_account"],
        "payment_status": "unpaid",
        "phone_number_collection": link["phone_number_collection"],
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": link["shipping_address_collection"],
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": link["submit_type"],
        "subscription": None,
        "success_url": "https://stripe.com",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": link["url"],
    }
    account.checkout_sessions[session["id"]] = session
    return session


def describe_customer(email: str) -> Payload:
    """Write a session's customer."""
    return {
        "address": {
            "city": None,
            "country": "US",
            "line1": None,
            "line2": None,
            "postal_code": None,
            "state": None,
        },
        "email": email,
        "name": "Simulated Customer",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def latest_session(account: Account, link: Payload, wanted: Callable[[Payload], bool]) -> Payload | None:
    """Find the newest session of a link that fulfils a condition."""
    for session in reversed(account.checkout_sessions.values()):
        if session["payment_link"] == link["id"] and wanted(session):
            return session
    return None


def retrieve_checkout_session(call: Call) -> Payload:
    """Give one session."""
    call.takes_nothing()
    if call.object_id not in call.account.checkout_sessions:
        raise no_such("checkout.session", call.object_id, "session")
    return call.account.checkout_sessions[call.object_id]


def expire_checkout_session(call: Call) -> Payload:
    """Expire an open session, so that nobody can pay it."""
    call.takes_nothing()
    session = retrieve_checkout_session(call)
    if not is_open(session):
        raise ExecutionError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
            f" `{session['status']}`."
        )
    session.update(status="expired", url=None)
    record(call.account, "checkout.session.expired", session)
    return session


def is_open(session: Payload) -> bool:
    """Whether its customer can still pay it."""
    return bool(session["status"] == "open")


def list_checkout_sessions(call: Call) -> Payload:
    """List the account's sessions, or those of a link, the newest first."""
    params = LIST(call.params, "")
    if "payment_link" in params:
        find_payment_link(call.account, params["payment_link"], "payment_link", status=400)
    filters = {name: params[name] for name in FILTERS if name in params}
    return page(
        reversed(call.account.checkout_sessions.values()),
        params,
        call.path,
        "checkout.session",
        lambda session: all(session[name] == value for name, value in filters.items()),
    )
