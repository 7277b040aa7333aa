"""What is written of a link, and when somebody acts on it next."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest

from database.access import transaction
from database.scope import scoped
from errors import LinkNotMadeError
from models.instant import utc_now
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import EventType, PaymentLinkStatus
from models.payment_link import LinkState, PaymentLink
from models.workspace import Workspace
from payment_links import lifecycle
from payment_links.lifecycle import CLAIM, SESSION_GRACE, STOP_TRIES, NewLink
from tests.world.rows import Rows

BUSY: Final = LinkNotMadeError("STRIPE_BUSY", "Busy.", outcome_unknown=False, may_retry=True, same_attempt=False)
NO: Final = LinkNotMadeError("STRIPE_REFUSED", "No.", outcome_unknown=False, may_retry=False, same_attempt=False)
KEY: Final = LinkNotMadeError("KEY_REJECTED", "Bad key.", outcome_unknown=False, may_retry=False, same_attempt=True)
SOON: Final = timedelta(seconds=30)
"""How long a test may take."""


@dataclass(frozen=True)
class World:
    """An OPEN invoice, and the rows of its workspace."""

    rows: Rows
    integration: Integration
    invoice: Invoice

    async def link(self, status: PaymentLinkStatus, **values: Any) -> PaymentLink:
        """A link of the invoice."""
        return await self.rows.payment_link(self.invoice, self.integration, **{"status": status, **values})

    async def stored(self, link: PaymentLink) -> PaymentLink:
        """A link as the database has it."""
        return await scoped(PaymentLink, self.rows.workspace_id).get(id=link.id)


@pytest.fixture
async def world(workspace: Workspace) -> World:
    rows = Rows(workspace.id)
    return World(rows, await rows.integration(), await rows.invoice(await rows.customer()))


def is_in(link: PaymentLink, pause: timedelta) -> bool:
    """Whether it is due after that time from now."""
    return link.due_at is not None and abs(link.due_at - utc_now() - pause) < SOON


# --- Making ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [PaymentLinkStatus.PENDING, PaymentLinkStatus.FAILED])
async def test_from_its_claim_on_a_link_may_be_at_stripe(world: World, status: PaymentLinkStatus) -> None:
    """A process that dies has perhaps made it, so whoever takes over looks for it."""
    link = await world.link(status, provider_id=None)

    async with transaction():
        first = await lifecycle.claim(link)
        second = await lifecycle.claim(await world.stored(link))

    stored = await world.stored(link)
    assert (first, second) == (False, True)
    assert (stored.status, stored.tries, stored.outcome_unknown) == (PaymentLinkStatus.PENDING, 2, True)
    assert is_in(stored, CLAIM)


async def test_a_link_that_can_be_paid_is_never_claimed(world: World) -> None:
    link = await world.link(PaymentLinkStatus.ACTIVE)

    with pytest.raises(AssertionError, match="from ACTIVE to PENDING"):
        async with transaction():
            await lifecycle.claim(link)

    assert (await world.stored(link)).status is PaymentLinkStatus.ACTIVE


async def test_a_link_made_after_it_was_retired_is_still_claimed_to_be_stopped(world: World) -> None:
    link = await world.link(PaymentLinkStatus.DEACTIVATED, provider_id=None, outcome_unknown=True, tries=5)

    async with transaction():
        happened = await lifecycle.made(link, world.invoice, "plink_1", "https://buy.stripe.com/1")

    stored = await world.stored(link)
    assert happened == []
    assert is_in(stored, CLAIM)
    assert (stored.status, stored.provider_id) == (PaymentLinkStatus.DEACTIVATED, "plink_1")
    assert (stored.tries, stored.outcome_unknown) == (0, False)


async def test_a_link_that_is_made_asks_nothing_more(world: World) -> None:
    link = await world.link(PaymentLinkStatus.FAILED, provider_id=None, outcome_unknown=True, tries=5, due_at=utc_now())

    async with transaction():
        first = await lifecycle.made(link, world.invoice, "plink_1", "https://buy.stripe.com/1")
        second = await lifecycle.made(link, world.invoice, "plink_2", "https://buy.stripe.com/2")

    stored = await world.stored(link)
    assert ([each.type for each in first], second) == ([EventType.PAYMENT_LINK_CREATED], [])
    assert (stored.status, stored.provider_id, stored.due_at) == (PaymentLinkStatus.ACTIVE, "plink_1", None)
    assert (stored.tries, stored.outcome_unknown) == (0, False)


@pytest.mark.parametrize(
    ("tries", "pause_s"), [(0, 2), (1, 2), (2, 4), (3, 8), (4, 16), (6, 64), (8, 256), (9, 512), (10, 900), (500, 900)]
)
async def test_the_next_try_is_ever_later_up_to_a_quarter_of_an_hour(world: World, tries: int, pause_s: int) -> None:
    link = await world.link(PaymentLinkStatus.PENDING, provider_id=None, tries=tries)

    before = utc_now()
    async with transaction():
        await lifecycle.refused(link, world.invoice, BUSY, outcome_unknown=False, same_attempt=False)
    after = utc_now()

    assert link.due_at is not None
    assert before <= link.due_at - timedelta(seconds=pause_s) <= after


@pytest.mark.parametrize(("same", "attempt"), [(False, 2), (True, 1)])
async def test_another_try_has_another_key_unless_it_is_the_same_attempt(
    world: World, same: bool, attempt: int
) -> None:
    link = await world.link(PaymentLinkStatus.PENDING, provider_id=None, attempt=1)

    async with transaction():
        first = await lifecycle.refused(link, world.invoice, NO, outcome_unknown=same, same_attempt=same)
        again = await lifecycle.refused(link, world.invoice, NO, outcome_unknown=same, same_attempt=True)

    stored = await world.stored(link)
    assert ([each.type for each in first], again) == ([EventType.PAYMENT_LINK_FAILED], [])
    assert (stored.attempt, stored.outcome_unknown, stored.due_at) == (attempt, same, None)


# --- Ending ----------------------------------------------------------------------------------------------------


async def test_a_retired_link_never_fails(world: World) -> None:
    link = await world.link(PaymentLinkStatus.DEACTIVATED)

    with pytest.raises(AssertionError, match="from DEACTIVATED to FAILED"):
        async with transaction():
            await lifecycle.given_up(link, world.invoice)

    assert (await world.stored(link)).status is PaymentLinkStatus.DEACTIVATED


async def test_a_retired_link_that_is_claimed_to_be_stopped_stays_retired(world: World) -> None:
    link = await world.link(PaymentLinkStatus.DEACTIVATED, due_at=utc_now())

    async with transaction():
        may_be_made = await lifecycle.claim(link)

    stored = await world.stored(link)
    assert (may_be_made, stored.status, stored.outcome_unknown) == (False, PaymentLinkStatus.DEACTIVATED, False)
    assert is_in(stored, CLAIM)


@pytest.mark.parametrize(
    ("provider_id", "outcome_unknown", "is_due"),
    [("plink_1", False, True), (None, True, True), ("plink_1", True, True), (None, False, False)],
)
async def test_a_retired_link_is_stopped_if_it_may_be_at_stripe(
    world: World, provider_id: str | None, outcome_unknown: bool, is_due: bool
) -> None:
    """With as many tries as any."""
    link = await world.link(
        PaymentLinkStatus.FAILED, provider_id=provider_id, outcome_unknown=outcome_unknown, tries=7, due_at=utc_now()
    )

    async with transaction():
        happened = await lifecycle.retire(world.invoice, "key_1")

    stored = await world.stored(link)
    assert [(each.type, each.actor) for each in happened] == [(EventType.PAYMENT_LINK_DEACTIVATED, "key_1")]
    assert (stored.status, stored.tries) == (PaymentLinkStatus.DEACTIVATED, 0)
    assert (stored.due_at is not None) == is_due
    assert is_due == is_in(stored, timedelta(0))


@pytest.mark.parametrize(
    ("refusal", "tries", "again", "problem"),
    [
        (BUSY, STOP_TRIES - 1, True, None),
        (BUSY, STOP_TRIES, False, None),
        (NO, 1, False, None),
        (KEY, 1, False, "KEY_REJECTED"),
    ],
    ids=["busy", "busy for the last time", "no", "key"],
)
async def test_stopping_is_tried_as_long_as_it_may_help(
    world: World, refusal: LinkNotMadeError, tries: int, again: bool, problem: str | None
) -> None:
    link = await world.link(
        PaymentLinkStatus.DEACTIVATED, tries=tries, due_at=utc_now(), problem_code="OLD", sessions_closed_at=utc_now()
    )

    async with transaction():
        await lifecycle.not_stopped(link, refusal)

    stored = await world.stored(link)
    assert (stored.due_at is not None) == again
    assert (stored.problem_code, stored.sessions_closed_at) == (problem, None)


@pytest.mark.parametrize("looks_again", [False, True])
@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_link_that_is_stopped_is_looked_for_once_more_only_if_it_may_yet_be_made(
    world: World, looks_again: bool, is_closed: bool
) -> None:
    link = await world.link(PaymentLinkStatus.DEACTIVATED, due_at=utc_now(), problem_code="OLD")

    async with transaction():
        await lifecycle.stopped(link, is_closed=is_closed, looks_again=looks_again)

    stored = await world.stored(link)
    assert is_in(stored, CLAIM) if looks_again else stored.due_at is None
    assert (stored.sessions_closed_at is not None, stored.problem_code) == (is_closed, None)


async def test_before_a_key_goes_what_waits_to_be_stopped_is_due(world: World) -> None:
    """Of its integration alone; not what waits to be made, nor what nobody waits for."""
    other = await world.rows.integration()
    later = utc_now() + timedelta(hours=1)
    waiting = await world.link(PaymentLinkStatus.DEACTIVATED, due_at=later)
    over = await world.link(PaymentLinkStatus.DEACTIVATED, due_at=None)
    live = await world.link(PaymentLinkStatus.FAILED, due_at=later)
    elsewhere = await world.rows.payment_link(world.invoice, other, status=PaymentLinkStatus.DEACTIVATED, due_at=later)

    async with transaction():
        await lifecycle.stop_now(world.rows.workspace_id, world.integration.id)

    assert is_in(await world.stored(waiting), timedelta(0))
    assert (await world.stored(over)).due_at is None
    assert [(await world.stored(each)).due_at for each in (live, elsewhere)] == [later, later]


async def test_the_id_of_a_link_is_written_once(world: World) -> None:
    link = await world.link(PaymentLinkStatus.DEACTIVATED, provider_id=None)

    async with transaction():
        for found in (None, "plink_1", "plink_2"):
            await lifecycle.named(link, found)

    assert (await world.stored(link)).provider_id == "plink_1"


# --- What settlement decided -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "stop", "pause"),
    [
        (PaymentLinkStatus.COMPLETED, True, SESSION_GRACE),
        (PaymentLinkStatus.DEACTIVATED, True, timedelta(0)),
        (PaymentLinkStatus.COMPLETED, False, None),
    ],
)
async def test_a_link_that_a_payment_ends_is_stopped_in_its_time(
    world: World, status: PaymentLinkStatus, stop: bool, pause: timedelta | None
) -> None:
    """With as many tries as any."""
    link, now = await world.link(PaymentLinkStatus.ACTIVE, tries=7), utc_now()
    state = LinkState(link.id, link.integration_id, status, link.provider_id, link.amount, stop)

    async with transaction() as tx:
        await lifecycle.write(tx, [state], [], now)

    stored = await world.stored(link)
    assert (stored.status, stored.tries, stored.updated_at) == (status, 0, now)
    assert stored.due_at == (None if pause is None else now + pause)


@pytest.mark.parametrize("status", [PaymentLinkStatus.PENDING, PaymentLinkStatus.DEACTIVATED])
async def test_a_link_that_a_payment_leaves_to_be_made_is_due_unless_another_has_ended_it(
    world: World, status: PaymentLinkStatus
) -> None:
    now, invoice = utc_now(), world.invoice
    state = LinkState("plink_new", world.integration.id, status, None, 500)

    async with transaction() as tx:
        await lifecycle.write(tx, [], [NewLink(invoice.workspace_id, invoice.id, "USD", state)], now)

    stored = await scoped(PaymentLink, invoice.workspace_id).get(id="plink_new")
    assert (stored.amount, stored.currency, stored.status) == (500, "USD", status)
    assert (stored.tries, stored.attempt, stored.outcome_unknown) == (0, 1, False)
    assert stored.due_at == (now if status is PaymentLinkStatus.PENDING else None)
