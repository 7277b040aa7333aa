"""The queue: who waits for whom, when it is full, and what is left when it closes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from database.access import Database, transaction
from errors import UnavailableError
from inbox import queue
from inbox.delivery import Receipt
from inbox.queue import MAX_QUEUED, MAX_QUEUED_BYTES, Inbox
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import InvoiceStatus, WebhookEventStatus
from models.workspace import Workspace
from tests.inbox.delivering import deliver, deliver_in_turn, paid_and_completed, statuses
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, delivery, ours


async def test_a_caller_that_goes_away_cancels_nothing(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(4)]
    inbox = Inbox(database, lambda _: None, lambda: None)
    callers = [
        asyncio.ensure_future(inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))))
        for invoice in invoices
    ]
    errors: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    await asyncio.sleep(0)
    for caller in callers[::2]:
        caller.cancel()

    async with inbox:
        answers = await asyncio.gather(*callers, return_exceptions=True)
    loop.set_exception_handler(None)

    assert errors == []
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, True, False]
    assert {(await books.again(invoice)).status for invoice in invoices} == {InvoiceStatus.PAID}


async def test_callers_that_go_away_at_any_moment_cancel_nothing(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(20)]
    for turns, invoice in enumerate(invoices):
        event = stripe.payment_intent_succeeded(**ours(invoice))
        caller = asyncio.ensure_future(inbox.accept(delivery(integration, event)))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        caller.cancel()

    await inbox.__aexit__()

    assert {(await books.again(invoice)).status for invoice in invoices} == {InvoiceStatus.PAID}


async def test_what_comes_together_shares_its_commits_however_much_came_before(
    database: Database, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    commits: list[Any] = []

    async with Inbox(database, commits.append, lambda: None) as inbox:
        await deliver_in_turn(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)))
        alone = len(commits)
        await deliver(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(60)))

    assert alone == 20
    assert len(commits) - alone <= 4


async def test_senders_that_are_answered_together_share_the_next_commit_too(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_PATIENCE", 1e9)
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 0.25)  # so that other work doesn't make them late
    invoice = await books.add_invoice(integration)
    commits: list[Any] = []
    posts, senders = 20, 8

    async def send(turns: int) -> None:
        for event in [stripe.payment_intent_failed(**ours(invoice)) for _ in range(posts)]:
            for _ in range(turns):  # each takes a different time until it posts again
                await asyncio.sleep(0)
            await inbox.accept(delivery(integration, event))

    async with Inbox(database, commits.append, lambda: None) as inbox:
        await asyncio.gather(*(send(2 * number) for number in range(senders)))

    assert len(commits) < {"sqlite": 1.5, "postgres": 2.75}[database.dialect] * posts


@dataclass
class Clock:
    """How much later the loop's clock is than it was."""

    later_s: float = 0.0


def patient(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Have batches wait for ten minutes, by a clock that the test sets."""
    clock, loop = Clock(), asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + clock.later_s)
    monkeypatch.setattr(queue, "_PATIENCE", 1e9)
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)
    return clock


async def test_a_lone_delivery_does_not_wait_for_senders_that_were_answered_long_ago(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour later they don't come back together, however long a batch waits for those that were just answered."""
    invoice = await books.add_invoice(integration)
    clock = patient(monkeypatch)

    async with Inbox(database, lambda _: None, lambda: None) as inbox:
        await deliver(inbox, integration, *(stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)))
        clock.later_s = 3600.0
        async with asyncio.timeout(30):
            lone = await deliver_in_turn(inbox, integration, *paid_and_completed(invoice))

    assert statuses(lone) == {WebhookEventStatus.PROCESSED}


async def test_after_a_batch_has_waited_in_vain_the_next_ones_do_not_wait(
    database: Database, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders that do not wait for answers would be delayed each time."""
    invoice = await books.add_invoice(integration)
    clock = patient(monkeypatch)
    bursts = [[stripe.payment_intent_failed(**ours(invoice)) for _ in range(20)] for _ in range(2)]
    first, second = deliveries(integration, paid_and_completed(invoice))

    async with Inbox(database, lambda _: None, lambda: None) as inbox:
        await deliver(inbox, integration, *bursts[0])
        in_vain = asyncio.ensure_future(inbox.accept(first))
        for _ in range(10):  # until the batch waits
            await asyncio.sleep(0)
        clock.later_s = 700.0
        await in_vain
        await deliver(inbox, integration, *bursts[1])
        async with asyncio.timeout(30):
            receipt = await inbox.accept(second)

    assert receipt.status is WebhookEventStatus.PROCESSED


# --- Two batches at a time, on PostgreSQL ----------------------------------------------------------------------


@dataclass
class Stuck:
    """An inbox whose batch waits for the lock of an invoice."""

    inbox: Inbox
    commits: list[Any]
    first: asyncio.Future[Receipt]
    release: asyncio.Event

    async def end(self) -> Receipt:
        """Release the lock; return the receipt of the batch that waited for it."""
        self.release.set()
        return await self.first


@pytest.fixture
async def stuck(migrated_postgres_url: str) -> AsyncIterator[tuple[Stuck, Integration]]:
    """An inbox on PostgreSQL with a batch that waits for a lock, and its integration."""
    release = asyncio.Event()

    async def hold(invoice: Invoice, held: asyncio.Event) -> None:
        async with transaction() as tx:
            await tx.fetch(tx.for_update("SELECT id FROM invoices WHERE id = $1"), invoice.id)
            held.set()
            await release.wait()

    async with Database(migrated_postgres_url) as database:
        workspace = await books.add_workspace()
        integration = await books.add_integration(workspace)
        invoice = await books.add_invoice(integration)
        commits: list[Any] = []
        async with Inbox(database, commits.append, lambda: None) as inbox:
            held = asyncio.Event()
            holding = asyncio.ensure_future(hold(invoice, held))
            await held.wait()
            event = stripe.payment_intent_succeeded(**ours(invoice))
            first = asyncio.ensure_future(inbox.accept(delivery(integration, event)))
            await _some_turns()
            assert inbox._in_flight == 1
            yield Stuck(inbox, commits, first, release), integration
            release.set()
            await asyncio.gather(holding, first)


async def _some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _other_events(count: int) -> list[stripe.Event]:
    return [stripe.payment_intent_failed() for _ in range(count)]


async def test_few_deliveries_wait_for_the_batch_that_is_being_written(
    stuck: tuple[Stuck, Integration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)
    busy, integration = stuck
    few = [
        asyncio.ensure_future(busy.inbox.accept(each))
        for each in deliveries(integration, _other_events(queue._WORTHWHILE - 1))
    ]
    await _some_turns()
    assert busy.inbox._in_flight == 1

    assert (await busy.end()).status is WebhookEventStatus.PROCESSED
    await asyncio.gather(*few)

    assert len(busy.commits) == 2


async def test_enough_deliveries_are_written_beside_it(
    stuck: tuple[Stuck, Integration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)
    busy, integration = stuck
    async with asyncio.timeout(30):
        await deliver(busy.inbox, integration, *_other_events(queue._WORTHWHILE))

    assert len(busy.commits) == 1
    assert not busy.first.done()


async def test_few_do_not_wait_long_for_a_batch_that_waits_for_a_lock(stuck: tuple[Stuck, Integration]) -> None:
    busy, integration = stuck
    async with asyncio.timeout(2):
        await deliver(busy.inbox, integration, *_other_events(1))

    assert not busy.first.done()


async def test_an_inbox_that_closes_waits_for_nothing(
    stuck: tuple[Stuck, Integration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_MAX_PATIENCE_S", 600.0)
    busy, integration = stuck
    lone = asyncio.ensure_future(deliver(busy.inbox, integration, *_other_events(1)))
    await _some_turns()
    closing = asyncio.ensure_future(busy.inbox.__aexit__())

    async with asyncio.timeout(2):
        await lone

    assert not busy.first.done()
    await busy.end()
    await closing


async def test_a_queue_that_is_full_refuses_what_comes_then_and_loses_nothing(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    inbox = Inbox(database, lambda _: None, lambda: None)
    waiting = [asyncio.ensure_future(inbox.accept(given)) for _ in range(MAX_QUEUED)]
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError):
        await inbox.accept(given)

    async with inbox:
        assert statuses(await asyncio.gather(*waiting)) == {WebhookEventStatus.PROCESSED}
        assert (await inbox.accept(given)).status is WebhookEventStatus.PROCESSED
    (kept,) = await books.webhook_events_of(workspace)
    assert kept.deliveries == MAX_QUEUED + 1


async def test_a_queue_is_full_by_its_bytes_too(database: Database, integration: Integration) -> None:
    inbox = Inbox(database, lambda _: None, lambda: None)
    half = delivery(integration, b" " * (MAX_QUEUED_BYTES // 2))
    waiting = [asyncio.ensure_future(inbox.accept(half)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError):
        await inbox.accept(delivery(integration, b" "))

    async with inbox:
        assert statuses(await asyncio.gather(*waiting)) == {WebhookEventStatus.IGNORED}
        assert (await inbox.accept(delivery(integration, b" "))).status is WebhookEventStatus.IGNORED


@pytest.mark.slow
async def test_closing_settles_what_is_queued_and_takes_nothing_more(
    database: Database, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(300)]
    inbox = Inbox(database, lambda _: None, lambda: None)
    async with inbox:
        callers = [
            asyncio.ensure_future(inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))))
            for invoice in invoices
        ]
        await asyncio.sleep(0)

    assert statuses(await asyncio.gather(*callers)) == {WebhookEventStatus.PROCESSED}
    with pytest.raises(UnavailableError):
        await inbox.accept(delivery(integration, b"{}"))
