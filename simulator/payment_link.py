"""Payment Links."""

import copy
from typing import Any

from simulator.account import Account
from simulator.call import Call, page
from simulator.errors import ExecutionError, Payload, no_such
from simulator.ids import new_id
from simulator.line_item import sell
from simulator.parameters import merged_metadata
from simulator.payment_link_shape import CREATE, DEFAULTS, LIST, LIST_LINE_ITEMS, UPDATE


def create_payment_link(call: Call) -> Payload:
    """Make a link."""
    params = CREATE(call.params, "")
    items = sell(params.pop("line_items"))
    if params.setdefault("currency", items[0]["currency"]) != items[0]["currency"]:
        raise ExecutionError("The currency must be that of the line items.", param="currency")
    link_id = new_id("plink")
    link: Payload = {
        "id": link_id,
        "object": "payment_link",
        "active": True,
        "livemode": False,
        "url": f"{call.base_url}/pay/{link_id}",
        **copy.deepcopy(DEFAULTS),
        **params,
        "metadata": merged_metadata({}, params.get("metadata"), "metadata"),
    }
    if "payment_intent_data" in params:
        link["payment_intent_data"] = _payment_intent_data(params["payment_intent_data"])
    if "restrictions" in params:
        link["restrictions"] = _restrictions(params["restrictions"], count=0)
    call.account.payment_links[link_id] = link
    call.account.line_items[link_id] = items
    return link


def update_payment_link(call: Call) -> Payload:
    """Change a link: deactivate it, or describe it otherwise."""
    params = UPDATE(call.params, "")
    link = find_payment_link(call.account, call.object_id)
    if "metadata" in params:
        params["metadata"] = merged_metadata(link["metadata"], params["metadata"], "metadata")
    if "restrictions" in params:
        params["restrictions"] = _restrictions(params["restrictions"], count=completed(link))
    if params.get("active") and is_used_up(link | params):
        message = "This payment link has reached its limit of completed sessions: raise the limit to activate it."
        raise ExecutionError(message, param="active")
    link.update(params)
    return link


def retrieve_payment_link(call: Call) -> Payload:
    """Give one link."""
    call.takes_nothing()
    return find_payment_link(call.account, call.object_id)


def list_payment_links(call: Call) -> Payload:
    """List the account's links, the newest first."""
    params = LIST(call.params, "")
    return page(
        reversed(call.account.payment_links.values()),
        params,
        call.path,
        "payment_link",
        lambda link: params.get("active") in (None, link["active"]),
    )


def list_line_items(call: Call) -> Payload:
    """List what a link sells, in its order."""
    params = LIST_LINE_ITEMS(call.params, "")
    find_payment_link(call.account, call.object_id)
    return page(call.account.line_items[call.object_id], params, call.path, "item")


def find_payment_link(account: Account, link_id: str, param: str = "id", *, status: int = 404) -> Payload:
    """Find a link of the account.

    Raises:
        ExecutionError: It has none with this id.
    """
    if link_id not in account.payment_links:
        raise no_such("payment_link", link_id, param, status=status)
    return account.payment_links[link_id]


def completed(link: Payload) -> int:
    """How many sessions count towards the link's limit."""
    return int(link["restrictions"]["completed_sessions"]["count"]) if link["restrictions"] else 0


def is_used_up(link: Payload) -> bool:
    """Whether the link has been paid as often as it may."""
    restrictions = link["restrictions"]
    return bool(restrictions) and completed(link) >= restrictions["completed_sessions"]["limit"]


def count_completed_session(link: Payload) -> None:
    """Count one more completed session; the last allowed one deactivates the link."""
    if link["restrictions"]:
        link["restrictions"]["completed_sessions"]["count"] += 1
        if is_used_up(link):
            link["active"] = False


def _restrictions(given: dict[str, Any], count: int) -> Payload:
    return {"completed_sessions": {"count": count, "limit": given["completed_sessions"]["limit"]}}


def _payment_intent_data(given: dict[str, Any]) -> Payload:
    return {
        "capture_method": given.get("capture_method"),
        "description": given.get("description"),
        "metadata": merged_metadata({}, given.get("metadata"), "payment_intent_data[metadata]"),
        "setup_future_usage": given.get("setup_future_usage"),
        "statement_descriptor": given.get("statement_descriptor"),
        "statement_descriptor_suffix": given.get("statement_descriptor_suffix"),
        "transfer_group": given.get("transfer_group"),
    }
