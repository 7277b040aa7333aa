"""Changes payment links' rows; no other module writes them.

A link is planned (PENDING), then made (ACTIVE) or refused (FAILED) and tried again. It ends COMPLETED, when it was
paid, or DEACTIVATED. `due_at` is when the background job works on it next; while a link is claimed, it is when another
job may take it over.

Before you change a link, lock its invoice. These functions also log the changes that belong to the invoice's history.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from database.bulk import columns_of, insert_rows, update_rows
from database.scope import scoped, unscoped
from database.transaction import Transaction
from errors import LinkNotMadeError
from models.event import SYSTEM, Happening
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.invoice import Invoice
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import LIVE, LinkState, PaymentLink
from models.reason import Reason

CLAIM: Final = timedelta(seconds=60)
"""How long a claim lasts: longer than a call to Stripe with its retries takes."""

SESSION_GRACE: Final = timedelta(minutes=1)
"""How long a link that was probably paid stays open: Stripe's event about the session will come, and closes it."""

STOP_TRIES: Final = 30
"""How often deactivating a link is tried before it is left as it is."""

KEY_REFUSED: Final = frozenset({Reason.KEY_REJECTED, Reason.KEY_NOT_PERMITTED})
"""Problems that only another key fixes: nothing is tried again until one is saved."""

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
"""The allowed changes of status.

A late answer makes a FAILED link ACTIVE; a page that was open completes a DEACTIVATED one.
"""


def check_transition(before: PaymentLinkStatus, after: PaymentLinkStatus) -> None:
    """Raise if a change of status is not allowed: that is a bug of ours, never a caller's mistake."""
    if after not in TRANSITIONS[before]:
        raise AssertionError(f"a link can't go from {before.value} to {after.value}")


def _move(link: PaymentLink, status: PaymentLinkStatus) -> None:
    check_transition(link.status, status)
    link.status, link.updated_at = status, utc_now()


async def locked(link_id: str) -> tuple[PaymentLink, Invoice] | None:
    """Lock a link's invoice, then read the link; None if there is no such link."""
    link = await unscoped(PaymentLink).filter(id=link_id).first()
    if link is None:
        return None
    invoice = await scoped(Invoice, link.workspace_id).filter(id=link.invoice_id).select_for_update().get()
    return await scoped(PaymentLink, link.workspace_id).filter(id=link_id).get(), invoice


# --- Making ----------------------------------------------------------------------------------------------------


async def plan(invoice: Invoice, integration_id: str) -> PaymentLink:
    """Insert a link for what remains of an invoice, due at once. The database refuses a second live link."""
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
    """Claim a link, to make or deactivate it; return whether an earlier attempt may have made it at Stripe.

    Until Stripe's answer is written, nobody knows whether the link exists there.
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
    """Record that Stripe made a link. A link that was retired meanwhile stays claimed, to be deactivated."""
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
    """Record that Stripe did not confirm a link, and when to try again; the same reason is logged only once."""
    known_already = link.problem_code == refusal.code
    link.outcome_unknown = outcome_unknown
    link.attempt += 0 if same_attempt else 1
    _move(link, _FAILED)
    link.problem_code, link.problem_message = refusal.code, refusal.message
    link.due_at = utc_now() + _pause(link.tries) if refusal.may_retry else None
    await link.save()
    return [] if known_already else [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)]


async def given_up(link: PaymentLink, invoice: Invoice) -> list[Happening]:
    """Record that a link can't be made: its integration has no key, or is switched off."""
    _move(link, _FAILED)
    link.problem_code, link.problem_message = Reason.INTEGRATION_UNUSABLE, None
    link.due_at = None
    await link.save()
    return [_happening(EventType.PAYMENT_LINK_FAILED, link, invoice)]


async def retry(tx: Transaction, integration_id: str) -> None:
    """Make links due that could not be made or deactivated because no key worked."""
    await tx.execute(
        f"UPDATE payment_links SET due_at = $2 WHERE integration_id = $1 AND problem_code IN ({_FOR_WANT_OF_A_KEY})",  # noqa: S608
        integration_id,
        utc_now(),
    )


async def retry_one(link: PaymentLink, code: str) -> None:
    """Make a link due that was refused because of a key that has been replaced since."""
    await scoped(PaymentLink, link.workspace_id).filter(id=link.id, problem_code=code).update(due_at=utc_now())


# --- Ending ----------------------------------------------------------------------------------------------------


async def retire(invoice: Invoice, actor: str) -> list[Happening]:
    """Deactivate an invoice's live link, if it has one.

    If it may exist at Stripe, it is due to be deactivated there.
    """
    retired = await scoped(PaymentLink, invoice.workspace_id).filter(invoice_id=invoice.id, status__in=list(LIVE))
    for link in retired:
        _move(link, _DEACTIVATED)
        link.tries = 0  # those counted attempts to make it; deactivating it has as many of its own
        link.due_at = utc_now() if link.provider_id is not None or link.outcome_unknown else None
        await link.save()
    return [_happening(EventType.PAYMENT_LINK_DEACTIVATED, link, invoice, actor) for link in retired]


async def stop_now(workspace_id: str, integration_id: str) -> None:
    """Make links due at once that wait for another attempt to deactivate them: later there is no key for it."""
    now = utc_now()
    waiting = scoped(PaymentLink, workspace_id).filter(integration_id=integration_id, due_at__gt=now)
    await waiting.exclude(status__in=list(LIVE)).update(due_at=now)


async def stopped(link: PaymentLink, *, is_closed: bool, looks_again: bool) -> None:
    """Record that a link is deactivated at Stripe.

    `is_closed`: no customer has a page of it open any more. `looks_again`: Stripe may still be making it, so it must be
    looked for once more.
    """
    link.due_at = utc_now() + CLAIM if looks_again else None
    link.problem_code = link.problem_message = None
    link.sessions_closed_at = utc_now() if is_closed else None
    await link.save()


async def not_stopped(link: PaymentLink, refusal: LinkNotMadeError) -> None:
    """Record that Stripe did not deactivate a link, and when to try again, if that can help."""
    again = refusal.may_retry and link.tries < STOP_TRIES
    link.due_at = utc_now() + _pause(link.tries) if again else None
    link.problem_code = link.problem_message = link.sessions_closed_at = None
    if refusal.code in KEY_REFUSED:
        link.problem_code, link.problem_message = refusal.code, refusal.message
    await link.save()


async def named(link: PaymentLink, provider_id: str | None) -> None:
    """Record Stripe's id of a link, even if another job has claimed the link since."""
    if link.provider_id is None and provider_id is not None:
        link.provider_id = provider_id
        await link.save(update_fields=["provider_id"])


async def checked(tx: Transaction, link_id: str) -> None:
    """Record that Stripe was just asked whether a link was paid."""
    await tx.execute("UPDATE payment_links SET checked_at = $2 WHERE id = $1", link_id, utc_now())


# --- What settlement decided -----------------------------------------------------------------------------------


class NewLink(NamedTuple):
    """A link that settlement adds for what remains of an invoice."""

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
    """Write the links that settlement changed or added, which it has logged. Their count of tries starts again."""
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
