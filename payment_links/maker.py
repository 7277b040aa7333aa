"""Makes links at Stripe and deactivates them there.

Deactivating a link also closes the pages that customers have open: Stripe would let them pay for another day.

A job claims the row in one transaction, calls Stripe outside of any, and writes the outcome in another. A claim
expires, so another job takes over if a process dies.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from database.access import transaction
from database.scope import scoped
from database.transaction import Transaction
from errors import LinkNotMadeError
from gateways.base import LinkGateway, LinkRequest, MadeLink
from models.event import SYSTEM, Happening, append
from models.instant import utc_now
from models.integration import Integration, opened
from models.invoice import Invoice, LineItem
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import LIVE, PaymentLink
from models.reason import Reason
from models.secret import Keyring
from payment_links import lifecycle

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed link with everything that Stripe needs to make it."""

    link: PaymentLink
    invoice: Invoice
    lines: list[LineItem]
    known: frozenset[str]
    was_unknown: bool
    sealed_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)

    def is_held(self, link: PaymentLink) -> bool:
        """Whether this job still owns the link: taking it over or finishing it changes its `due_at`."""
        return link.due_at == self.link.due_at


class LinkMaker:
    """Makes due links at Stripe, or deactivates them there."""

    def __init__(self, keyring: Keyring, gateway: LinkGateway, on_commit: Callable[[Mapping[str, int]], None]) -> None:
        self._keyring = keyring
        self._gateway = gateway
        self._on_commit = on_commit
        self.due = asyncio.Event()
        """Set when links are due now."""

    def wake(self) -> None:
        """Say that links are due now; call it after the commit."""
        self.due.set()

    async def plan(self, invoice: Invoice, integration: Integration) -> Job:
        """Insert and claim a link for what remains of an invoice; the caller has locked the invoice.

        Call `carry_out` after the commit.
        """
        return await self.claim(await lifecycle.plan(invoice, integration.id), invoice, integration)

    async def make(self, link_id: str, *, last_key: str | None = None) -> None:
        """Do what is due for a link: make it at Stripe, or deactivate it there.

        `last_key` deactivates a link whose integration has no key any more. Stripe's answer is written to the link,
        never raised.
        """
        job = await self._claim_due(link_id, last_key)
        if job is not None:
            await self.carry_out(job)

    async def carry_out(self, job: Job) -> None:
        """Make or deactivate a claimed link, outside of any transaction.

        Stripe's answer is written to the link, never raised.
        """
        if job.link.status in LIVE:
            await self._make(job)
        else:
            await self._stop(job)

    # --- Claiming ----------------------------------------------------------------------------------------------

    async def _claim_due(self, link_id: str, last_key: str | None) -> Job | None:
        newest: Mapping[str, int] = {}
        job = None
        async with transaction() as tx:
            locked = await lifecycle.locked(link_id)
            if locked is None:
                return None
            link, invoice = locked
            if link.due_at is None or link.due_at > utc_now() or link.status is PaymentLinkStatus.ACTIVE:
                return None  # another job has claimed it, or it is made
            integration = await scoped(Integration, link.workspace_id).filter(id=link.integration_id).get()
            if link.status in LIVE and (integration.secret_key_sealed is None or not integration.is_active):
                newest = await append(tx, await lifecycle.given_up(link, invoice))
            else:
                job = await self.claim(link, invoice, integration, last_key)
        self._on_commit(newest)
        return job

    async def claim(
        self, link: PaymentLink, invoice: Invoice, integration: Integration, last_key: str | None = None
    ) -> Job:
        """Claim a link that is to be made or deactivated; the caller has locked its invoice."""
        secret_key = opened(self._keyring, integration) or last_key
        was_unknown = await lifecycle.claim(link)
        siblings = await scoped(PaymentLink, link.workspace_id).filter(invoice_id=invoice.id)
        lines = await scoped(LineItem, link.workspace_id).filter(invoice_id=invoice.id).order_by("position")
        known = frozenset(other.provider_id for other in siblings if other.provider_id)
        return Job(link, invoice, lines, known, was_unknown, integration.secret_key_sealed, secret_key)

    # --- Making ------------------------------------------------------------------------------------------------

    async def _make(self, job: Job) -> None:
        assert job.secret_key is not None  # noqa: S101  (who claims a link to make it has a key)
        if job.was_unknown:
            try:
                found = await self._find(job, job.secret_key)
            except LinkNotMadeError as refusal:
                await self._write_refusal(job, refusal, asked_only=True)
                return
            if found is not None:
                await self._write_made(job, found)
                return
        try:
            request = LinkRequest(job.invoice, job.link.id, job.lines, job.link.amount)
            made = await self._gateway.create_payment_link(job.secret_key, request, job.link.idempotency_key)
        except LinkNotMadeError as refusal:
            await self._write_refusal(job, refusal, asked_only=False)
        else:
            await self._write_made(job, made)

    async def _find(self, job: Job, secret_key: str) -> MadeLink | None:
        """Find the link at Stripe, if an earlier attempt has made it."""
        return await self._gateway.find_payment_link(secret_key, job.invoice, job.link.id, job.known)

    async def _write_made(self, job: Job, made: MadeLink) -> None:
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            locked = await lifecycle.locked(job.link.id)
            if locked is None:
                return
            link, invoice = locked
            surplus = link.provider_id not in {None, made.provider_id}
            retired = not surplus and link.status not in LIVE  # its invoice was settled, or Stripe disconnected
            if not surplus:
                newest = await append(tx, await lifecycle.made(link, invoice, made.provider_id, made.url))
        self._on_commit(newest)
        if surplus:  # another attempt's answer was written first
            await self._discard(job, made)
        elif retired:  # at once: later there may be no key for it
            await self._stop(replace(job, link=link))

    async def _discard(self, job: Job, made: MadeLink) -> None:
        """Deactivate a surplus link, which Stripe made besides the one that is written."""
        assert job.secret_key is not None  # noqa: S101  (it has made the link)
        try:
            await self._gateway.deactivate_payment_link(job.secret_key, made.provider_id)
        except LinkNotMadeError as refusal:
            log.warning("a surplus link stays payable", link=job.link.id, stripe=made.provider_id, code=refusal.code)

    async def _write_refusal(self, job: Job, refusal: LinkNotMadeError, *, asked_only: bool) -> None:
        """Record that Stripe did not confirm a link.

        `asked_only`: the job only looked for an earlier attempt's link.
        """
        async with transaction() as tx:
            locked = await lifecycle.locked(job.link.id)
            if locked is None:
                return
            link, invoice = locked
            if not job.is_held(link):
                return
            happened = await lifecycle.refused(
                link,
                invoice,
                refusal,
                outcome_unknown=job.was_unknown if asked_only else refusal.outcome_unknown,
                same_attempt=asked_only or refusal.same_attempt,
            )
            newest = await append(tx, happened)
        self._on_commit(newest)
        await self._note_refused_key(job, refusal)
        log.info("payment link not made", link=job.link.id, code=refusal.code, may_retry=refusal.may_retry)

    async def _note_refused_key(self, job: Job, refusal: LinkNotMadeError) -> None:
        """Mark the integration's key as rejected, or make the link due again if another key was saved meanwhile."""
        if refusal.code not in lifecycle.KEY_REFUSED:
            return
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            rows = scoped(Integration, job.link.workspace_id).filter(id=job.link.integration_id)
            integration = await rows.select_for_update().get()
            is_replaced = integration.secret_key_sealed != job.sealed_key
            if is_replaced:
                await lifecycle.retry_one(job.link, refusal.code)
            elif refusal.code == Reason.KEY_REJECTED and integration.key_problem is None:
                newest = await _reject_key(tx, integration, refusal)
        if is_replaced:
            self.wake()
        self._on_commit(newest)

    # --- Deactivating ----------------------------------------------------------------------------------------------

    async def _stop(self, job: Job) -> None:
        link = job.link
        provider_id = link.provider_id
        if job.secret_key is None and provider_id is not None:
            log.warning("payment link stays payable: its integration has no key any more", link=link.id)
        try:
            if job.secret_key is not None:
                if provider_id is None and link.outcome_unknown:
                    found = await self._find(job, job.secret_key)
                    provider_id = found.provider_id if found else None
                if provider_id is not None:
                    await self._gateway.deactivate_payment_link(job.secret_key, provider_id)
                    await self._gateway.expire_open_sessions(job.secret_key, provider_id)
        except LinkNotMadeError as refusal:
            await _write_stopped(job, provider_id, refusal)
            await self._note_refused_key(job, refusal)
            log.warning("payment link not deactivated", link=link.id, code=refusal.code, tries=link.tries)
        else:
            await _write_stopped(job, provider_id, None)


async def _write_stopped(job: Job, provider_id: str | None, refusal: LinkNotMadeError | None) -> None:
    """Record the outcome of deactivating a link."""
    async with transaction():
        locked = await lifecycle.locked(job.link.id)
        if locked is None:
            return
        link, _ = locked
        await lifecycle.named(link, provider_id)
        if not job.is_held(link):
            return
        if refusal is not None:
            await lifecycle.not_stopped(link, refusal)
        else:
            may_come = provider_id is None and link.outcome_unknown
            await lifecycle.stopped(
                link,
                is_closed=provider_id is not None and job.secret_key is not None,
                looks_again=may_come and utc_now() - link.updated_at < 2 * lifecycle.CLAIM,
            )


async def _reject_key(tx: Transaction, integration: Integration, refusal: LinkNotMadeError) -> Mapping[str, int]:
    integration.key_problem = refusal.message
    await integration.save(update_fields=["key_problem"])
    happening = Happening(
        type=EventType.INTEGRATION_UPDATED,
        workspace_id=integration.workspace_id,
        actor=SYSTEM,
        occurred_at=utc_now(),
        integration_id=integration.id,
    )
    return await append(tx, [happening])
