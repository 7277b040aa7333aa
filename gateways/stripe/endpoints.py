"""Finds an integration's webhook endpoints among its account's, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateways.stripe.events import EVENTS_TO_SEND, HANDLED, NEEDED_EVENTS
from models.reason import Reason

OLDEST_API_VERSION: Final = "2020-08-27"
"""The oldest API version whose payloads are read."""

_EQUIVALENTS: Final = {
    "charge.refunded": ("refund.created", "refund.updated"),
    "refund.created": ("charge.refunded",),
    "invoice.paid": ("invoice.payment_succeeded",),
}
"""Pairs of events of which an endpoint needs only one."""

EVERYTHING: Final = "*"
WEBHOOK_PATH: Final = "/webhooks/stripe/"

Finding = tuple[str, str | None]
"""A diagnosis' code and its detail."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint at Stripe. `api_version` None is the account's default; `created`: Unix seconds."""

    provider_id: str
    url: str
    is_enabled: bool
    events: tuple[str, ...]
    api_version: str | None
    created: int

    @property
    def missing_events(self) -> list[str]:
        """The events that it lacks, in our order: it is sent neither them nor an equivalent."""
        if EVERYTHING in self.events:
            return []
        sent = {*self.events, *(other for name in self.events for other in _EQUIVALENTS.get(name, ()))}
        return [name for name in EVENTS_TO_SEND if name not in sent]

    def is_sent(self, name: str) -> bool:
        """Whether events of a type are sent to it."""
        return EVERYTHING in self.events or name in self.events

    @property
    def is_outdated(self) -> bool:
        """Whether its events have a format that is too old to read."""
        return self.api_version is not None and self.api_version[:10] < OLDEST_API_VERSION


@dataclass(frozen=True, slots=True)
class Endpoints:
    """An integration's endpoints: those that post to its URL, and those that should but post elsewhere."""

    here: Sequence[Endpoint]
    astray: Sequence[Endpoint]

    @property
    def sending(self) -> list[Endpoint]:
        """Those that post to the URL and are enabled."""
        return [endpoint for endpoint in self.here if endpoint.is_enabled]


def endpoint_url(public_url: str, token: str) -> str:
    """Make the webhook URL of an integration."""
    return f"{public_url}{WEBHOOK_PATH}{token}"


def endpoints_of(found: Iterable[Endpoint], url: str, registered_id: str | None) -> Endpoints:
    """Find an integration's endpoints among all of its account.

    An endpoint is `astray` if we registered it and its URL was changed, or if its URL has our token but another scheme,
    host, slash or query.
    """
    token = url.rpartition("/")[2]
    found = list(found)
    here = [endpoint for endpoint in found if endpoint.url == url]
    astray = [
        endpoint
        for endpoint in found
        if endpoint.url != url and (endpoint.provider_id == registered_id or (token and token in endpoint.url))
    ]
    return Endpoints(here, astray)


def findings(endpoints: Endpoints, token: str) -> Iterator[Finding]:
    """Find what is wrong with an integration's endpoints, most serious first."""
    if not endpoints.here and not endpoints.astray:
        yield Reason.ENDPOINT_MISSING, None
        return
    for endpoint in endpoints.astray[:1]:
        yield Reason.ENDPOINT_OTHER_URL, elsewhere(endpoint, token)
    if endpoints.here and not endpoints.sending:
        yield Reason.ENDPOINT_DISABLED, None
    if len(endpoints.sending) > 1:
        yield Reason.ENDPOINT_DUPLICATED, str(len(endpoints.sending))
    sending = endpoints.sending or endpoints.here
    missing = [name for name in EVENTS_TO_SEND if sending and all(name in each.missing_events for each in sending)]
    needed = [name for name in missing if name in NEEDED_EVENTS]
    if missing:
        named = ", ".join(f"{name} ({HANDLED[name].when_sent})" for name in missing)
        yield Reason.ENDPOINT_EVENTS_MISSING if needed else Reason.ENDPOINT_EVENTS_RECOMMENDED, named
    for endpoint in sending:
        if endpoint.is_outdated:
            yield Reason.ENDPOINT_API_VERSION_OLD, endpoint.api_version
            return


def elsewhere(endpoint: Endpoint, token: str) -> str:
    """Return the URL that an endpoint posts to, without the token, which would let anybody post."""
    before, carries, after = endpoint.url.partition(token)
    parts = urlsplit(before)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path if carries else '/'}…{after}"
