"""Events: what happened in an account, kept for its Events API."""

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final

from simulator.account import Account
from simulator.call import LISTING, Call, page
from simulator.errors import Payload, StripeError, no_such
from simulator.ids import new_id
from simulator.parameters import fields, flag, integer, list_of, text
from simulator.webhook import API_VERSION

BOUNDS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}
CREATED_BOUNDS: Final = fields({bound: integer() for bound in BOUNDS})


def _created(value: Any, param: str) -> dict[str, int]:
    if isinstance(value, dict):
        return dict(CREATED_BOUNDS(value, param))
    instant = integer()(value, param)
    return {"gte": instant, "lte": instant}


LIST: Final = fields(
    {
        **LISTING,
        "created": _created,
        "delivery_success": flag,
        "type": text(),
        "types": list_of(text(), most=20),
    }
)


def record(account: Account, event_type: str, snapshot: Payload, created: int | None = None) -> Payload:
    """Store an event with a copy of its object, by default as of now."""
    event: Payload = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()) if created is None else created,
        "data": {"object": snapshot},
        "livemode": False,
        "pending_webhooks": len(account.subscribers(event_type)),
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }
    account.events[event["id"]] = event
    return event


def list_events(call: Call) -> Payload:
    """List the account's events, the newest first."""
    params = LIST(call.params, "")
    if "type" in params and "types" in params:
        raise StripeError("You may specify either type or types, but not both.", param="types")
    patterns = params.get("types", [params.get("type", "*")])
    bounds = params.get("created", {})

    def wanted(event: Payload) -> bool:
        return (
            any(fnmatchcase(event["type"], pattern) for pattern in patterns)
            and all(BOUNDS[bound](event["created"], instant) for bound, instant in bounds.items())
            and params.get("delivery_success") in (None, event["pending_webhooks"] == 0)
        )

    oldest_first = sorted(call.account.events.values(), key=lambda event: int(event["created"]))
    return page(reversed(oldest_first), params, call.path, "event", wanted)


def retrieve_event(call: Call) -> Payload:
    """Give one event."""
    call.takes_nothing()
    if call.object_id not in call.account.events:
        raise no_such("event", call.object_id)
    return call.account.events[call.object_id]
