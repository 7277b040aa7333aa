"""Making and unmaking Payment Links at Stripe: now if asked, in the background until it is done.

A link is unmade with the pages of it that customers have open, which Stripe would let them pay for a day.

A row is claimed in one transaction, Stripe is called outside of any, the outcome is written in another. A claim
carries the time at which somebody else may take over, so a process that dies loses nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from database.door import Transaction, transaction
from database.scope import scoped, unscoped
from errors import LinkNotMade
from gateways.base import LinkGateway, LinkRequest, MadeLink
from models.event import SYSTEM, Happening, append
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, bound_to
from models.invoice import Invoice, LineItem
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import LIVE, PaymentLink
from models.secret import Keyring

log = structlog.get_logger(__name__)

CLAIM: Final = timedelta(seconds=60)
"""How long a claimed link is left to whoever claimed it: longer than a call to Stripe with its retries takes."""

_FIRST_RETRY: Final = timedelta(seconds=2)
_LAST_RETRY: Final = timedelta(minutes=15)
_STOP_TRIES: Final = 30
_KEY_REFUSED: Final = frozenset({"KEY_REJECTED", "KEY_NOT_PERMITTED"})
"""What another key mends: nothing is tried again until one is saved."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A claimed link with all that Stripe has to be told."""

    link: PaymentLink
    invoice: Invoice
    lines: list[LineItem]
    known: frozenset[str]
    was_unknown: bool
    sealed_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)

    def is_held(self, link: PaymentLink) -> bool:
        """Whether the claim still stands: whoever takes a link over, or is done with it, moves its `due_at`."""
        return link.due_at == self.link.due_at


class LinkMaker:
    """Makes links at Stripe and unmakes them there: whatever is due for a link."""

    def __init__(self, keyring: Keyring, gateway: LinkGateway, published: Callable[[Mapping[str, int]], None]) -> None:
        self._keyring = keyring
        self._gateway = gateway
        self._published = published
        self.due = asyncio.Event()
        """Set when links are due now."""

    def wake(self) -> None:
        """Say that links are due now."""
        self.due.set()

    async def make(self, link_id: str, *, claimed: bool = False, last_key: str | None = None) -> None:
        """Do what is due for a link: make it at Stripe, or make it unpayable there. `claimed`: by the caller, for it.

        `last_key` makes a link unpayable whose integration has no key any more. What Stripe answers is written to the
        link, never raised.
        """
        job = await self._claim(link_id, claimed=claimed, last_key=last_key)
        if job is None:
            return
        if job.link.status in LIVE:
            await self._make(job)
        else:
            await self._stop(job)

    # --- Claiming ----------------------------------------------------------------------------------------------

    async def _claim(self, link_id: str, *, claimed: bool, last_key: str | None) -> _Job | None:
        newest: Mapping[str, int] = {}
        job = None
        async with transaction() as tx:
            locked = await _lock(link_id)
            if locked is None:
                return None
            link, invoice = locked
            if not claimed and (link.due_at is None or link.due_at > utc_now()):
                return None
            if link.status is PaymentLinkStatus.ACTIVE:
                return None  # another try has made it
            integration = await scoped(Integration, link.workspace_id).filter(id=link.integration_id).get()
            secret_key = self._secret_key(integration)
            if link.status in LIVE and (secret_key is None or not integration.is_active):
                newest = await self._give_up(tx, link, invoice)
            else:
                job = await _job(link, invoice, integration.secret_key_sealed, secret_key or last_key)
        self._published(newest)
        return job

    def _secret_key(self, integration: Integration) -> str | None:
        if integration.secret_key_sealed is None:
            return None
        return self._keyring.open(integration.secret_key_sealed, bound_to(integration.id, "secret_key_sealed"))

    async def _give_up(self, tx: Transaction, link: PaymentLink, invoice: Invoice) -> Mapping[str, int]:
        link.status = PaymentLinkStatus.FAILED
        link.problem_code = "INTEGRATION_UNUSABLE"
        link.problem_message = None
        link.due_at = None
        link.updated_at = utc_now()
        await link.save()
        return await append(tx, [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)])

    # --- Making ------------------------------------------------------------------------------------------------

    async def _make(self, job: _Job) -> None:
        assert job.secret_key is not None  # noqa: S101  (_claim gives up without one)
        if job.was_unknown:
            try:
                found = await self._gateway.find_payment_link(job.secret_key, job.invoice, job.known)
            except LinkNotMade as refusal:
                await self._write_refusal(job, refusal, asked_only=True)
                return
            if found is not None:
                await self._write_made(job, found)
                return
        try:
            request = LinkRequest(job.invoice, job.lines, job.link.amount)
            made = await self._gateway.create_payment_link(job.secret_key, request, job.link.idempotency_key)
        except LinkNotMade as refusal:
            await self._write_refusal(job, refusal, asked_only=False)
        else:
            await self._write_made(job, made)

    async def _write_made(self, job: _Job, made: MadeLink) -> None:
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            locked = await _lock(job.link.id)
            if locked is None:
                return
            link, invoice = locked
            surplus = link.stripe_id not in {None, made.stripe_id}
            retired = not surplus and link.status not in LIVE  # its invoice was settled, or Stripe disconnected
            if not surplus:
                newest = await self._write_answer(tx, link, invoice, made)
        self._published(newest)
        if surplus:  # another try was told first
            await self._discard(job, made)
        elif retired:  # at once: this key may be the last one that can
            await self._stop(replace(job, link=link))

    async def _write_answer(
        self, tx: Transaction, link: PaymentLink, invoice: Invoice, made: MadeLink
    ) -> Mapping[str, int]:
        if link.status is PaymentLinkStatus.ACTIVE:
            return {}
        link.stripe_id, link.url, link.outcome_unknown = made.stripe_id, made.url, False
        link.problem_code = None
        link.problem_message = None
        link.updated_at, link.tries, link.due_at = utc_now(), 0, None
        if link.status not in LIVE:
            link.due_at = utc_now() + CLAIM
            await link.save()
            return {}
        link.status = PaymentLinkStatus.ACTIVE
        await link.save()
        return await append(tx, [_happening(EventType.PAYMENT_LINK_CREATED, link, invoice)])

    async def _discard(self, job: _Job, made: MadeLink) -> None:
        """Make a link unpayable that Stripe made besides the one that counts."""
        assert job.secret_key is not None  # noqa: S101  (it has made the link)
        try:
            await self._gateway.deactivate_payment_link(job.secret_key, made.stripe_id)
        except LinkNotMade as refusal:
            log.warning("a surplus link stays payable", link=job.link.id, stripe=made.stripe_id, code=refusal.code)

    async def _write_refusal(self, job: _Job, refusal: LinkNotMade, *, asked_only: bool) -> None:
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            locked = await _lock(job.link.id)
            if locked is None:
                return
            link, invoice = locked
            if not job.is_held(link):
                return
            known_already = link.problem_code == refusal.code
            link.outcome_unknown = job.was_unknown if asked_only else refusal.outcome_unknown
            link.attempt += 0 if asked_only or refusal.same_attempt else 1
            link.status = PaymentLinkStatus.FAILED
            link.problem_code, link.problem_message = refusal.code, refusal.message
            link.due_at = utc_now() + _pause(link.tries) if refusal.may_retry else None
            link.updated_at = utc_now()
            await link.save()
            if not known_already:
                newest = await append(tx, [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)])
        self._published(newest)
        await self._note_refused_key(job, refusal)
        log.info("payment link not made", link=job.link.id, code=refusal.code, may_retry=refusal.may_retry)

    async def _note_refused_key(self, job: _Job, refusal: LinkNotMade) -> None:
        """Say at the integration that its key was rejected. If another one was saved meanwhile, that one is tried."""
        if refusal.code not in _KEY_REFUSED:
            return
        newest: Mapping[str, int] = {}
        async with transaction() as tx:
            rows = scoped(Integration, job.link.workspace_id).filter(id=job.link.integration_id)
            integration = await rows.select_for_update().get()
            if integration.secret_key_sealed != job.sealed_key:
                links = scoped(PaymentLink, job.link.workspace_id).filter(id=job.link.id, problem_code=refusal.code)
                await links.update(due_at=utc_now())
                self.wake()
            elif refusal.code == "KEY_REJECTED" and integration.key_problem is None:
                integration.key_problem = refusal.message
                await integration.save(update_fields=["key_problem"])
                newest = await append(tx, [_integration_updated(integration)])
        self._published(newest)

    # --- Unmaking ----------------------------------------------------------------------------------------------

    async def _stop(self, job: _Job) -> None:
        link = job.link
        stripe_id = link.stripe_id
        if job.secret_key is None and stripe_id is not None:
            log.warning("payment link stays payable: its integration has no key any more", link=link.id)
        try:
            if job.secret_key is not None:
                if stripe_id is None and link.outcome_unknown:
                    found = await self._gateway.find_payment_link(job.secret_key, job.invoice, job.known)
                    stripe_id = found.stripe_id if found else None
                if stripe_id is not None:
                    await self._gateway.deactivate_payment_link(job.secret_key, stripe_id)
                    await self._gateway.expire_open_sessions(job.secret_key, stripe_id)
        except LinkNotMade as refusal:
            again = refusal.may_retry and link.tries < _STOP_TRIES
            await _write_stopped(job, stripe_id, _pause(link.tries) if again else None, refusal)
            await self._note_refused_key(job, refusal)
            log.warning("payment link not deactivated", link=link.id, code=refusal.code, again=again)
        else:
            unseen = stripe_id is None and link.outcome_unknown and utc_now() - link.updated_at < 2 * CLAIM
            is_closed = stripe_id is not None and job.secret_key is not None
            await _write_stopped(job, stripe_id, CLAIM if unseen else None, None, is_closed=is_closed)


async def _lock(link_id: str) -> tuple[PaymentLink, Invoice] | None:
    """A link and its invoice, the invoice locked first: whoever changes an invoice's links holds the invoice."""
    link = await unscoped(PaymentLink).filter(id=link_id).first()
    if link is None:
        return None
    invoice = await scoped(Invoice, link.workspace_id).filter(id=link.invoice_id).select_for_update().get()
    return await scoped(PaymentLink, link.workspace_id).filter(id=link_id).get(), invoice


async def _job(link: PaymentLink, invoice: Invoice, sealed_key: str | None, secret_key: str | None) -> _Job:
    """Claim a link. From now on nobody knows whether Stripe made it, until the answer is written."""
    was_unknown = bool(link.outcome_unknown)
    link.due_at = utc_now() + CLAIM
    link.tries += 1
    if link.status in LIVE:
        link.status = PaymentLinkStatus.PENDING  # with a time to come it is in somebody's hands
        link.outcome_unknown = True
    await link.save(update_fields=["due_at", "tries", "status", "outcome_unknown"])
    siblings = await scoped(PaymentLink, link.workspace_id).filter(invoice_id=invoice.id)
    lines = await scoped(LineItem, link.workspace_id).filter(invoice_id=invoice.id).order_by("position")
    known = frozenset(other.stripe_id for other in siblings if other.stripe_id)
    return _Job(link, invoice, lines, known, was_unknown, sealed_key, secret_key)


async def _write_stopped(
    job: _Job,
    stripe_id: str | None,
    again_in: timedelta | None,
    refusal: LinkNotMade | None,
    *,
    is_closed: bool = False,
) -> None:
    """Write what came of closing a link. `is_closed`: no customer has a page of it open any more."""
    async with transaction():
        locked = await _lock(job.link.id)
        if locked is None:
            return
        link, _ = locked
        link.stripe_id = link.stripe_id or stripe_id
        if job.is_held(link):
            link.due_at = None if again_in is None else utc_now() + again_in
            link.problem_code = link.problem_message = None
            link.sessions_closed_at = utc_now() if is_closed else None
            if refusal is not None and refusal.code in _KEY_REFUSED:
                link.problem_code, link.problem_message = refusal.code, refusal.message
        await link.save()


def _pause(tries: int) -> timedelta:
    doublings = min(max(tries - 1, 0), 12)
    return min(_LAST_RETRY, _FIRST_RETRY * int(2**doublings))


def _integration_updated(integration: Integration) -> Happening:
    return Happening(
        type=EventType.INTEGRATION_UPDATED,
        workspace_id=integration.workspace_id,
        actor=SYSTEM,
        occurred_at=utc_now(),
        integration_id=integration.id,
    )


def _happening(type_: EventType, link: PaymentLink, invoice: Invoice) -> Happening:
    return Happening(
        type=type_,
        workspace_id=link.workspace_id,
        actor=SYSTEM,
        occurred_at=utc_now(),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        integration_id=link.integration_id,
    )


async def plan_link(invoice: Invoice, integration_id: str, *, claimed: bool) -> PaymentLink:
    """A new link for what remains of an invoice, still to be made; `claimed` by the caller or due at once.

    The caller holds the invoice. The database refuses a second live link.
    """
    now = utc_now()
    link = PaymentLink(
        id=new_id(Prefix.PAYMENT_LINK),
        workspace_id=invoice.workspace_id,
        invoice_id=invoice.id,
        integration_id=integration_id,
        status=PaymentLinkStatus.PENDING,
        amount=invoice.amount_remaining,
        currency=invoice.currency,
        due_at=now + CLAIM if claimed else now,
        created_at=now,
        updated_at=now,
    )
    await link.save()
    return link


async def retry_links(tx: Transaction, integration_id: str) -> None:
    """Links that could not be made, or made unpayable, for want of a working key are due again."""
    await tx.execute(
        "UPDATE payment_links SET due_at = $2 WHERE integration_id = $1"
        " AND problem_code IN ('KEY_REJECTED', 'KEY_NOT_PERMITTED', 'INTEGRATION_UNUSABLE')",
        integration_id,
        utc_now(),
    )


async def retire_links(invoice: Invoice) -> list[PaymentLink]:
    """Take back an invoice's live link, if it has one; what was made at Stripe is due for deactivation there.

    The caller holds the invoice.
    """
    retired = await scoped(PaymentLink, invoice.workspace_id).filter(invoice_id=invoice.id, status__in=list(LIVE))
    for link in retired:
        at_stripe = link.stripe_id is not None or link.outcome_unknown
        link.status, link.updated_at, link.tries = PaymentLinkStatus.DEACTIVATED, utc_now(), 0
        link.due_at = utc_now() if at_stripe else None
        await link.save()
    return retired
