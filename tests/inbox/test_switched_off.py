"""What comes while an integration is switched off or disconnected."""

import asyncio

import pytest

from inbox import queue
from inbox.queue import Inbox
from models.instant import utc_now
from models.integration import Integration
from models.kinds import EventType, InvoiceStatus, WebhookEventStatus
from models.workspace import Workspace
from tests.inbox.delivering import deliver, deliver_in_turn, paid_and_completed, statuses
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import delivery, ours


@pytest.mark.parametrize("page", [2, 3, 200])
async def test_what_comes_while_the_integration_is_off_is_held_and_applied_in_order(
    inbox: Inbox, workspace: Workspace, integration: Integration, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(queue, "_PAGE", page)
    invoices = [await books.add_invoice(integration) for _ in range(3)]
    events = [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices]
    await books.change(integration, is_active=False)

    held = await deliver_in_turn(inbox, integration, *events, events[0])

    assert statuses(held) == {WebhookEventStatus.HELD}
    kept = await books.webhook_events_of(workspace)
    assert [(event.reason_code, event.deliveries, event.attempts) for event in kept] == [
        ("INTEGRATION_INACTIVE", 2, 0),
        ("INTEGRATION_INACTIVE", 1, 0),
        ("INTEGRATION_INACTIVE", 1, 0),
    ]
    assert not await books.payments_of(workspace)

    await books.change(integration, is_active=True)
    released = await inbox.release_held(await books.again(integration))

    assert released == 3
    log = await books.log_of(workspace)
    assert [entry.invoice_id for entry in log if entry.type is EventType.INVOICE_PAID] == [
        invoice.id for invoice in invoices
    ]
    for event in await books.webhook_events_of(workspace):
        assert (event.status, event.reason_code, event.attempts) == (WebhookEventStatus.PROCESSED, None, 1)
    assert await inbox.release_held(integration) == 0


async def test_what_is_held_stays_so_while_the_integration_is_off(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    await books.change(integration, is_active=False)
    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    await inbox.release_held(integration)

    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.status, kept.deliveries) == (WebhookEventStatus.HELD, 1)
    assert await books.log_types(workspace) == [EventType.WEBHOOK_EVENT_RECEIVED]


async def test_what_is_held_is_applied_by_its_next_delivery_too(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    event = stripe.payment_intent_succeeded(**ours(invoice))
    await books.change(integration, is_active=False)
    await deliver(inbox, integration, event)
    await books.change(integration, is_active=True)

    (receipt,) = await deliver(inbox, integration, event)

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert (await books.again(invoice)).status is InvoiceStatus.PAID


async def test_what_comes_after_the_integration_was_disconnected_is_not_stored(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    other = await books.add_integration(workspace)
    invoice = await books.add_invoice(other)
    events = paid_and_completed(invoice)
    await books.change(integration, disconnected_at=utc_now(), webhook_token=None)

    gone, taken = await asyncio.gather(
        inbox.accept(delivery(integration, events[0])), inbox.accept(delivery(other, events[1]))
    )

    assert (gone.status, gone.webhook_event_id) == (None, None)
    assert taken.status is WebhookEventStatus.PROCESSED
    assert [event.integration_id for event in await books.webhook_events_of(workspace)] == [other.id]
