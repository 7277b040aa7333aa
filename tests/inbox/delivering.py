"""Delivers events to an inbox, all at once, one after the other, or in one batch."""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

from database.access import Database
from inbox.delivery import Delivery, Receipt
from inbox.queue import Inbox
from models.integration import Integration
from models.invoice import Invoice
from models.kinds import WebhookEventStatus
from models.webhook_event import WebhookEvent
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, ours
from tests.world.stripe_payloads import Event

Logged = list[MutableMapping[str, Any]]


async def deliver(inbox: Inbox, integration: Integration, *events: Event | bytes) -> list[Receipt]:
    """Deliver all at once."""
    return await asyncio.gather(*(inbox.accept(each) for each in deliveries(integration, events)))


async def deliver_in_turn(inbox: Inbox, integration: Integration, *events: Event) -> list[Receipt]:
    """Deliver each when the one before is through."""
    return [await inbox.accept(each) for each in deliveries(integration, events)]


async def deliver_in_one_batch(database: Database, given: Sequence[Delivery]) -> list[Receipt]:
    """Queue all before the inbox begins to work."""
    inbox = Inbox(database, lambda _: None, lambda: None)
    waiting = [asyncio.ensure_future(inbox.accept(each)) for each in given]
    await asyncio.sleep(0)
    async with inbox:
        return await asyncio.gather(*waiting)


def statuses_of(webhook_events: Sequence[WebhookEvent]) -> set[WebhookEventStatus]:
    """How webhook events stand."""
    return {webhook_event.status for webhook_event in webhook_events}


def statuses(receipts: Sequence[Receipt]) -> set[WebhookEventStatus | None]:
    """What became of deliveries."""
    return {receipt.status for receipt in receipts}


def paid_and_completed(invoice: Invoice, **told: Any) -> list[Event]:
    """The two events that Stripe sends of a payment by card."""
    intent = stripe.fresh("pi")
    return [
        stripe.payment_intent_succeeded(**ours(invoice), payment_intent=intent, **told),
        stripe.checkout_session_completed(**ours(invoice), payment_intent=intent, **told),
    ]
