"""What Stripe's posts did not bring is fetched: events since the last time, and links that were paid."""

import time
from datetime import timedelta
from typing import Any, Final

import pytest

from database.access import transaction
from database.scope import unscoped
from errors import StripeUnavailableError
from gateways.stripe.checkup import Checkup
from inbox import sync
from inbox.sync import Progress
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic
from models.kinds import WebhookEventStatus
from models.payment_link import PaymentLink
from models.webhook_event import WebhookEvent
from payment_links import lifecycle
from tests.world import stripe_payloads as stripe
from tests.world.business import Business
from workers.reconcile import Reconciliation

INTERVAL_S: Final = 300.0
SYNC: Final = """
mutation ($id: ID!, $since: DateTime) { syncStripeEvents(integrationId: $id, since: $since) {
  __typename
  ... on SyncStripeEventsSuccess { found alreadyKnown applied failed since complete gap { code message } }
  ... on Problem { code message path }
} }
"""


async def paid_unheard(business: Business) -> dict[str, Any]:
    """An invoice that was paid at Stripe, which told nobody."""
    invoice = await business.finalized("20.00")
    await business.stripe.pay(invoice["paymentLink"]["stripeId"], deliveries=0)
    return invoice


async def traffic(integration: Any) -> IntegrationTraffic:
    """What is known of an integration's events."""
    return await unscoped(IntegrationTraffic).get(integration_id=integration["id"])


async def test_what_never_arrived_is_fetched_and_applied_once(business: Business) -> None:
    integration = await business.connect()
    invoices = [await paid_unheard(business) for _ in range(3)]

    first = await business.mutate(SYNC, id=integration["id"])
    second = await business.mutate(SYNC, id=integration["id"])

    assert (first["found"], first["alreadyKnown"], first["applied"], first["complete"]) == (6, 0, 6, True)
    assert (second["found"], second["alreadyKnown"], second["applied"]) == (6, 6, 0)
    for invoice in invoices:
        found = await business.invoice(invoice["id"])
        assert (found["status"], found["amountPaid"]["amount"]) == ("PAID", "20.00")
    stored = await unscoped(WebhookEvent).filter(integration_id=integration["id"])
    assert {(each.status, each.deliveries) for each in stored} == {(WebhookEventStatus.PROCESSED, 0)}
    posted = await traffic(integration)
    assert (posted.deliveries, posted.last_event_at) == (0, None)


async def test_it_goes_on_from_where_it_ended(business: Business) -> None:
    integration = await business.connect()
    await paid_unheard(business)
    before = utc_now()

    await business.mutate(SYNC, id=integration["id"])

    position = (await traffic(integration)).synced_until
    assert position is not None
    assert position >= before - timedelta(seconds=1)
    assert (await business.mutate(SYNC, id=integration["id"]))["since"] < before.isoformat()


async def test_what_was_asked_for_again_and_not_read_to_the_end_is_gone_on_with(business: Business) -> None:
    integration = await business.connect()
    await paid_unheard(business)
    row = await unscoped(Integration).get(id=integration["id"])
    async with transaction():
        further = utc_now() + timedelta(days=1)
        await unscoped(IntegrationTraffic).filter(integration_id=row.id).update(synced_until=further)

    broken_off = await business.services.sync.fetch_events(row, utc_now() - timedelta(days=7), within_s=0)
    synced = await business.mutate(SYNC, id=integration["id"])

    assert broken_off.complete is False
    assert (synced["applied"], synced["complete"]) == (2, True)


async def test_many_events_are_read_in_pages_the_oldest_first(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 2)
    integration = await business.connect()
    for _ in range(4):
        await paid_unheard(business)
    told: list[Progress] = []
    row = await unscoped(Integration).get(id=integration["id"])

    progress = await business.services.sync.fetch_events(row, on_progress=told.append)

    assert (progress.found, progress.applied, progress.complete) == (8, 8, True)
    assert [each.until for each in told] == sorted(each.until for each in told)
    assert told[-1].found == 8


async def test_an_inactive_integration_keeps_what_is_fetched(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)
    await business.update_integration(integration["id"], isActive=False)

    synced = await business.mutate(SYNC, id=integration["id"])

    assert (synced["found"], synced["applied"]) == (2, 0)
    assert (await business.invoice(invoice["id"]))["status"] == "OPEN"
    await business.update_integration(integration["id"], isActive=True)
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_more_than_stripe_keeps_is_said(business: Business) -> None:
    integration = await business.connect()

    since = (utc_now() - timedelta(days=45)).isoformat()
    synced = await business.mutate(SYNC, id=integration["id"], since=since)

    assert (synced["complete"], synced["gap"]["code"]) == (True, "EVENTS_GONE")


async def test_what_stripe_no_longer_keeps_is_said_once_and_gone_on_from(business: Business) -> None:
    integration = await business.connect()
    await paid_unheard(business)
    async with transaction():
        long_ago = utc_now() - timedelta(days=45)
        await unscoped(IntegrationTraffic).filter(integration_id=integration["id"]).update(synced_until=long_ago)

    first = await business.mutate(SYNC, id=integration["id"])
    second = await business.mutate(SYNC, id=integration["id"])

    assert (first["applied"], first["complete"], first["gap"]["code"]) == (2, True, "EVENTS_GONE")
    assert (second["complete"], second["gap"]) == (True, None)
    assert second["since"] > (utc_now() - timedelta(days=1)).isoformat()


async def test_an_instant_after_the_position_leaves_it_where_it_is(business: Business) -> None:
    """What lies between the two is still to be read."""
    integration = await business.connect()
    async with transaction():
        position = utc_now() - timedelta(days=10)
        await unscoped(IntegrationTraffic).filter(integration_id=integration["id"]).update(synced_until=position)

    await business.mutate(SYNC, id=integration["id"], since=(utc_now() - timedelta(days=5)).isoformat())

    assert (await traffic(integration)).synced_until == position


@pytest.mark.parametrize(("days", "code"), [(1, "INVALID_INPUT")])
async def test_an_instant_to_come_is_refused(business: Business, days: int, code: str) -> None:
    integration = await business.connect()

    refused = await business.mutate(SYNC, id=integration["id"], since=(utc_now() + timedelta(days=days)).isoformat())

    assert (refused["__typename"], refused["code"], refused["path"]) == ("InvalidInput", code, ["since"])


async def test_a_rate_limit_is_waited_out(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe does not say for how long: for a second, each time, and the third time is the last."""
    monkeypatch.setattr(sync, "_PATIENCE", 3)
    monkeypatch.setattr(sync, "_MAX_WAIT_S", 1.0)
    integration = await business.connect()
    await paid_unheard(business)
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=429, times=2)
    began = time.monotonic()

    synced = await business.mutate(SYNC, id=integration["id"])

    assert time.monotonic() - began >= 2
    assert (synced["applied"], synced["complete"]) == (2, True)


async def test_a_rate_limit_is_waited_out_without_a_deadline(business: Business) -> None:
    integration = await business.connect()
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=429)
    row = await unscoped(Integration).get(id=integration["id"])

    assert (await business.services.sync.fetch_events(row)).complete


async def test_a_rate_limit_that_ends_after_the_deadline_is_not_waited_out(business: Business) -> None:
    integration = await business.connect()
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=429)
    row = await unscoped(Integration).get(id=integration["id"])

    with pytest.raises(StripeUnavailableError):
        await business.services.sync.fetch_events(row, within_s=0.9)


async def test_a_key_that_may_not_read_is_told(business: Business) -> None:
    integration = await business.connect()
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=401, times=9)

    refused = await business.mutate(SYNC, id=integration["id"])

    assert (refused["__typename"], refused["code"]) == ("StripeRefused", "KEY_REJECTED")


async def test_a_link_that_stripe_says_is_paid_pays_its_invoice(business: Business) -> None:
    """Also when its event is not among those that Stripe still lists."""
    integration = await business.connect()
    invoice = await paid_unheard(business)
    row = await unscoped(Integration).get(id=integration["id"])
    async with transaction():
        await unscoped(PaymentLink).filter(invoice_id=invoice["id"]).update(created_at=utc_now() - timedelta(days=40))

    paid = await business.services.sync.check_links(row)
    again = await business.services.sync.check_links(row, rest=timedelta(0))

    assert (paid, again) == (1, 0)
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    (made,) = await unscoped(WebhookEvent).filter(integration_id=integration["id"])
    assert (made.provider_event_id, made.status) == (None, WebhookEventStatus.PROCESSED)
    synced = await business.mutate(SYNC, id=integration["id"])
    assert (await business.invoice(invoice["id"]))["amountPaid"]["amount"] == "20.00"
    assert synced["failed"] == 0


async def old_link(invoice: dict[str, Any], **columns: Any) -> None:
    """Let an invoice's link be old enough to be asked about."""
    async with transaction():
        links = unscoped(PaymentLink).filter(invoice_id=invoice["id"])
        await links.update(created_at=utc_now() - timedelta(days=40), **columns)


async def test_a_link_that_was_just_made_is_not_asked_about(business: Business) -> None:
    integration = await business.connect()
    await paid_unheard(business)
    row = await unscoped(Integration).get(id=integration["id"])

    assert await business.services.sync.check_links(row) == 0


async def test_a_link_that_was_asked_about_rests_for_a_while(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await old_link(invoice)
    row = await unscoped(Integration).get(id=integration["id"])
    unpaid = await business.services.sync.check_links(row)
    await business.stripe.pay(invoice["paymentLink"]["stripeId"], deliveries=0)

    resting = await business.services.sync.check_links(row)
    rested = await business.services.sync.check_links(row, rest=timedelta(0))

    assert (unpaid, resting, rested) == (0, 0, 1)


async def test_a_link_that_stripe_does_not_know_does_not_stand_in_the_way_of_others(business: Business) -> None:
    """As those do that another account has made, from which the integration was moved."""
    integration = await business.connect()
    elsewhere = await business.finalized("20.00")
    invoice = await paid_unheard(business)
    await old_link(elsewhere, provider_id="plink_of_another_account")
    await old_link(invoice)
    row = await unscoped(Integration).get(id=integration["id"])

    paid = await business.services.sync.check_links(row)

    assert paid == 1
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_a_bank_debit_that_came_through_unheard_pays_its_invoice(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    link = invoice["paymentLink"]["stripeId"]
    await business.deliver(integration["id"], *await business.stripe.pay(link, outcome="async", deliveries=0))
    await old_link(invoice)
    row = await unscoped(Integration).get(id=integration["id"])
    nothing = await business.services.sync.check_links(row, rest=timedelta(0))
    under_way = await business.invoice(invoice["id"])
    await business.stripe.settle(link, "succeeded")

    paid = await business.services.sync.check_links(row, rest=timedelta(0))

    assert (under_way["status"], nothing, paid) == ("OPEN", 0, 1)
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def reconcile_due(business: Business) -> None:
    """What every process does now and then."""
    await Reconciliation(business.services.sync, business.services.checkup, INTERVAL_S).reconcile_due()


async def aged(integration: Any, **columns: Any) -> Integration:
    """Let an integration be of hours ago, so that it is due."""
    long_ago = utc_now() - timedelta(hours=2)
    async with transaction() as tx:
        await unscoped(Integration).filter(id=integration["id"]).update(created_at=long_ago, **columns)
        await tx.execute(
            "UPDATE integration_traffic SET sync_due_at = NULL WHERE integration_id = $1", integration["id"]
        )
    return await unscoped(Integration).get(id=integration["id"])


async def test_what_is_the_matter_is_looked_for_every_hour(business: Business) -> None:
    integration = await business.connect(webhookSecret="whsec_abcdefghijklmnop")
    await reconcile_due(business)
    unchecked = await business.integration(integration["id"])
    await aged(integration)

    await reconcile_due(business)

    found = await business.integration(integration["id"])
    unheard = ["PUBLIC_URL_LOCAL", "NO_EVENT_YET"]
    assert [each["code"] for each in unchecked["health"]["problems"]] == unheard
    assert [each["code"] for each in found["health"]["problems"]] == [
        "PUBLIC_URL_LOCAL",
        "ENDPOINT_MISSING",
        unheard[1],
    ]


async def test_a_key_that_was_rejected_and_works_again_is_taken_up_again(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)
    await aged(integration, key_problem="Stripe said so.")

    await reconcile_due(business)

    assert (await business.integration(integration["id"]))["status"] != "KEY_REJECTED"
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_a_rejected_key_is_tried_every_few_minutes_alone(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)
    await aged(integration, key_problem="Stripe said so.", checked_at=utc_now())

    await reconcile_due(business)

    assert (await business.integration(integration["id"]))["status"] == "KEY_REJECTED"
    assert (await business.invoice(invoice["id"]))["status"] == "OPEN"


async def test_links_are_asked_about_though_the_key_may_not_read_the_events(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)
    await old_link(invoice)
    await aged(integration, checked_at=utc_now())
    await business.stripe.fault("status_before", method="GET", path="/v1/events", status=403, times=9)

    await reconcile_due(business)

    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_of_several_processes_one_reconciles(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)

    await reconcile_due(business)
    first = (await traffic(integration)).sync_due_at
    await reconcile_due(business)

    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    assert (await traffic(integration)).sync_due_at == first


async def _claimed(integration: Any, *, ago: timedelta) -> None:
    """Let an integration have had its turn a while ago."""
    due_at = utc_now() - ago + timedelta(seconds=INTERVAL_S)
    async with transaction() as tx:
        await tx.execute(
            "UPDATE integration_traffic SET sync_due_at = $2 WHERE integration_id = $1", integration["id"], due_at
        )


async def test_where_nothing_was_ever_posted_a_payment_is_found_within_half_a_minute(business: Business) -> None:
    integration = await business.connect()
    invoice = await paid_unheard(business)
    await _claimed(integration, ago=timedelta(seconds=20))
    await reconcile_due(business)
    too_soon = (await business.invoice(invoice["id"]))["status"]
    await _claimed(integration, ago=timedelta(seconds=31))

    await reconcile_due(business)

    assert (too_soon, (await business.invoice(invoice["id"]))["status"]) == ("OPEN", "PAID")


@pytest.mark.parametrize(
    ("url", "found"), [("http://localhost:8000", "PAID"), ("https://fluxrate.example", "OPEN")], ids=["local", "public"]
)
async def test_where_something_was_posted_before_it_depends_on_whether_stripe_can_post(
    business: Business, url: str, found: str
) -> None:
    services = business.services
    checkup = Checkup(services.keyring, services.gateway, url, services.feed.wake, on_key_accepted=lifecycle.retry)
    there = Reconciliation(services.sync, checkup, INTERVAL_S)
    integration = await business.connect(webhookSecret="whsec_localwork123456789")
    await business.deliver(integration["id"], stripe.payment_intent_succeeded())
    invoice = await paid_unheard(business)
    await _claimed(integration, ago=timedelta(seconds=31))

    await there.reconcile_due()

    assert (await business.invoice(invoice["id"]))["status"] == found


async def test_without_a_link_that_can_be_paid_the_interval_stands(business: Business) -> None:
    integration = await business.connect()
    await _claimed(integration, ago=timedelta(seconds=31))
    before = (await traffic(integration)).sync_due_at

    await reconcile_due(business)

    assert (await traffic(integration)).sync_due_at == before
