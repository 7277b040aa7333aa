"""Webhook endpoints, as the API makes, changes and lists them."""

import ipaddress
import time
from typing import Final
from urllib.parse import urlsplit

from simulator.call import LISTING, Call, page
from simulator.errors import ExecutionError, Payload, no_such
from simulator.ids import new_id
from simulator.parameters import (
    Reader,
    fields,
    flag,
    list_of,
    matching,
    merged_metadata,
    metadata,
    seconds,
    text,
)
from simulator.webhook import API_VERSION, WebhookEndpoint

MAX_PER_ACCOUNT: Final = 16
MAX_OVERLAP_S: Final = 86_400.0
EVENT_TYPE: Final = matching(r"\*|[a-z0-9_]+(\.[a-z0-9_]+)+", 'an event type such as payment_intent.succeeded, or "*"')

CHANGES: Final[dict[str, Reader]] = {
    "description": text(),
    "enabled_events": list_of(EVENT_TYPE, most=500),
    "metadata": metadata,
    "url": text(),
}
CREATE: Final = fields(
    CHANGES | {"api_version": matching(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", f"a version such as {API_VERSION}")},
    required=("enabled_events", "url"),
)
UPDATE: Final = fields(CHANGES | {"disabled": flag})
LIST: Final = fields(LISTING)
ROLL: Final = fields({"expires_in_s": seconds(MAX_OVERLAP_S)})


def create_webhook_endpoint(call: Call) -> Payload:
    """Make an endpoint; only this answer contains its secret."""
    params = CREATE(call.params, "")
    check_url(params["url"])
    if len(call.account.webhook_endpoints) >= MAX_PER_ACCOUNT:
        raise ExecutionError(f"You have reached the maximum of {MAX_PER_ACCOUNT} test webhook endpoints.")
    payload: Payload = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": int(time.time()),
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged_metadata({}, params.get("metadata"), "metadata"),
        "status": "enabled",
        "url": params["url"],
    }
    endpoint = WebhookEndpoint(payload, secret=new_id("whsec", 32))
    call.account.webhook_endpoints[payload["id"]] = endpoint
    return payload | {"secret": endpoint.secret}


def update_webhook_endpoint(call: Call) -> Payload:
    """Change an endpoint, or disable it."""
    changes = UPDATE(call.params, "")
    payload = _find(call).payload
    if "url" in changes:
        check_url(changes["url"])
    if "disabled" in changes:
        changes["status"] = "disabled" if changes.pop("disabled") else "enabled"
    if "metadata" in changes:
        changes["metadata"] = merged_metadata(payload["metadata"], changes["metadata"], "metadata")
    payload.update(changes)
    return payload


def roll_webhook_endpoint_secret(call: Call) -> Payload:
    """Sign with a new secret, and with the old one too for `expires_in_s`.

    Stripe has this in its dashboard only.
    """
    params = ROLL(call.params, "")
    endpoint = _find(call)
    endpoint.roll_secret(params.get("expires_in_s", 0.0))
    return endpoint.payload | {"secret": endpoint.secret}


def retrieve_webhook_endpoint(call: Call) -> Payload:
    """Give one endpoint, without its secret."""
    call.takes_nothing()
    return _find(call).payload


def list_webhook_endpoints(call: Call) -> Payload:
    """List the account's endpoints, the newest first."""
    params = LIST(call.params, "")
    rows = [endpoint.payload for endpoint in reversed(call.account.webhook_endpoints.values())]
    return page(rows, params, call.path, "webhook_endpoint")


def delete_webhook_endpoint(call: Call) -> Payload:
    """Delete an endpoint."""
    call.takes_nothing()
    endpoint_id = _find(call).payload["id"]
    del call.account.webhook_endpoints[endpoint_id]
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def check_url(url: str) -> None:
    """Refuse a URL that is not of this machine: the simulator posts to nobody else."""
    host = _host(url)
    if host is None:
        raise _invalid_url(f"Invalid URL: {url[:200]}. It must be an http or https URL without a user name.")
    if host != "localhost" and not _is_loopback(host):
        machine = "127.0.0.0/8, localhost or [::1]"
        raise _invalid_url(f"Invalid URL: the simulator posts to this machine only ({machine}), not to {host}.")


def _host(url: str) -> str | None:
    """Take the host out of a well-formed URL."""
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and parts.port != 0 and parts.username is None
    except ValueError:
        return None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return parts.hostname if well_formed and is_plain else None


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback and (address.version == 4 or address == ipaddress.ip_address("::1"))


def _invalid_url(message: str) -> ExecutionError:
    return ExecutionError(message, code="url_invalid", param="url")


def _find(call: Call) -> WebhookEndpoint:
    if call.object_id not in call.account.webhook_endpoints:
        raise no_such("webhook_endpoint", call.object_id)
    return call.account.webhook_endpoints[call.object_id]
