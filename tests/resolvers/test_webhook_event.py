"""What was kept is tried again: by the same door as a delivery, and as often as one likes."""

from typing import Any, Final

from database.access import transaction
from database.scope import unscoped
from models.kinds import WebhookEventStatus
from models.webhook_event import WebhookEvent
from tests.world import stripe_payloads as stripe
from tests.world.business import Business

_OUTCOME: Final = "{ before after changes webhookEvent { id status } }"
REPLAY: Final = f"""
mutation ($id: ID!, $dryRun: Boolean) {{ replayWebhookEvent(id: $id, dryRun: $dryRun) {{
  __typename ... on ReplayWebhookEventSuccess {{ outcome {_OUTCOME} }} ... on Problem {{ code message }}
}} }}
"""
REPLAY_ALL: Final = f"""
mutation ($filter: WebhookEventFilter!, $dryRun: Boolean) {{ replayWebhookEvents(filter: $filter, dryRun: $dryRun) {{
  __typename ... on ReplayWebhookEventsSuccess {{ remaining outcomes {_OUTCOME} }} ... on Problem {{ code path }}
}} }}
"""


def paid(business: Business, invoice_id: str) -> stripe.Event:
    """The event of a payment of 20.00 USD."""
    return stripe.payment_intent_succeeded(
        amount=2000, currency="usd", invoice_id=invoice_id, workspace_id=business.workspace.id
    )


async def stored(integration: Any) -> WebhookEvent:
    """The only event of an integration."""
    return await unscoped(WebhookEvent).get(integration_id=integration["id"])


async def test_money_for_a_draft_is_applied_once_the_draft_is_finalized(business: Business) -> None:
    integration = await business.connect()
    draft = await business.draft("20.00")
    await business.deliver(integration["id"], paid(business, draft))
    waiting = await stored(integration)
    too_early = await business.mutate(REPLAY, id=waiting.id)
    await business.finalize(draft)

    rehearsed = await business.mutate(REPLAY, id=waiting.id, dryRun=True)
    untouched = await business.invoice(draft)
    replayed = await business.mutate(REPLAY, id=waiting.id)
    again = await business.mutate(REPLAY, id=waiting.id)

    assert (too_early["outcome"]["before"], too_early["outcome"]["after"]) == ("UNAPPLIED", "UNAPPLIED")
    assert (rehearsed["outcome"]["after"], untouched["status"]) == ("PROCESSED", "OPEN")
    assert rehearsed["outcome"]["changes"] == replayed["outcome"]["changes"]
    assert (again["outcome"]["before"], again["outcome"]["changes"]) == ("PROCESSED", [])
    found = await business.invoice(draft)
    assert (found["status"], found["amountPaid"]["amount"]) == ("PAID", "20.00")


async def test_what_is_held_has_to_be_switched_on_first(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await business.update_integration(integration["id"], isActive=False)
    await business.deliver(integration["id"], paid(business, invoice["id"]))

    refused = await business.mutate(REPLAY, id=(await stored(integration)).id)

    assert (refused["__typename"], refused["code"]) == ("Conflict", "INTEGRATION_INACTIVE")
    assert (await stored(integration)).status is WebhookEventStatus.HELD


async def test_what_was_held_when_stripe_was_disconnected_can_be_applied(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await business.update_integration(integration["id"], isActive=False)
    await business.deliver(integration["id"], paid(business, invoice["id"]))
    await business.mutate("mutation ($id: ID!) { disconnectStripe(id: $id) { __typename } }", id=integration["id"])

    replayed = await business.mutate(REPLAY, id=(await stored(integration)).id)

    assert replayed["outcome"]["after"] == "PROCESSED"
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_what_failed_is_replayed(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await business.update_integration(integration["id"], isActive=False)
    await business.deliver(integration["id"], paid(business, invoice["id"]))
    await business.update_integration(integration["id"], name="Still off")
    async with transaction() as tx:
        await tx.execute(
            "UPDATE webhook_events SET status = 'FAILED', reason_code = 'INTERNAL_ERROR' WHERE integration_id = $1",
            integration["id"],
        )
        await tx.execute("UPDATE integrations SET is_active = $2 WHERE id = $1", integration["id"], True)

    replayed = await business.mutate(REPLAY, id=(await stored(integration)).id)

    assert (replayed["outcome"]["before"], replayed["outcome"]["after"]) == ("FAILED", "PROCESSED")


async def test_verified_money_that_could_not_be_read_is_replayed(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    unread = paid(business, invoice["id"])
    unread["data"]["object"]["currency"] = "dollars"
    await business.deliver(integration["id"], unread)
    still_unread = await business.mutate(REPLAY, id=(await stored(integration)).id)
    unread["data"]["object"]["currency"] = "usd"  # what a later version reads
    async with transaction() as tx:
        await tx.execute(
            "UPDATE webhook_events SET payload = $2 WHERE integration_id = $1", integration["id"], stripe.body(unread)
        )

    replayed = await business.mutate(REPLAY, id=(await stored(integration)).id)

    assert (still_unread["outcome"]["before"], still_unread["outcome"]["after"]) == ("UNAPPLIED", "UNAPPLIED")
    assert (replayed["outcome"]["before"], replayed["outcome"]["after"]) == ("UNAPPLIED", "PROCESSED")
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_many_are_replayed_the_oldest_first_and_together_as_they_would_be(business: Business) -> None:
    integration = await business.connect()
    drafts = [await business.draft("20.00") for _ in range(3)]
    for draft in drafts:
        await business.deliver(integration["id"], paid(business, draft))
        await business.finalize(draft)

    rehearsed = await business.mutate(REPLAY_ALL, filter={"integrationId": integration["id"]}, dryRun=True)
    replayed = await business.mutate(REPLAY_ALL, filter={"integrationId": integration["id"]})
    again = await business.mutate(REPLAY_ALL, filter={"integrationId": integration["id"]})

    assert [each["after"] for each in rehearsed["outcomes"]] == ["PROCESSED"] * 3
    assert [each["changes"] for each in rehearsed["outcomes"]] == [each["changes"] for each in replayed["outcomes"]]
    assert (replayed["remaining"], again["outcomes"]) == (0, [])
    assert {(await business.invoice(draft))["status"] for draft in drafts} == {"PAID"}


async def test_what_is_processed_has_nothing_to_be_replayed(business: Business) -> None:
    refused = await business.mutate(REPLAY_ALL, filter={"status": ["PROCESSED"]})

    assert (refused["__typename"], refused["path"]) == ("InvalidInput", ["filter", "status"])
