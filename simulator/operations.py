"""The operations of Stripe's API that the simulator has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.account import (
    ACCOUNT_READ,
    CHECKOUT_SESSIONS_WRITE,
    PAYMENT_LINKS_WRITE,
    describe_account,
    describe_balance,
)
from simulator.call import Call
from simulator.checkout_session import expire_checkout_session, list_checkout_sessions, retrieve_checkout_session
from simulator.errors import Payload, unrecognized_url
from simulator.event import list_events, retrieve_event
from simulator.payment_intent import retrieve_payment_intent
from simulator.payment_link import (
    create_payment_link,
    list_line_items,
    list_payment_links,
    retrieve_payment_link,
    update_payment_link,
)
from simulator.webhook_endpoint import (
    create_webhook_endpoint,
    delete_webhook_endpoint,
    list_webhook_endpoints,
    retrieve_webhook_endpoint,
    roll_webhook_endpoint_secret,
    update_webhook_endpoint,
)


def retrieve_account(call: Call) -> Payload:
    """Give the account whose key it is."""
    call.takes_nothing()
    return describe_account(call.account)


def retrieve_balance(call: Call) -> Payload:
    """Give the account's balance."""
    call.takes_nothing()
    return describe_balance(call.account)


@dataclass(frozen=True)
class Operation:
    """An operation of the API."""

    method: str
    path: str
    perform: Callable[[Call], Payload]
    permission: str | None = None
    json_allowed: bool = False

    def match(self, method: str, path: str) -> str | None:
        """Give the id in a path of this operation (empty when it has none), or None for another path."""
        if method != self.method:
            return None
        before, placeholder, after = self.path.partition("{id}")
        if not placeholder:
            return "" if path == self.path else None
        object_id = path.removeprefix(before).removesuffix(after)
        if not object_id or "/" in object_id or path != before + object_id + after:
            return None
        return object_id


OPERATIONS: Final = (
    Operation("GET", "/v1/account", retrieve_account, ACCOUNT_READ),
    Operation("GET", "/v1/balance", retrieve_balance),
    Operation("POST", "/v1/payment_links", create_payment_link, PAYMENT_LINKS_WRITE),
    Operation("GET", "/v1/payment_links", list_payment_links),
    Operation("GET", "/v1/payment_links/{id}", retrieve_payment_link),
    Operation("POST", "/v1/payment_links/{id}", update_payment_link, PAYMENT_LINKS_WRITE),
    Operation("GET", "/v1/payment_links/{id}/line_items", list_line_items),
    Operation("GET", "/v1/checkout/sessions", list_checkout_sessions),
    Operation("GET", "/v1/checkout/sessions/{id}", retrieve_checkout_session),
    Operation("POST", "/v1/checkout/sessions/{id}/expire", expire_checkout_session, CHECKOUT_SESSIONS_WRITE),
    Operation("GET", "/v1/payment_intents/{id}", retrieve_payment_intent),
    Operation("POST", "/v1/webhook_endpoints", create_webhook_endpoint),
    Operation("GET", "/v1/webhook_endpoints", list_webhook_endpoints),
    Operation("GET", "/v1/webhook_endpoints/{id}", retrieve_webhook_endpoint),
    Operation("POST", "/v1/webhook_endpoints/{id}", update_webhook_endpoint),
    Operation("DELETE", "/v1/webhook_endpoints/{id}", delete_webhook_endpoint),
    Operation("POST", "/v1/webhook_endpoints/{id}/roll_secret", roll_webhook_endpoint_secret, json_allowed=True),
    Operation("GET", "/v1/events", list_events),
    Operation("GET", "/v1/events/{id}", retrieve_event),
)


def find_operation(method: str, path: str) -> tuple[Operation, str]:
    """Find what is asked for, and the id in the path.

    Raises:
        StripeError: There is no such operation.
    """
    for operation in OPERATIONS:
        object_id = operation.match(method, path)
        if object_id is not None:
            return operation, object_id
    raise unrecognized_url(method, path)
