"""The queue: who waits for whom, when it is full, and what is left when it closes."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from database.access import Database
from errors import UnavailableError
from inbox import queue
from inbox.queue import MAX_QUEUED, MAX_QUEUED_BYTES, Inbox
from models.integration import Integration
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
