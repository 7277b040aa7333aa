"""The life of a payment link. Nobody else writes its table.

A link is planned (PENDING), made (ACTIVE) or refused (FAILED), tried again, and in the end spent (COMPLETED) or retired
(DEACTIVATED). `due_at` is when somebody acts on it next: while a link is claimed, when others may take it over.

To change a link, hold its invoice. What changes for the invoice's history is logged here, by who caused it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from database.access import Transaction
from database.bulk import columns_of, insert_rows, update_rows
from database.scope import scoped, unscoped
from errors import LinkNotMadeError
from models.event import SYSTEM, Happening
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.invoice import Invoice
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import LIVE, LinkState, PaymentLink
from models.reason import Reason

CLAIM: Final = timedelta(seconds=60)
"""How long a claimed link is left to the one who claimed it: longer than a call to Stripe with its retries takes."""

SESSION_GRACE: Final = timedelta(minutes=1)
"""How long a link that was probably paid is left alone: the session that says so is on its way, and closes it."""

STOP_TRIES: Final = 30
"""How often it is tried to make a link unpayable before it is left as it is."""

KEY_REFUSED: Final = frozenset({Reason.KEY_REJECTED, Reason.KEY_NOT_PERMITTED})
"""What only another key fixes: nothing is tried again until one is saved."""

_FOR_WANT_OF_A_KEY: Final = ", ".join(f"'{code}'" for code in sorted({*KEY_REFUSED, Reason.INTEGRATION_UNUSABLE}))
_FIRST_RETRY: Final = timedelta(seconds=2)
_LAST_RETRY: Final = timedelta(minutes=15)

_PENDING, _ACTIVE, _COMPLETED, _DEACTIVATED, _FAILED = (
    PaymentLinkStatus.PENDING,
    PaymentLinkStatus.ACTIVE,
    PaymentLinkStatus.COMPLETED,
    PaymentLinkStatus.DEACTIVATED,
    PaymentLinkStatus.FAILED,
)
TRANSITIONS: Final[Mapping[PaymentLinkStatus, frozenset[PaymentLinkStatus]]] = {
    _PENDING: frozenset({_PENDING, _ACTIVE, _FAILED, _DEACTIVATED}),
    _ACTIVE: frozenset({_COMPLETED, _DEACTIVATED}),
    _FAILED: frozenset({_PENDING, _ACTIVE, _FAILED, _DEACTIVATED}),
    _DEACTIVATED: frozenset({_COMPLETED}),
    _COMPLETED: frozenset(),
}
"""What may become of a link. A late answer makes a FAILED one ACTIVE; a page that was open completes a retired one."""


def check_transition(before: PaymentLinkStatus, after: PaymentLinkStatus) -> None:
    """Refuse what can't become of a link: a mistake of ours, never of a caller."""
    if after not in TRANSITIONS[before]:
        raise AssertionError(f"a link can't go from {before.value} to {after.value}")


def _move(link: PaymentLink, status: PaymentLinkStatus) -> None:
    check_transition(link.status, status)
    link.status, link.updated_at = status, utc_now()


async def locked(link_id: str) -> tuple[PaymentLink, Invoice] | None:
    """A link and its invoice, the invoice locked first; None when there is no such link."""
    link = await unscoped(PaymentLink).filter(id=link_id).first()
    if link is None:
        return None
    invoice = await scoped(Invoice, link.workspace_id).filter(id=link.invoice_id).select_for_update().get()
    return await scoped(PaymentLink, link.workspace_id).filter(id=link_id).get(), invoice


# --- Making ----------------------------------------------------------------------------------------------------


async def plan(invoice: Invoice, integration_id: str) -> PaymentLink:
    """A new link for what remains of an invoice, due at once. The database refuses a second live one."""
    now = utc_now()
    link = PaymentLink(
        id=new_id(Prefix.PAYMENT_LINK),
        workspace_id=invoice.workspace_id,
        invoice_id=invoice.id,
        integration_id=integration_id,
        status=_PENDING,
        amount=invoice.amount_remaining,
        currency=invoice.currency,
        due_at=now,
        created_at=now,
        updated_at=now,
    )
    await link.save()
    return link


async def claim(link: PaymentLink) -> bool:
    """Take a link, to make it or to make it unpayable; whether Stripe may have made it by an earlier try.

    From now on nobody knows whether Stripe made it, until the answer is written.
    """
    may_be_made = bool(link.outcome_unknown)
    link.due_at = utc_now() + CLAIM
    link.tries += 1
    if link.status in LIVE:
        check_transition(link.status, _PENDING)
        link.status = _PENDING
        link.outcome_unknown = True
    await link.save(update_fields=["due_at", "tries", "status", "outcome_unknown"])
    return may_be_made


async def made(link: PaymentLink, invoice: Invoice, provider_id: str, url: str) -> list[Happening]:
    """Write that Stripe made a link; one that was retired meanwhile stays claimed, to be made unpayable."""
    if link.status is _ACTIVE:
        return []
    link.provider_id, link.url, link.outcome_unknown = provider_id, url, False
    link.problem_code = link.problem_message = None
    link.tries = 0
    if link.status not in LIVE:
        link.due_at, link.updated_at = utc_now() + CLAIM, utc_now()
        await link.save()
        return []
    _move(link, _ACTIVE)
    link.due_at = None
    await link.save()
    return [_happening(EventType.PAYMENT_LINK_CREATED, link, invoice)]


async def refused(
    link: PaymentLink, invoice: Invoice, refusal: LinkNotMadeError, *, outcome_unknown: bool, same_attempt: bool
) -> list[Happening]:
    """Write that Stripe did not say that it made a link, and when the next try is; logged once for each reason."""
    known_already = link.problem_code == refusal.code
    link.outcome_unknown = outcome_unknown
    link.attempt += 0 if same_attempt else 1
    _move(link, _FAILED)
    link.problem_code, link.problem_message = refusal.code, refusal.message
    link.due_at = utc_now() + _pause(link.tries) if refusal.may_retry else None
    await link.save()
    return [] if known_already else [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)]


async def given_up(link: PaymentLink, invoice: Invoice) -> list[Happening]:
    """Write that nothing can make a link: its integration has no key, or is switched off."""
    _move(link, _FAILED)
    link.problem_code, link.problem_message = Reason.INTEGRATION_UNUSABLE, None
    link.due_at = None
    await link.save()
    return [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)]


async def retry(tx: Transaction, integration_id: str) -> None:
    """Links that could not be made, or made unpayable, for want of a working key are due again."""
    await tx.execute(
        f"UPDATE payment_links SET due_at = $2 WHERE integration_id = $1 AND problem_code IN ({_FOR_WANT_OF_A_KEY})",  # noqa: S608
        integration_id,
        utc_now(),
    )


async def retry_one(link: PaymentLink, code: str) -> None:
    """A link that was refused for a key that was replaced meanwhile is due again."""
    await scoped(PaymentLink, link.workspace_id).filter(id=link.id, problem_code=code).update(due_at=utc_now())


# --- Ending ----------------------------------------------------------------------------------------------------


async def retire(invoice: Invoice, actor: str) -> list[Happening]:
    """Take back an invoice's live link, if it has one; what may be at Stripe is due to be made unpayable there."""
    retired = await scoped(PaymentLink, invoice.workspace_id).filter(invoice_id=invoice.id, status__in=list(LIVE))
    for link in retired:
        _move(link, _DEACTIVATED)
        link.tries = 0  # those were of making it; to stop it has as many of its own
        link.due_at = utc_now() if link.provider_id is not None or link.outcome_unknown else None
        await link.save()
    return [_happening(EventType.PAYMENT_LINK_DEACTIVATED, link, invoice, actor) for link in retired]


async def stop_now(workspace_id: str, integration_id: str) -> None:
    """Links that wait for the next try to make them unpayable are due at once: later there is no key for it."""
    now = utc_now()
    waiting = scoped(PaymentLink, workspace_id).filter(integration_id=integration_id, due_at__gt=now)
    await waiting.exclude(status__in=list(LIVE)).update(due_at=now)


async def stopped(link: PaymentLink, *, is_closed: bool, looks_again: bool) -> None:
    """Write that a link is unpayable. `is_closed`: no customer has a page of it open any more. `looks_again`: Stripe
    may yet be making it, so that it has to be looked for once more.
    """
    link.due_at = utc_now() + CLAIM if looks_again else None
    link.problem_code = link.problem_message = None
    link.sessions_closed_at = utc_now() if is_closed else None
    await link.save()


async def not_stopped(link: PaymentLink, refusal: LinkNotMadeError) -> None:
    """Write that Stripe did not make a link unpayable, and when the next try is, as long as one may help."""
    again = refusal.may_retry and link.tries < STOP_TRIES
    link.due_at = utc_now() + _pause(link.tries) if again else None
    link.problem_code = link.problem_message = link.sessions_closed_at = None
    if refusal.code in KEY_REFUSED:
        link.problem_code, link.problem_message = refusal.code, refusal.message
    await link.save()


async def named(link: PaymentLink, provider_id: str | None) -> None:
    """Write Stripe's id of a link that is in other hands by now."""
    if link.provider_id is None and provider_id is not None:
        link.provider_id = provider_id
        await link.save(update_fields=["provider_id"])


async def checked(tx: Transaction, link_id: str) -> None:
    """Write that Stripe was asked now whether a link was paid."""
    await tx.execute("UPDATE payment_links SET checked_at = $2 WHERE id = $1", link_id, utc_now())


# --- What settlement decided -----------------------------------------------------------------------------------


class NewLink(NamedTuple):
    """A link that settlement wants for what remains of an invoice."""

    workspace_id: str
    invoice_id: str
    currency: str
    link: LinkState


_CHANGES: Final = columns_of(PaymentLink, ["id", "status", "due_at", "tries", "updated_at"])
_NEW: Final = _CHANGES | columns_of(
    PaymentLink,
    [
        "workspace_id",
        "invoice_id",
        "integration_id",
        "amount",
        "currency",
        "attempt",
        "outcome_unknown",
        "created_at",
    ],
)


async def write(tx: Transaction, changed: Sequence[LinkState], new: Sequence[NewLink], now: datetime) -> None:
    """Write links as settlement left them; it has logged what happened. To stop one has as many tries of its own."""
    rows = [(link.id, link.status.value, _stop_at(link, now), 0, now) for link in changed]
    await update_rows(tx, "payment_links", _CHANGES, rows)
    planned = [
        (
            link.id,
            link.status.value,
            None if link.status is _DEACTIVATED else now,
            0,
            now,
            workspace_id,
            invoice_id,
            link.integration_id,
            link.amount,
            currency,
            1,
            False,
            now,
        )
        for workspace_id, invoice_id, currency, link in new
    ]
    await insert_rows(tx, "payment_links", _NEW, planned)


def _stop_at(link: LinkState, now: datetime) -> datetime | None:
    if not link.stop:
        return None
    return now + SESSION_GRACE if link.status is _COMPLETED else now


def _pause(tries: int) -> timedelta:
    doublings = min(max(tries - 1, 0), 12)
    return min(_LAST_RETRY, _FIRST_RETRY * int(2**doublings))


def _happening(type_: EventType, link: PaymentLink, invoice: Invoice, actor: str = SYSTEM) -> Happening:
    return Happening(
        type=type_,
        workspace_id=link.workspace_id,
        actor=actor,
        occurred_at=utc_now(),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        integration_id=link.integration_id,
    )
