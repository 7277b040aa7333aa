"""What is posted is kept byte for byte, whatever it says."""

import pytest

from gateways.stripe.events import READER_VERSION, read
from inbox.delivery import body_key
from inbox.queue import Inbox
from models.instant import from_epoch
from models.integration import Integration
from models.kinds import EventType, WebhookEventStatus
from models.payment_fact import UnreadableError
from models.workspace import Workspace
from tests.inbox.delivering import deliver, statuses
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import ours

UNREADABLE = [
    b"",
    b"{",
    b"\xff\x00\xfe",
    b"[" * 100_000,
    stripe.body(stripe.payment_intent_succeeded(currency="dollars")),
    stripe.body(stripe.payment_intent_succeeded(metadata={"invoice_id": "inv\0"})),
    stripe.body(stripe.payment_intent_succeeded(event_id="evt\0") | {"type": "a\0"}),
]


def readable_id(body: bytes) -> str | None:
    """The id of a body that is an event all the same."""
    with pytest.raises(UnreadableError) as refusal:
        read(body)
    return refusal.value.event_id


async def test_what_cannot_be_read_is_kept_byte_for_byte(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    receipts = await deliver(inbox, integration, *UNREADABLE, *UNREADABLE)

    assert statuses(receipts) == {WebhookEventStatus.IGNORED, WebhookEventStatus.UNAPPLIED}
    kept = {event.delivery_key: event for event in await books.webhook_events_of(workspace)}
    assert set(kept) == {readable_id(body) or body_key(body) for body in UNREADABLE}
    for body in UNREADABLE:
        provider_event_id = readable_id(body)
        event = kept[provider_event_id or body_key(body)]
        assert (event.payload, event.reason_code, event.deliveries) == (body, "UNREADABLE_PAYLOAD", 2)
        assert (event.provider_event_id, event.livemode) == (provider_event_id, None)
        assert (event.type is None) == (provider_event_id is None)
        assert event.reason_detail
        may_be_money = event.type == "payment_intent.succeeded"
        assert event.status is (WebhookEventStatus.UNAPPLIED if may_be_money else WebhookEventStatus.IGNORED)
        assert event.reader_version == (READER_VERSION if may_be_money else None)
    assert await books.log_types(workspace) == [EventType.WEBHOOK_EVENT_RECEIVED] * len(UNREADABLE)


async def test_what_can_be_read_is_kept_byte_for_byte_too(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    body = stripe.body(stripe.payment_intent_failed(metadata={"note": "ünïcode 💶 \\u0000 \0 done"})) + b"\n \r\n"

    await deliver(inbox, integration, body)

    (kept,) = await books.webhook_events_of(workspace)
    assert kept.payload == body
    assert (kept.type, kept.api_version, kept.livemode) == ("payment_intent.payment_failed", stripe.NEW, False)


async def test_whatever_stripe_says_of_a_failure_can_be_stored(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    error = {"code": "a\0b", "message": "Refusé: '\"; -- 💳\0" + "x" * 5000}

    (receipt,) = await deliver(inbox, integration, stripe.payment_intent_failed(**ours(invoice), error=error))

    assert receipt.status is WebhookEventStatus.PROCESSED
    (payment,) = await books.payments_of(workspace)
    assert payment.failure_code == "ab"
    assert str(payment.failure_message).startswith("Refusé: '\"; -- 💳xxx")


@pytest.mark.parametrize("created", [0, 253_402_300_799])
async def test_any_instant_that_stripe_may_tell_can_be_stored(
    inbox: Inbox, integration: Integration, created: int
) -> None:
    invoice = await books.add_invoice(integration)

    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice), created=created))

    assert (await books.again(invoice)).paid_at == from_epoch(created)


async def test_the_largest_amount_can_be_stored(inbox: Inbox, integration: Integration) -> None:
    invoice = await books.add_invoice(integration, total=1)
    events = [stripe.payment_intent_succeeded(**ours(invoice), amount=10**15) for _ in range(20)]

    await deliver(inbox, integration, *events)

    assert (await books.again(invoice)).amount_paid == 20 * 10**15
