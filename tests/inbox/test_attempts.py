"""When a webhook event came or was tried, by what, and what came of it each time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from database.scope import unscoped
from models.instant import utc_now
from models.integration import Integration
from models.kinds import WebhookEventStatus
from models.webhook_event import WebhookEvent
from models.webhook_event_attempt import MAX_KEPT, WebhookEventAttempt
from tests.world.books import delivery
from tests.world.business import Business, Json
from tests.world.stripe_payloads import Event, payment_intent_succeeded

HISTORY: Final = """
query ($id: ID!) { webhookEvent(id: $id) {
  id receivedAt deliveries history { at source status reason { code } }
} }
"""


async def connected(business: Business) -> str:
    return str((await business.connect(webhookSecret="whsec_0123456789abcdef"))["id"])


async def draft_and_payment(business: Business) -> tuple[str, Event]:
    """A draft's id, and the event of a payment for it."""
    draft = await business.draft()
    event = payment_intent_succeeded(invoice_id=draft, workspace_id=business.workspace.id, amount=2000, currency="usd")
    return draft, event


async def told(business: Business, event: Event) -> Json:
    found = await unscoped(WebhookEvent).get(workspace_id=business.workspace.id, provider_event_id=event["id"])
    return await business.mutate(HISTORY, id=found.id)


def in_short(webhook_event: Json) -> list[tuple[str, str, str | None]]:
    return [
        (each["source"], each["status"], each["reason"] and each["reason"]["code"]) for each in webhook_event["history"]
    ]


async def replay(business: Business, webhook_event: Json, **given: Any) -> None:
    document = "mutation ($id: ID!, $dryRun: Boolean) { replayWebhookEvent(id: $id, dryRun: $dryRun) { __typename } }"
    result = await business.mutate(document, id=webhook_event["id"], **given)
    assert result["__typename"] == "ReplayWebhookEventSuccess"


async def rows() -> int:
    return await unscoped(WebhookEventAttempt).all().count()


async def test_what_comes_once_is_told_by_its_own_row(business: Business) -> None:
    before = await rows()
    _, event = await draft_and_payment(business)
    await business.deliver(await connected(business), event)

    webhook_event = await told(business, event)

    assert in_short(webhook_event) == [("WEBHOOK", "UNAPPLIED", "INVOICE_DRAFT")]
    assert webhook_event["history"][0]["at"] == webhook_event["receivedAt"]
    assert await rows() == before


async def test_what_comes_again_is_told_in_order(business: Business) -> None:
    integration_id = await connected(business)
    invoice = await business.finalized()
    event = payment_intent_succeeded(
        invoice_id=invoice["id"], workspace_id=business.workspace.id, amount=2000, currency="usd"
    )
    for _ in range(3):
        await business.deliver(integration_id, event)

    webhook_event = await told(business, event)
    times = [each["at"] for each in webhook_event["history"]]

    assert in_short(webhook_event) == [("WEBHOOK", "PROCESSED", None)] * 3
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert times[0] == webhook_event["receivedAt"]


async def test_what_comes_again_is_told_by_when_it_came(business: Business) -> None:
    """Not by when it was written, which is later."""
    integration = await unscoped(Integration).get(id=await connected(business))
    _, event = await draft_and_payment(business)
    came = [utc_now() - timedelta(minutes=minutes) for minutes in (3, 2, 1)]

    for at in came:
        await business.services.inbox.accept(replace(delivery(integration, event), received_at=at))

    times = [datetime.fromisoformat(each["at"]) for each in (await told(business, event))["history"]]
    assert times == came


async def test_a_replay_is_told_with_what_came_of_it_and_a_dry_run_is_not(business: Business) -> None:
    draft, event = await draft_and_payment(business)
    await business.deliver(await connected(business), event)
    webhook_event = await told(business, event)

    await replay(business, webhook_event, dryRun=True)
    await replay(business, webhook_event)
    await business.finalize(draft)
    await replay(business, webhook_event)

    assert in_short(await told(business, event)) == [
        ("WEBHOOK", "UNAPPLIED", "INVOICE_DRAFT"),
        ("REPLAY", "UNAPPLIED", "INVOICE_DRAFT"),
        ("REPLAY", "PROCESSED", None),
    ]


async def test_applying_a_payment_by_hand_is_told(business: Business) -> None:
    _, event = await draft_and_payment(business)
    await business.deliver(await connected(business), event)
    (payment,) = (await business.mutate("{ payments(filter: {allocation: UNAPPLIED}) { nodes { id } } }"))["nodes"]
    invoice = await business.finalized()

    for _ in range(2):
        await business.mutate(
            "mutation ($p: ID!, $i: ID!) { applyPayment(paymentId: $p, invoiceId: $i) { __typename } }",
            p=payment["id"],
            i=invoice["id"],
        )

    assert in_short(await told(business, event)) == [
        ("WEBHOOK", "UNAPPLIED", "INVOICE_DRAFT"),
        ("APPLIED", "PROCESSED", None),
    ]


async def test_what_was_held_is_tried_by_itself(business: Business) -> None:
    integration_id = await connected(business)
    invoice = await business.finalized()
    event = payment_intent_succeeded(
        invoice_id=invoice["id"], workspace_id=business.workspace.id, amount=2000, currency="usd"
    )
    await business.update_integration(integration_id, isActive=False)
    await business.deliver(integration_id, event)
    await business.update_integration(integration_id, isActive=True)

    assert in_short(await told(business, event)) == [
        ("WEBHOOK", "HELD", "INTEGRATION_INACTIVE"),
        ("RETRY", "PROCESSED", None),
    ]


async def test_what_stripe_told_when_asked_is_a_sync(business: Business) -> None:
    """Also once Stripe has posted it."""
    integration_id = await connected(business)
    invoice = await business.finalized()
    events = await business.stripe.pay((await business.link(invoice["id"])).provider_id or "")
    synced = "mutation ($id: ID!) { syncStripeEvents(integrationId: $id) { __typename } }"

    assert (await business.mutate(synced, id=integration_id))["__typename"] == "SyncStripeEventsSuccess"
    once = [in_short(await told(business, event)) for event in events]
    await business.deliver(integration_id, *events)

    assert once == [[("SYNC", "PROCESSED", None)]] * len(events)
    for event in events:
        assert in_short(await told(business, event)) == [("SYNC", "PROCESSED", None), ("WEBHOOK", "PROCESSED", None)]


async def test_only_so_many_are_kept(business: Business) -> None:
    _, event = await draft_and_payment(business)
    integration_id = await connected(business)

    for _ in range(MAX_KEPT + 5):
        await business.deliver(integration_id, event)

    webhook_event = await told(business, event)
    assert webhook_event["deliveries"] == MAX_KEPT + 5
    assert len(webhook_event["history"]) == MAX_KEPT - 1  # the first counts as a delivery and as a try
    assert (await unscoped(WebhookEvent).get(id=webhook_event["id"])).status is WebhookEventStatus.UNAPPLIED
