"""What failed or was held is taken up again by itself, also by another process than the one that left it."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from database.access import Database
from gateways.stripe.events import READER_VERSION
from inbox.quarantine.release import Quarantine
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.kinds import InvoiceStatus, WebhookEventStatus
from models.secret import Keyring
from models.webhook_event import WebhookEvent
from models.workspace import Workspace
from tests.inbox.test_failing import mend, refuse_payments
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.app import ENCRYPTION_KEY
from tests.world.books import delivery, ours
from tests.world.eventually import eventually
from workers import sweep
from workers.sweep import Sweep


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep begins a hundred times as often."""
    monkeypatch.setattr(sweep, "INTERVAL_S", sweep.INTERVAL_S / 100)


@asynccontextmanager
async def process(database: Database) -> AsyncIterator[Inbox]:
    """A process that takes deliveries and sweeps."""
    async with AsyncExitStack() as stack:
        inbox = await stack.enter_async_context(Inbox(database, lambda _: None, lambda: None))
        quarantine = Quarantine(inbox, Keyring.parse([ENCRYPTION_KEY]), lambda _: None)
        await stack.enter_async_context(Sweep(inbox, quarantine, lambda _: None))
        yield inbox


async def has_attempts(webhook_event: WebhookEvent, attempts: int) -> bool:
    """Whether an event was tried so often."""
    return bool((await books.again(webhook_event)).attempts == attempts)


async def pause(webhook_event: WebhookEvent, since: datetime) -> timedelta:
    """How long after an instant an event is tried next."""
    retry_at = (await books.again(webhook_event)).retry_at
    assert retry_at is not None
    return retry_at - since


async def due_now(webhook_event: WebhookEvent) -> None:
    """Let the pause before the next try be over."""
    await books.change(webhook_event, retry_at=utc_now())


async def test_what_failed_is_tried_again_by_whatever_process_there_is_each_time_later(
    database: Database, workspace: Workspace, integration: Integration, logged: list[MutableMapping[str, Any]]
) -> None:
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    async with process(database) as inbox:
        await inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice))))
    (failed,) = await books.webhook_events_of(workspace)
    pauses = [await pause(failed, failed.received_at)]

    for attempts in (2, 3):
        async with process(database):
            before = utc_now()
            await due_now(failed)
            await eventually(lambda attempts=attempts: has_attempts(failed, attempts))  # type: ignore[misc]
        pauses.append(await pause(failed, before))
    await mend(database)
    async with process(database):
        await due_now(failed)
        await eventually(lambda: has_attempts(failed, 4))

    assert [round(each / timedelta(seconds=10)) for each in pauses] == [1, 2, 4]
    found = await books.again(failed)
    assert (found.status, found.deliveries, found.retry_at) == (WebhookEventStatus.PROCESSED, 1, None)
    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert any(entry["event"] == "webhook event failed" for entry in logged)


async def test_what_is_held_though_its_integration_is_on_is_applied(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    """The process that switched it on may have ended before it had applied all."""
    invoice = await books.add_invoice(integration)
    await books.change(integration, is_active=False)
    async with process(database) as inbox:
        await inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice))))
    (held,) = await books.webhook_events_of(workspace)
    await books.change(integration, is_active=True)

    async with process(database):
        await eventually(lambda: has_attempts(held, 1))

    assert held.status is WebhookEventStatus.HELD
    assert (await books.again(invoice)).status is InvoiceStatus.PAID


async def test_what_failed_is_applied_though_its_integration_was_disconnected_meanwhile(
    database: Database, workspace: Workspace, integration: Integration, logged: list[MutableMapping[str, Any]]
) -> None:
    """Stripe can post it no more."""
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    async with process(database) as inbox:
        await inbox.accept(delivery(integration, stripe.payment_intent_succeeded(**ours(invoice))))
    (failed,) = await books.webhook_events_of(workspace)
    await mend(database)
    await books.change(integration, is_active=False, webhook_token=None, disconnected_at=utc_now())

    async with process(database):
        await due_now(failed)
        await eventually(lambda: has_attempts(failed, 2))

    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert logged


async def test_what_an_earlier_version_could_not_read_is_applied_by_one_that_can(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    unread, still_unread = (stripe.payment_intent_succeeded(**ours(invoice), currency="dollars") for _ in range(2))
    async with AsyncExitStack() as stack:
        inbox = await stack.enter_async_context(Inbox(database, lambda _: None, lambda: None))
        for event in (unread, still_unread):
            receipt = await inbox.accept(delivery(integration, event))
            assert receipt.status is WebhookEventStatus.UNAPPLIED
    first, second = await books.webhook_events_of(workspace)
    unread["data"]["object"]["currency"] = "usd"
    await books.change(first, reader_version=READER_VERSION - 1, payload=stripe.body(unread))
    await books.change(second, reader_version=READER_VERSION - 1)

    async with process(database):
        await eventually(lambda: has_attempts(first, 2))
        await eventually(lambda: has_attempts(second, 2))

    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    tried = await books.again(second)
    assert (tried.status, tried.reader_version) == (WebhookEventStatus.UNAPPLIED, READER_VERSION)


@pytest.mark.parametrize("is_tied", [True, False])
async def test_money_that_may_be_counted_already_waits_once_for_what_says_so(
    database: Database, workspace: Workspace, integration: Integration, is_tied: bool
) -> None:
    """Half of an invoice, told by its Stripe invoice and by its intent; only the session names both."""
    invoice = await books.add_invoice(integration)
    told = ours(invoice) | {"amount": 1000}
    events = [
        stripe.payment_intent_succeeded(**told, payment_intent="pi_a", order="cs_a"),
        stripe.stripe_invoice_paid(**told, invoice="in_a"),
        stripe.checkout_session_completed(**told, session="cs_a", payment_intent="pi_a", invoice="in_a"),
    ]
    async with process(database) as inbox:
        for event in events[: 3 if is_tied else 2]:
            await inbox.accept(delivery(integration, event))
        waiting = (await books.webhook_events_of(workspace))[1]
        meanwhile = await books.again(invoice)
        await due_now(waiting)
        await eventually(lambda: has_attempts(waiting, 2))

    assert (waiting.status, waiting.reason_code) == (WebhookEventStatus.IGNORED, "PAYMENT_UNCLEAR")
    assert (meanwhile.status, meanwhile.amount_paid) == (InvoiceStatus.OPEN, 1000)
    assert {each.status for each in await books.webhook_events_of(workspace)} == {WebhookEventStatus.PROCESSED}
    now = await books.again(invoice)
    assert (now.status, now.amount_paid) == (
        (InvoiceStatus.OPEN, 1000) if is_tied else (InvoiceStatus.PAID, 2000)  # two after all
    )
