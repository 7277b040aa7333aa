"""The permissions that a restricted key needs, and how to test each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that a restricted key may lack, and a request that tests it without changing anything."""

    name: str
    method: Literal["get", "post"]
    path: str
    needed_for: str | None = None
    """What an optional permission is for; None for a required one."""


EVENTS_READ: Final = Permission("read Events", "get", "/v1/events", "to fetch events that did not arrive")
ENDPOINTS_WRITE: Final = Permission(
    "write Webhook Endpoints", "post", "/v1/webhook_endpoints/we_none", "to check and repair the endpoint"
)
PERMISSIONS: Final = (
    Permission("write Payment Links", "post", "/v1/payment_links/plink_none"),
    Permission(
        "read Checkout Sessions", "get", "/v1/checkout/sessions", "to find payments whose events did not arrive"
    ),
    Permission(
        "write Checkout Sessions",
        "post",
        "/v1/checkout/sessions/cs_none/expire",
        "to close the pages that customers have open for a link that is void or paid",
    ),
    EVENTS_READ,
    ENDPOINTS_WRITE,
)


def named(denied: Iterable[Permission]) -> str:
    """List permissions, required ones first."""
    ordered = sorted(denied, key=lambda each: each.needed_for is not None)
    return ", ".join(each.name if each.needed_for is None else f"{each.name} ({each.needed_for})" for each in ordered)
