"""What a batch of deliveries does: each event is applied once, logged in order, and says what links need."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from database import together
from database.access import Database, transaction
from feed.follow import Feed
from inbox.batch import post
from inbox.queue import Inbox
from models.ids import Prefix, new_id
from models.instant import from_epoch, utc_now
from models.integration import Integration
from models.kinds import Allocation, EventType, InvoiceStatus, PaymentLinkStatus, PaymentStatus, WebhookEventStatus
from models.payment_link import LIVE
from models.workspace import Workspace
from resolvers.reading.loaders import Loaders
from tests.inbox.delivering import Logged, deliver, deliver_in_one_batch, deliver_in_turn, paid_and_completed, statuses
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.books import deliveries, delivery, ours
from tests.world.eventually import eventually
from tests.world.heard import hear_statements, somebody_waits
from tests.world.holding import holding
from tests.world.second_inbox import deliver_apart
from tests.world.stripe_payloads import Event


@pytest.mark.parametrize("order", [(0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (1, 0, 1, 0)])
@pytest.mark.parametrize("send", [deliver, deliver_in_turn])
async def test_the_two_events_of_a_payment_mark_its_invoice_paid_once(
    inbox: Inbox, workspace: Workspace, integration: Integration, send: Any, order: tuple[int, ...]
) -> None:
    invoice = await books.add_invoice(integration)
    events = paid_and_completed(invoice)

    receipts = await send(inbox, integration, *(events[position] for position in order))

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    invoice = await books.again(invoice)
    assert (invoice.status, invoice.amount_paid) == (InvoiceStatus.PAID, 2000)
    assert invoice.paid_at == from_epoch(min(event["created"] for event in events))
    (payment,) = await books.payments_of(workspace)
    assert (payment.status, payment.allocation) == (PaymentStatus.SUCCEEDED, Allocation.APPLIED)
    assert (payment.amount, payment.overpaid, payment.currency) == (2000, 0, "USD")
    assert (payment.invoice_id, payment.customer_id) == (invoice.id, invoice.customer_id)
    assert payment.provider_payment_id == events[0]["data"]["object"]["id"]
    kept = await books.webhook_events_of(workspace)
    assert [(event.status, event.deliveries, event.attempts) for event in kept] == [
        (WebhookEventStatus.PROCESSED, 2, 1),
        (WebhookEventStatus.PROCESSED, 2, 1),
    ]
    assert {(event.invoice_id, event.payment_id) for event in kept} == {(invoice.id, payment.id)}
    log = Counter(await books.log_types(workspace))
    assert log == {
        EventType.WEBHOOK_EVENT_RECEIVED: 2,
        EventType.PAYMENT_SUCCEEDED: 1,
        EventType.INVOICE_PAID: 1,
    }


async def test_the_log_tells_what_happened_in_order(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)

    (receipt,) = await deliver(inbox, integration, paid_and_completed(invoice)[0])

    log = await books.log_of(workspace)
    (payment,) = await books.payments_of(workspace)
    assert [(entry.number, entry.type, entry.previous_status, entry.status) for entry in log] == [
        (1, EventType.WEBHOOK_EVENT_RECEIVED, None, None),
        (2, EventType.PAYMENT_SUCCEEDED, None, None),
        (3, EventType.INVOICE_PAID, InvoiceStatus.OPEN, InvoiceStatus.PAID),
    ]
    for entry in log:
        assert (entry.actor, entry.invoice_id, entry.customer_id) == ("stripe", invoice.id, invoice.customer_id)
        assert (entry.payment_id, entry.integration_id) == (payment.id, integration.id)
        assert entry.webhook_event_id == receipt.webhook_event_id


async def test_subscribers_are_told_after_the_commit(
    inbox: Inbox, feed: Feed[Loaders], workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    lines = feed.follow(workspace.id, 0)
    first = asyncio.ensure_future(anext(lines))

    await deliver(inbox, integration, paid_and_completed(invoice)[0])

    told = [(await first).event.type, (await anext(lines)).event.type, (await anext(lines)).event.type]
    assert told[-1] is EventType.INVOICE_PAID
    await lines.aclose()


async def test_two_hundred_deliveries_of_one_event_are_one(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)

    receipts = await deliver(inbox, integration, *([paid_and_completed(invoice)[0]] * 200))

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len({receipt.webhook_event_id for receipt in receipts}) == 1
    (kept,) = await books.webhook_events_of(workspace)
    assert (kept.deliveries, kept.attempts) == (200, 1)
    assert len(await books.payments_of(workspace)) == 1
    assert (await books.log_types(workspace)).count(EventType.INVOICE_PAID) == 1
    assert (await books.traffic_of(integration)).deliveries == 200


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_what_comes_together_the_latest_is_the_last_event(
    database: Database, integration: Integration, order: tuple[int, ...]
) -> None:
    early = utc_now() - timedelta(minutes=2)
    received = [early, early + timedelta(minutes=1)]
    given = [delivery(integration, stripe.payment_intent_succeeded()) for _ in order]

    await deliver_in_one_batch(database, [replace(given[each], received_at=received[each]) for each in order])

    assert (await books.traffic_of(integration)).last_event_at == received[1]


@pytest.mark.parametrize(
    ("judged_by", "is_outdated"),
    [((), False), ((None, None), False), (("sealed before", None), True), ((None, "sealed before"), True)],
)
async def test_a_receipt_says_whether_the_secrets_were_replaced_since_its_delivery_was_checked(
    inbox: Inbox, integration: Integration, judged_by: tuple[str | None, ...], is_outdated: bool
) -> None:
    given = replace(delivery(integration, stripe.payment_intent_succeeded()), judged_by=judged_by)

    assert (await inbox.accept(given)).is_outdated is is_outdated


async def test_two_hundred_events_of_one_payment_are_one_payment(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    events = [event for _ in range(100) for event in paid_and_completed(invoice)]
    for event in events:
        subject = event["data"]["object"]
        subject["payment_intent" if "payment_intent" in subject else "id"] = "pi_a"

    receipts = await deliver(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len(await books.webhook_events_of(workspace)) == 200
    (payment,) = await books.payments_of(workspace)
    assert (payment.provider_payment_id, payment.amount) == ("pi_a", 2000)
    assert (await books.again(invoice)).amount_paid == 2000
    log = Counter(await books.log_types(workspace))
    assert (log[EventType.PAYMENT_SUCCEEDED], log[EventType.INVOICE_PAID]) == (1, 1)


async def test_two_processes_that_get_the_same_events_count_them_once(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoices = [await books.add_invoice(integration) for _ in range(10)]
    events = [event for invoice in invoices for event in paid_and_completed(invoice)] * 3
    events += [stripe.payment_intent_succeeded(invoice_id=new_id(Prefix.INVOICE)) for _ in range(10)]
    bodies = [stripe.body(event) for event in events]
    Random(1).shuffle(bodies)

    answers = await asyncio.gather(
        deliver_apart(database.url, integration, bodies),
        deliver_apart(database.url, integration, bodies[::-1]),
    )

    assert Counter(answers[0]) == Counter(answers[1]) == {"PROCESSED": 60, "UNAPPLIED": 10}
    kept = await books.webhook_events_of(workspace)
    assert Counter(event.deliveries for event in kept) == {6: 20, 2: 10}
    assert {event.attempts for event in kept} == {1}
    payments = await books.payments_of(workspace)
    assert Counter(payment.allocation for payment in payments) == {Allocation.APPLIED: 10, Allocation.UNAPPLIED: 10}
    for invoice in invoices:
        now = await books.again(invoice)
        assert (now.status, now.amount_paid) == (InvoiceStatus.PAID, 2000)
    log = await books.log_of(workspace)
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert Counter(entry.type for entry in log)[EventType.INVOICE_PAID] == 10
    assert (await books.traffic_of(integration)).deliveries == 140


async def test_an_event_about_no_payment_concerns_no_invoice_in_any_company(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    for others in (0, 1):
        invoice = await books.add_invoice(integration)
        saved = stripe.checkout_session_completed(**ours(invoice))
        saved["data"]["object"]["mode"] = "setup"  # a card was saved
        paid = [stripe.payment_intent_succeeded(**ours(invoice))] * others
        await deliver_in_one_batch(database, deliveries(integration, [*paid, saved]))

        *_, kept = await books.webhook_events_of(workspace)
        assert (kept.status, kept.reason_code) == (WebhookEventStatus.IGNORED, "NOTHING_PAID")
        assert (kept.invoice_id, kept.customer_id, kept.payment_id) == (None, None, None)


async def test_a_batch_has_as_many_statements_however_many_invoices_it_pays(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_COMBINED", {})  # there is room for more
    async with Database(migrated_postgres_url) as database:
        integration = await books.add_integration(await books.add_workspace())
        heard = await hear_statements()
        for count in (8, 1):
            invoices = [await books.add_invoice(integration) for _ in range(count)]
            for invoice in invoices:
                await books.add_link(invoice)
            events = deliveries(integration, [stripe.payment_intent_succeeded(**ours(invoice)) for invoice in invoices])
            heard.clear()
            await deliver_in_one_batch(database, events)

            assert heard == ["BEGIN", *["SELECT"] * 3, "WITH", "COMMIT"]


@pytest.mark.parametrize("is_rehearsal", [False, True])
async def test_an_event_that_another_process_applies_while_a_batch_waits_is_known_to_the_batch(
    migrated_postgres_url: str, is_rehearsal: bool
) -> None:
    async with Database(migrated_postgres_url) as database:
        workspace = await books.add_workspace()
        first, second = [await books.add_integration(workspace) for _ in range(2)]
        invoice, other = await books.add_invoice(first), await books.add_invoice(second)
        applied = delivery(first, stripe.payment_intent_succeeded(**ours(invoice)))
        batch = [applied, delivery(second, stripe.payment_intent_succeeded(**ours(other)))]
        async with Inbox(database, lambda _: None, lambda: None) as rehearsing:
            async with holding("UPDATE integrations SET name = 'Second account' WHERE id = $1", second.id):
                waiting = asyncio.create_task(
                    rehearsing.rehearse(batch) if is_rehearsal else deliver_in_one_batch(database, batch)
                )
                await eventually(somebody_waits)
                (receipt,) = await deliver_in_one_batch(database, [applied])
            known, new = await waiting

        assert (known.webhook_event_id, known.before) == (receipt.webhook_event_id, WebhookEventStatus.PROCESSED)
        assert (new.status, new.before) == (WebhookEventStatus.PROCESSED, None)
        assert [(await books.again(each)).amount_paid for each in (invoice, other)] == [
            2000,
            0 if is_rehearsal else 2000,
        ]
        assert (await books.log_types(workspace)).count(EventType.PAYMENT_SUCCEEDED) == (1 if is_rehearsal else 2)
        assert (await books.traffic_of(first)).deliveries == (1 if is_rehearsal else 2)


async def test_a_payment_that_comes_while_a_batch_waits_for_another_invoice_is_loaded_with_its_own(
    migrated_postgres_url: str, logged: Logged
) -> None:
    async with Database(migrated_postgres_url) as database:
        integration = await books.add_integration(await books.add_workspace())
        earlier, named, other = [await books.add_invoice(integration) for _ in range(3)]
        paid = delivery(integration, stripe.payment_intent_succeeded(payment_intent="pi_1", **ours(earlier)))
        await deliver_in_one_batch(database, [paid])
        batch = deliveries(
            integration,
            [
                stripe.checkout_session_completed(payment_intent="pi_1", **ours(named)),
                stripe.charge_refunded(payment_intent="pi_2", refunded=500),
            ],
        )
        async with holding("SELECT id FROM invoices WHERE id = $1 FOR UPDATE", earlier.id):
            waiting = asyncio.create_task(deliver_in_one_batch(database, batch))
            await eventually(somebody_waits)
            coming = delivery(integration, stripe.payment_intent_succeeded(payment_intent="pi_2", **ours(other)))
            await deliver_in_one_batch(database, [coming])
        receipts = await waiting

        assert receipts[1].status is WebhookEventStatus.PROCESSED
        invoice = await books.again(other)
        assert (invoice.amount_paid, invoice.amount_refunded) == (2000, 500)
        assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def test_one_account_connected_twice_counts_a_payment_once(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    twin = await books.add_integration(workspace)
    invoice = await books.add_invoice(integration)
    events = paid_and_completed(invoice)

    receipts = await asyncio.gather(
        *(inbox.accept(each) for each in [*deliveries(integration, events), *deliveries(twin, events)])
    )

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    assert len(await books.webhook_events_of(workspace)) == 4
    assert len(await books.payments_of(workspace)) == 1
    assert (await books.again(invoice)).amount_paid == 2000


async def test_whole_histories_end_in_the_database_as_they_do_when_settled_one_by_one(
    inbox: Inbox, database: Database, workspace: Workspace, integration: Integration
) -> None:
    """Many invoices, several events each, in a random order and number, in large batches."""
    chance = Random(7)
    invoices = [await books.add_invoice(integration) for _ in range(30)]
    links = {invoice.id: await books.add_link(invoice) for invoice in invoices}
    events: list[Event] = []
    expected: dict[str, tuple[InvoiceStatus, int, int | None]] = {}
    for number, invoice in enumerate(invoices):
        told, link = ours(invoice), links[invoice.id].provider_id
        whole = paid_and_completed(invoice)
        part = stripe.payment_intent_succeeded(**told, amount=500)
        failed = stripe.payment_intent_failed(**told)
        session = told | {"payment_intent": stripe.fresh("pi"), "payment_link": link}
        pending = stripe.checkout_session_completed(**session, payment_status="unpaid")
        bounced = stripe.checkout_session_async_failed(**session)
        kinds: list[tuple[list[Event], tuple[InvoiceStatus, int, int | None]]] = [
            ([*whole, failed], (InvoiceStatus.PAID, 2000, None)),
            ([*whole, part, pending], (InvoiceStatus.PAID, 2500, None)),
            ([part, failed], (InvoiceStatus.OPEN, 500, 1500)),
            ([pending, part], (InvoiceStatus.OPEN, 500, None)),
            ([pending, bounced, part], (InvoiceStatus.OPEN, 500, 1500)),
            ([failed], (InvoiceStatus.OPEN, 0, 2000)),
        ]
        kind, expected[invoice.id] = kinds[number % len(kinds)]
        events += kind * 2
    chance.shuffle(events)

    receipts = await deliver(inbox, integration, *events)

    assert statuses(receipts) == {WebhookEventStatus.PROCESSED}
    found = {}
    for invoice in invoices:
        now = await books.again(invoice)
        live = [link.amount for link in await books.links_of(invoice) if link.status in LIVE]
        found[invoice.id] = (now.status, now.amount_paid, live[0] if live else None)
        assert len(live) <= 1
    assert found == expected
    assert {event.attempts for event in await books.webhook_events_of(workspace)} == {1}


async def test_without_metadata_a_link_of_ours_leads_to_the_invoice(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)

    (receipt,) = await deliver(
        inbox, integration, stripe.checkout_session_completed(payment_link=link.provider_id, payment_intent="pi_a")
    )

    assert receipt.status is WebhookEventStatus.PROCESSED
    assert (await books.again(invoice)).status is InvoiceStatus.PAID
    assert (await books.again(link)).status is PaymentLinkStatus.COMPLETED


async def test_without_metadata_another_workspaces_link_leads_nowhere(
    inbox: Inbox, workspace: Workspace, integration: Integration
) -> None:
    stranger = await books.add_integration(await books.add_workspace())
    link = await books.add_link(await books.add_invoice(stranger))

    (receipt,) = await deliver(inbox, integration, stripe.checkout_session_completed(payment_link=link.provider_id))

    (kept,) = await books.webhook_events_of(workspace)
    assert (receipt.status, kept.reason_code) == (WebhookEventStatus.IGNORED, "NO_METADATA")
    assert (await books.again(link)).status is PaymentLinkStatus.ACTIVE


async def test_after_less_money_a_new_link_is_to_be_made_for_the_rest(
    database: Database, workspace: Workspace, integration: Integration
) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)
    asked_for_work = asyncio.Event()

    async with Inbox(database, lambda _: None, asked_for_work.set) as inbox:
        await deliver(
            inbox,
            integration,
            stripe.checkout_session_completed(**ours(invoice), payment_link=link.provider_id, amount=500),
        )

    spent, rest = await books.links_of(invoice)
    assert (spent.status, spent.due_at) == (PaymentLinkStatus.COMPLETED, None)
    assert (rest.status, rest.amount, rest.currency) == (PaymentLinkStatus.PENDING, 1500, "USD")
    assert rest.due_at is not None
    assert asked_for_work.is_set()
    assert await books.log_types(workspace) == [
        EventType.WEBHOOK_EVENT_RECEIVED,
        EventType.PAYMENT_SUCCEEDED,
        EventType.INVOICE_PARTIALLY_PAID,
    ]


async def test_what_asks_for_no_link_and_stops_none_now_gives_the_link_maker_no_work(integration: Integration) -> None:
    """A link that was paid is stopped after a while only."""
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)
    paid = stripe.checkout_session_completed(**ours(invoice), payment_link=link.provider_id)
    held = stripe.payment_intent_succeeded(**ours(await books.add_invoice(integration)))
    for is_active, given in ((True, b"{"), (True, paid), (False, held)):
        await books.change(integration, is_active=is_active)

        async with transaction() as tx:
            posted = await post(tx, deliveries(integration, [given]))

        assert not posted.are_links_due


@pytest.mark.parametrize("first", [0, 1])
async def test_an_invoice_that_loses_what_was_under_way_gets_a_link_again(
    inbox: Inbox, integration: Integration, first: int
) -> None:
    """Whichever of the two names was known first: they turn out to be one payment, of another invoice."""
    loser, payer = await books.add_invoice(integration), await books.add_invoice(integration)
    await books.add_link(loser)
    under_way = [
        stripe.checkout_session_completed(**ours(loser), session="cs_a", payment_intent=None, payment_status="unpaid"),
        stripe.payment_intent_processing(**ours(payer), payment_intent="pi_a"),
    ]
    came = stripe.checkout_session_async_succeeded(**ours(payer), session="cs_a", payment_intent="pi_a")

    await deliver_in_turn(inbox, integration, under_way[first], under_way[1 - first], came)

    assert (await books.again(payer)).status is InvoiceStatus.PAID
    retired, new = await books.links_of(loser)
    assert (retired.status, new.status) == (PaymentLinkStatus.DEACTIVATED, PaymentLinkStatus.PENDING)


async def test_the_link_of_a_paid_invoice_is_to_be_stopped_at_stripe(inbox: Inbox, integration: Integration) -> None:
    invoice = await books.add_invoice(integration)
    link = await books.add_link(invoice)

    await deliver(inbox, integration, stripe.payment_intent_succeeded(**ours(invoice)))

    link = await books.again(link)
    assert link.status not in LIVE
    assert link.due_at is not None
