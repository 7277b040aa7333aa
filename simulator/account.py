"""A Stripe account, its keys, and the objects that it owns."""

import base64
import binascii
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from simulator.errors import Payload, StripeError, unauthorized
from simulator.idempotency import IdempotencyKeys
from simulator.ids import account_id
from simulator.webhook import WebhookEndpoint

ACCOUNT_READ: Final = "account_read"
PAYMENT_LINKS_WRITE: Final = "payment_links_write"
CHECKOUT_SESSIONS_WRITE: Final = "checkout_session_write"

_DENIED: Final = {
    "noaccount": ACCOUNT_READ,
    "nolinks": PAYMENT_LINKS_WRITE,
    "nosessions": CHECKOUT_SESSIONS_WRITE,
}
"""What a restricted key may not do, by the word that it contains."""

TEST_KEY: Final = re.compile(r"[sr]k_test_([A-Za-z0-9_]+)")
WITHOUT_KEY: Final = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, "
    "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)


@dataclass(frozen=True)
class ApiKey:
    """A key that was accepted: whose it is and what it may not do."""

    account_name: str
    preview: str
    denied: frozenset[str]

    def require(self, permission: str | None) -> None:
        """Refuse a call that this restricted key may not make."""
        if permission in self.denied:
            message = (
                f"The provided key '{self.preview}' does not have the required permissions for this "
                f"endpoint. Having the 'rak_{permission}' permission would allow this request to continue."
            )
            raise StripeError(message, status=403)


@dataclass
class Account:
    """What one account owns; each mapping is by id, the oldest first."""

    name: str
    payment_links: dict[str, Payload] = field(default_factory=dict)
    line_items: dict[str, list[Payload]] = field(default_factory=dict)
    checkout_sessions: dict[str, Payload] = field(default_factory=dict)
    payment_intents: dict[str, Payload] = field(default_factory=dict)
    charges: dict[str, Payload] = field(default_factory=dict)
    disputes: dict[str, Payload] = field(default_factory=dict)
    events: dict[str, Payload] = field(default_factory=dict)
    webhook_endpoints: dict[str, WebhookEndpoint] = field(default_factory=dict)
    idempotency_keys: IdempotencyKeys = field(default_factory=IdempotencyKeys)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def id(self) -> str:
        """The id, which follows from the name."""
        return account_id(self.name)

    def subscribers(self, event_type: str) -> list[WebhookEndpoint]:
        """The endpoints that want events of this type."""
        return [endpoint for endpoint in self.webhook_endpoints.values() if endpoint.wants(event_type)]


def authenticate(authorization: str | None) -> ApiKey:
    """Accept a test key, sent as Bearer or as the user of HTTP Basic.

    Raises:
        StripeError: There is none, or it is a live, publishable, expired or malformed one.
    """
    key = _key_of(authorization)
    preview = f"{'*' * 8}{key[-4:]}"
    if key.startswith(("sk_live_", "rk_live_")):
        raise unauthorized("The simulator takes test keys only (sk_test_… or rk_test_…): never give it a live key.")
    if key.startswith("pk_"):
        message = "This API call cannot be made with a publishable API key. Please use a secret API key."
        raise unauthorized(message, "secret_key_required")
    match = TEST_KEY.fullmatch(key)
    account_name = re.sub(r"_[^_]*$", "", match[1]) if match else ""
    if match is None or not account_name or match[1].startswith("invalid"):
        raise unauthorized(f"Invalid API Key provided: {preview}")
    if match[1].startswith("revoked"):
        raise unauthorized(f"Expired API Key provided: {preview}", "api_key_expired")
    denied = _DENIED if key.startswith("rk_") else {}
    return ApiKey(
        account_name=account_name,
        preview=preview,
        denied=frozenset(permission for word, permission in denied.items() if word in match[1]),
    )


def describe_account(account: Account) -> Payload:
    """Write the account as Stripe does."""
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {"mcc": None, "name": account.name, "support_email": None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": account.created,
        "default_currency": "usd",
        "details_submitted": True,
        "email": f"{account.name}@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": account.name, "timezone": "Etc/UTC"}},
        "type": "standard",
    }


def describe_balance(account: Account) -> Payload:
    """Write the account's balance: all that was paid, and neither refunded nor taken back by a dispute, is pending."""
    received: Counter[str] = Counter({"usd": 0})
    for charge in account.charges.values():
        received[charge["currency"]] += charge["amount_captured"] - charge["amount_refunded"]
    for dispute in account.disputes.values():
        received[dispute["currency"]] += sum(moved["net"] for moved in dispute["balance_transactions"])
    return {
        "object": "balance",
        "available": [_funds(currency, 0) for currency in received],
        "livemode": False,
        "pending": [_funds(currency, amount) for currency, amount in received.items()],
    }


def _funds(currency: str, amount: int) -> Payload:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}


def _key_of(authorization: str | None) -> str:
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode("ascii").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise unauthorized("Invalid Basic authentication: use the API key as the user name.") from error
    elif scheme.lower() != "bearer":
        raise unauthorized(WITHOUT_KEY)
    if not key:
        raise unauthorized(WITHOUT_KEY)
    return key
