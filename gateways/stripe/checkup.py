"""Checks integrations against Stripe and stores the findings."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson

from database.access import transaction
from database.scope import scoped
from database.transaction import Transaction
from errors import StripeRefusedError, StripeUnavailableError
from gateways.base import EVENTS_LISTED_FOR
from gateways.stripe.client import StripeGateway
from gateways.stripe.endpoints import Endpoints, Finding, endpoint_url, endpoints_of, findings
from gateways.stripe.events import EVENTS_TO_SEND, NEEDED_EVENTS
from gateways.stripe.permissions import ENDPOINTS_WRITE, EVENTS_READ, PERMISSIONS, Permission, named
from gateways.stripe.rejections import receives_other_mode, why_unverified
from models.diagnosis import Diagnosis, diagnose
from models.event import SYSTEM, Happening, append
from models.instant import from_epoch, utc_now
from models.integration import Integration, IntegrationTraffic, opened
from models.kinds import EventType
from models.reason import Reason
from models.secret import Keyring

CLOCK_TOLERANCE_S: Final = 60
"""How far our clock may differ from Stripe's before a check reports it; from 300 s on signatures are refused."""

MISSED_AFTER: Final = timedelta(minutes=5)
"""How old an event must be before a check reports it as not arrived."""

_EXPLAINS_SILENCE: Final = frozenset({Reason.ENDPOINT_MISSING, Reason.ENDPOINT_DISABLED})
"""Problems that explain why no event arrives."""

_FOUND_WITHOUT_STRIPE: Final = frozenset(
    {Reason.STRIPE_NOT_ASKED, Reason.CLOCK_SKEW, Reason.SIGNATURES_FAILING, Reason.ENDPOINT_OTHER_MODE}
)
"""Problems that a check finds without Stripe; the others keep their last result while Stripe is unavailable."""


@dataclass(slots=True)
class _Found:
    """The result of a check. `has_answered`: Stripe did; `key_problem`: why it refused the key, in Stripe's words."""

    findings: list[Finding] = field(default_factory=list)
    has_answered: bool = True
    key_problem: str | None = None


class Checkup:
    """Checks integrations at Stripe. Webhook URLs begin with `public_url`.

    An event that is older than `missed_after` should have arrived. `on_key_accepted` is called with an integration's
    id, in the transaction, when a refused key works again.
    """

    def __init__(
        self,
        keyring: Keyring,
        gateway: StripeGateway,
        public_url: str,
        on_commit: Callable[[Mapping[str, int]], None],
        *,
        on_key_accepted: Callable[[Transaction, str], Awaitable[None]],
        missed_after: timedelta = MISSED_AFTER,
    ) -> None:
        self._keyring = keyring
        self._gateway = gateway
        self._public_url = public_url
        self._on_commit = on_commit
        self._on_key_accepted = on_key_accepted
        self._missed_after = missed_after

    async def check(self, integration: Integration) -> list[Diagnosis]:
        """Check an integration, store the findings, and log them if they changed.

        Raises:
            UnavailableError: The database is unavailable right now.
            SealError: The secret key can't be decrypted.
        """
        traffic = await scoped(IntegrationTraffic, integration.workspace_id).get(integration_id=integration.id)
        found = await self._ask(integration, traffic)
        found.findings += await why_unverified(self._keyring, integration, traffic, found.findings)
        if await receives_other_mode(integration):
            found.findings.append((Reason.ENDPOINT_OTHER_MODE, None))
        return [diagnose(*each) for each in await self._store(integration, found)]

    def url_of(self, integration: Integration) -> str:
        """Return the URL that Stripe must post to."""
        return endpoint_url(self._public_url, integration.webhook_token or "")

    def key_of(self, integration: Integration) -> str:
        """Decrypt the secret key of a connected integration.

        Raises:
            SealError: It can't be decrypted.
        """
        return opened(self._keyring, integration, "secret_key_sealed") or ""

    async def endpoints(self, integration: Integration) -> Endpoints:
        """Fetch the integration's endpoints from Stripe.

        Raises:
            StripeRefusedError: Stripe does not let the key read them.
            StripeUnavailableError: Stripe can't be reached, failed, or asks us to wait.
        """
        found = await self._gateway.webhook_endpoints(self.key_of(integration))
        return endpoints_of(found, self.url_of(integration), integration.webhook_endpoint_id)

    # --- Asking Stripe -----------------------------------------------------------------------------------------

    async def _ask(self, integration: Integration, traffic: IntegrationTraffic) -> _Found:
        found = _Found()
        key = self.key_of(integration)
        try:
            denied = await self._probe(key, found)
            if ENDPOINTS_WRITE in denied:
                endpoints = None
            else:
                endpoints = await self.endpoints(integration)
                found.findings += findings(endpoints, integration.webhook_token or "")
            if EVENTS_READ not in denied and await self._is_silent(integration, traffic, endpoints, found.findings):
                found.findings.append((Reason.EVENTS_NOT_ARRIVING, None))
        except StripeUnavailableError as error:
            found.findings, found.has_answered = [(Reason.STRIPE_NOT_ASKED, error.message)], False
        except StripeRefusedError as refusal:
            if refusal.code != Reason.KEY_REJECTED:
                found.findings.append((Reason.KEY_NOT_PERMITTED, refusal.message))
            else:
                found.findings, found.key_problem = [], refusal.message.partition(": ")[2]
        return found

    async def _probe(self, key: str, found: _Found) -> Collection[Permission]:
        """Test what a restricted key may not do; of a secret key only whether it works. Also read Stripe's clock."""
        asked = PERMISSIONS if key.startswith("rk_") else (EVENTS_READ,)
        probes = await asyncio.gather(*(self._gateway.probe(key, each.method, each.path) for each in asked))
        denied = [each for each, probe in zip(asked, probes, strict=True) if not probe.permitted]
        if denied:
            needed = any(each.needed_for is None for each in denied)
            found.findings.append(
                (Reason.KEY_NOT_PERMITTED if needed else Reason.KEY_LACKS_OPTIONAL_PERMISSION, named(denied))
            )
        ahead_s = probes[0].clock_ahead_s or 0.0
        if abs(ahead_s) > CLOCK_TOLERANCE_S:
            minutes = max(round(abs(ahead_s) / 60), 1)
            found.findings.append((Reason.CLOCK_SKEW, f"{minutes} min {'behind' if ahead_s > 0 else 'ahead of'}"))
        return denied

    async def _is_silent(
        self,
        integration: Integration,
        traffic: IntegrationTraffic,
        endpoints: Endpoints | None,
        already: Iterable[Finding],
    ) -> bool:
        """Whether Stripe has events that are minutes old, and no delivery has arrived since."""
        saved_at = integration.webhook_secret_saved_at
        if saved_at is None or _EXPLAINS_SILENCE & {code for code, _ in already}:
            return False
        sent = _sent_to(endpoints)
        if not sent:
            return False
        now = utc_now()
        arrivals = [each for each in (traffic.last_event_at, traffic.last_rejected_at) if each]
        since = max(
            [each + self._missed_after for each in arrivals]
            + [_listening_since(endpoints, saved_at), now - EVENTS_LISTED_FOR]
        )
        if since >= now - self._missed_after:
            return False
        page = await self._gateway.list_events(
            self.key_of(integration),
            created_gte=int(since.timestamp()),
            created_lt=int((now - self._missed_after).timestamp()),
            types=sent,
            limit=1,
        )
        return bool(page.rows)

    # --- Storing -----------------------------------------------------------------------------------------------

    async def _store(self, integration: Integration, found: _Found) -> list[Finding]:
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            rows = scoped(Integration, integration.workspace_id).filter(id=integration.id)
            row = await rows.select_for_update().get()
            before = kept_findings(row)
            if row.disconnected_at is not None or row.secret_key_sealed != integration.secret_key_sealed:
                return before  # the key was replaced or removed meanwhile: the findings are not about the new one
            after = found.findings
            if not found.has_answered:
                after = [*after, *(each for each in before if each[0] not in _FOUND_WITHOUT_STRIPE)]
            key_problem = found.key_problem if found.has_answered else row.key_problem
            changed = after != before or (key_problem is None) != (row.key_problem is None)
            if row.key_problem is not None and key_problem is None:
                await self._on_key_accepted(tx, row.id)
            row.key_problem, row.checked_at = key_problem, utc_now()
            row.findings = orjson.dumps(after).decode()
            await row.save(update_fields=["key_problem", "checked_at", "findings"])
            if changed:
                newest = await append(tx, [_updated(row)])
        self._on_commit(newest)
        return after


def kept_findings(integration: Integration) -> list[Finding]:
    """Return the findings of the latest check."""
    return [(code, detail) for code, detail in orjson.loads(integration.findings or "[]")]


def _sent_to(endpoints: Endpoints | None) -> list[str]:
    """Return the types of events that the endpoints send, if they are known."""
    if endpoints is None:
        return list(NEEDED_EVENTS)
    posting = endpoints.sending or endpoints.astray
    return [name for name in EVENTS_TO_SEND if any(each.is_sent(name) for each in posting)]


def _listening_since(endpoints: Endpoints | None, saved_at: datetime) -> datetime:
    created = [from_epoch(each.created) for each in (endpoints.sending if endpoints else [])]
    return max(saved_at, min(created, default=saved_at))


def _updated(integration: Integration) -> Happening:
    return Happening(
        type=EventType.INTEGRATION_UPDATED,
        workspace_id=integration.workspace_id,
        actor=SYSTEM,
        occurred_at=utc_now(),
        integration_id=integration.id,
    )
