"""What fails is kept, tried again, and replayed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from database.access import Database, in_transaction, transaction
from database.scope import scoped
from database.transaction import Transaction
from inbox.batch import post_failure
from inbox.delivery import kept
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import Allocation, EventType, InvoiceStatus, WebhookEventStatus
from models.payment import Payment
from models.workspace import Workspace
from tests.inbox.delivering import Logged, deliver, deliver_in_one_batch, deliver_in_turn
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, delivery, ours
from tests.world.eventually import eventually
from tests.world.heard import somebody_waits


async def refuse_payments(database: Database, invoice: Invoice) -> None:
    """Let the database refuse whatever pays an invoice."""
    async with transaction() as tx:
        await tx.execute(
            f"ALTER TABLE invoices ADD CONSTRAINT broken CHECK (id <> '{invoice.id}' OR amount_paid = 0)"
            if database.dialect == "postgres"
            else f"CREATE TRIGGER broken BEFORE UPDATE ON invoices WHEN new.id = '{invoice.id}'"
            " BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: broken'); END"
        )


async def mend(database: Database) -> None:
    """Take that back."""
    async with transaction() as tx:
        await tx.execute(
            "ALTER TABLE invoices DROP CONSTRAINT broken" if database.dialect == "postgres" else "DROP TRIGGER broken"
        )


async def test_a_delivery_that_fails_fails_alone_and_can_be_mended(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(5)]
    broken = invoices[2]
    batch = deliveries(integration, [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices])
    await refuse_payments(database, broken)

    receipts = await deliver_in_one_batch(database, batch)

    expected = [WebhookEventStatus.PROCESSED] * 5
    expected[2] = WebhookEventStatus.FAILED
    assert [receipt.status for receipt in receipts] == expected
    assert [(await books.again(invoice)).amount_paid for invoice in invoices] == [2000, 2000, 0, 2000, 2000]
    assert len(await books.payments_of(workspace)) == 4
    failed = next(event for event in await books.webhook_events_of(workspace) if event.delivery_key == batch[2].key)
    assert (failed.reason_code, failed.attempts, failed.deliveries) == ("INTERNAL_ERROR", 1, 1)
    assert [entry["reference"] for entry in logged if entry["log_level"] == "error"] == [failed.reason_detail]
    assert failed.retry_at is not None
    assert failed.retry_at > utc_now()
    assert (failed.payload, failed.processed_at, failed.payment_id) == (batch[2].body, None, None)

    (again,) = await deliver_in_one_batch(database, [batch[2]])
    assert again.status is WebhookEventStatus.FAILED

    await mend(database)
    (mended,) = await deliver_in_one_batch(database, [batch[2]])

    assert (mended.status, mended.webhook_event_id) == (WebhookEventStatus.PROCESSED, failed.id)
    kept = await books.again(failed)
    assert (kept.attempts, kept.deliveries, kept.reason_code, kept.retry_at) == (3, 3, None, None)
    assert kept.processed_at is not None
    assert (await books.again(broken)).status is InvoiceStatus.PAID
    told = [entry.type for entry in await books.log_of(workspace) if entry.webhook_event_id == failed.id]
    assert told == [
        EventType.WEBHOOK_EVENT_RECEIVED,
        EventType.WEBHOOK_EVENT_UPDATED,
        EventType.WEBHOOK_EVENT_UPDATED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.INVOICE_PAID,
    ]


async def test_a_row_that_contradicts_a_delivery_fails_it_alone(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    """A payment that exists without its names: the conflict does not go away by trying again at once."""
    invoices = [await books.add_invoice(integration) for _ in range(3)]
    contradiction = await books.add_nameless_payment(integration, "pi_1")
    events = [
        stripe.payment_intent_succeeded(**ours(invoice), payment_intent=f"pi_{number}")
        for number, invoice in enumerate(invoices)
    ]

    receipts = await deliver_in_one_batch(database, deliveries(integration, events))

    assert [receipt.status for receipt in receipts] == [
        WebhookEventStatus.PROCESSED,
        WebhookEventStatus.FAILED,
        WebhookEventStatus.PROCESSED,
    ]
    async with transaction():
        await scoped(Payment, workspace.id).filter(id=contradiction.id).delete()

    (mended,) = await deliver_in_one_batch(database, deliveries(integration, events[1:2]))

    assert mended.status is WebhookEventStatus.PROCESSED


async def test_whoever_follows_is_woken_once_something_failed(
    database: Database, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    woken: list[Mapping[str, int]] = []

    async with Inbox(database, woken.append, lambda: None) as inbox:
        await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    assert woken == [{workspace.id: 1}]


async def test_what_failed_is_retried_without_counting_a_delivery(
    database: Database, inbox: Inbox, workspace: Workspace, integration: Integration, logged: Logged
) -> None:
    invoice = await books.add_invoice(integration)
    await refuse_payments(database, invoice)
    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await mend(database)
    (failed,) = await books.webhook_events_of(workspace)

    await inbox.accept(kept(integration, failed))

    found = await books.again(failed)
    assert (found.status, found.deliveries, found.attempts) == (WebhookEventStatus.PROCESSED, 1, 2)
    assert (await books.traffic_of(integration)).deliveries == 1


async def test_money_that_fitted_no_invoice_is_applied_when_it_is_replayed_and_fits(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration, currency="EUR")
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    first = await inbox.accept(given)
    await books.change(invoice, currency="USD")
    posted = await inbox.accept(given)

    replayed = await inbox.accept(replace(given, again=True, posts=0))

    assert (first.before, first.status) == (None, WebhookEventStatus.UNAPPLIED)
    assert (posted.before, posted.status) == (WebhookEventStatus.UNAPPLIED, WebhookEventStatus.UNAPPLIED)
    assert (replayed.before, replayed.status) == (WebhookEventStatus.UNAPPLIED, WebhookEventStatus.PROCESSED)
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.reason_code, kept.deliveries, kept.attempts) == (None, 2, 2)
    (payment,) = await books.payments_of(workspace)
    assert (payment.allocation, payment.unapplied_code) == (Allocation.APPLIED, None)
    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert (await books.log_types(workspace))[-2:] == [EventType.PAYMENT_APPLIED, EventType.INVOICE_PAID]


async def test_a_replay_decides_anew_though_stripe_posts_the_same_at_the_same_time(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration, currency="EUR")
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await inbox.accept(given)
    await books.change(invoice, currency="USD")

    _, replayed = await deliver_in_one_batch(database, [given, replace(given, again=True, posts=0)])

    assert replayed.status is WebhookEventStatus.PROCESSED
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.deliveries, kept.attempts) == (2, 2)
    assert (await books.again(invoice)).status is InvoiceStatus.PAID


async def test_what_is_ignored_for_good_is_not_tried_again_by_its_next_delivery(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    event = stripe.payment_intent_succeeded()

    await deliver_in_turn(inbox, integration, event, event)

    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.reason_code, kept.deliveries, kept.attempts) == ("NO_METADATA", 2, 1)


async def test_what_is_applied_already_is_not_applied_again_by_a_replay(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    given = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
    await inbox.accept(given)
    before = await books.log_types(workspace)

    receipt = await inbox.accept(replace(given, again=True, posts=0))

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert await books.log_types(workspace) == before


async def test_an_event_that_fails_in_two_processes_at_once_is_kept_once_and_both_answer(
    migrated_postgres_url: str, logged: Logged
) -> None:
    async with Database(migrated_postgres_url) as database:
        workspace = await books.add_workspace()
        integration = await books.add_integration(workspace)
        invoice = await books.add_invoice(integration)
        await refuse_payments(database, invoice)
        failing = delivery(integration, stripe.payment_intent_succeeded(**ours(invoice)))
        is_kept, may_end = asyncio.Event(), asyncio.Event()

        async def keep(tx: Transaction) -> None:
            await post_failure(tx, failing, "elsewhere")
            await tx.finish()
            is_kept.set()
            await may_end.wait()

        elsewhere = asyncio.create_task(in_transaction(keep))
        await is_kept.wait()
        here = asyncio.create_task(deliver_in_one_batch(database, [failing]))
        await eventually(somebody_waits)
        may_end.set()

        (receipt,) = await here
        await elsewhere
        (kept_event,) = await books.webhook_events_of(workspace)
        assert (receipt.status, receipt.webhook_event_id) == (WebhookEventStatus.FAILED, kept_event.id)
        assert (kept_event.deliveries, kept_event.attempts) == (2, 2)
        assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == ["webhook event failed"]
