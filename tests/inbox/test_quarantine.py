"""What can't be verified waits, bounded, and is applied as of its receipt once a secret verifies it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import httpx
import orjson
import pytest
from starlette.routing import Router

from database.access import transaction
from database.scope import unscoped
from inbox import queue
from inbox.delivery import Origin, body_key
from inbox.quarantine import release, store
from inbox.quarantine.post import FIRST_POSTS, LAST_POSTS, Post
from inbox.quarantine.release import Quarantine
from models.event import Event
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic
from models.kinds import EventType, Mode, WebhookEventStatus
from models.webhook_event import WebhookEvent
from models.webhook_secret import STRIPE_HAS_STOPPED, retire_previous_secrets, save_webhook_secret
from tests.world import stripe_payloads as stripe
from tests.world.business import Business
from tests.world.eventually import eventually
from tests.world.stripe_payloads import body, signed_headers
from webhooks.stripe import StripeWebhook

SECRET: Final = "whsec_quarantine1234567"
OTHER: Final = "whsec_somebodyelse12345"
DISCARD: Final = """
mutation ($id: ID!) { discardQuarantined(id: $id) {
  __typename
  ... on DiscardQuarantinedSuccess { discarded integration { health { quarantined } } }
  ... on Problem { code message }
} }
"""
REPLAY: Final = """
mutation ($id: ID!, $dryRun: Boolean) { replayWebhookEvent(id: $id, dryRun: $dryRun) {
  __typename
  ... on ReplayWebhookEventSuccess { outcome { before after changes webhookEvent { id status } } }
  ... on Problem { code message }
} }
"""


async def post(
    business: Business, integration: Any, event: stripe.Event, *secrets: str, at: StripeWebhook | None = None
) -> int:
    """Have Stripe post an event, signed with secrets, at a new process or at a given one; the status of the answer."""
    raw = body(event)
    headers = signed_headers(raw, *secrets) if secrets else {}
    transport = httpx.ASGITransport(Router([(at or StripeWebhook(business.services, lambda *_: None)).route]))
    async with httpx.AsyncClient(transport=transport) as http:
        return (await http.post(integration["webhookUrl"], content=raw, headers=headers)).status_code


async def kept(integration: Any) -> Sequence[WebhookEvent]:
    """What is stored of an integration, oldest first."""
    return await unscoped(WebhookEvent).filter(integration_id=integration["id"]).order_by("received_at", "id")


async def traffic(integration: Any) -> IntegrationTraffic:
    """What came to an integration."""
    return await unscoped(IntegrationTraffic).get(integration_id=integration["id"])


async def row(integration: Any) -> Integration:
    """An integration's row."""
    return await unscoped(Integration).get(id=integration["id"])


def paid(business: Business, invoice: Any, **more: Any) -> stripe.Event:
    """The event of a payment that covers an invoice over 20.00 USD."""
    return stripe.payment_intent_succeeded(
        amount=2000, currency="usd", invoice_id=invoice["id"], workspace_id=business.workspace.id, **more
    )


def unsigned(business: Business, integration: Any) -> Post:
    """What was posted just now without a signature, to an integration without a secret."""
    origin = Origin(business.workspace.id, integration["id"], Mode.TEST)
    return Post(origin=origin, body=b"{}", headers={}, received_at=utc_now(), secrets=[], judged_by=(None, None))


async def test_what_comes_before_the_secret_is_applied_when_it_is_saved(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    assert await post(business, integration, paid(business, invoice), SECRET) == 400
    (waiting,) = await kept(integration)
    assert (waiting.status, waiting.reason_code) == (WebhookEventStatus.QUARANTINED, "WEBHOOK_SECRET_MISSING")
    assert (waiting.deliveries, waiting.attempts) == (1, 0)
    assert (waiting.provider_event_id, waiting.type, waiting.livemode) == (None, None, None)
    told = await business.mutate("query ($id: ID!) { webhookEvent(id: $id) { payload status } }", id=waiting.id)
    assert told == {"payload": None, "status": "QUARANTINED"}

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 1
    (applied,) = await kept(integration)
    assert (applied.id, applied.status, applied.deliveries) == (waiting.id, WebhookEventStatus.PROCESSED, 1)
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    assert (await business.happened(invoice["id"])).count(EventType.INVOICE_PAID) == 1


async def test_a_redelivery_before_the_secret_is_saved_again_is_merged_into_its_event(business: Business) -> None:
    integration = await business.connect(webhookSecret=OTHER)
    invoice = await business.finalized("20.00")
    event = paid(business, invoice)
    await post(business, integration, event, SECRET)
    await post(business, integration, event, SECRET)
    await business.deliver(integration["id"], event)

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 0
    (merged,) = await kept(integration)
    assert (merged.status, merged.deliveries) == (WebhookEventStatus.PROCESSED, 3)
    assert (await business.invoice(invoice["id"]))["amountPaid"]["amount"] == "20.00"


async def test_a_post_of_days_ago_verifies_as_of_its_receipt(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    raw = body(paid(business, invoice))
    then = utc_now() - timedelta(days=2)
    origin = Origin(business.workspace.id, integration["id"], Mode.TEST)
    headers = signed_headers(raw, SECRET, at=int(then.timestamp()))
    old = Post(
        origin=origin,
        body=raw,
        headers={"stripe-signature": headers["Stripe-Signature"]},
        received_at=then,
        secrets=[],
        judged_by=(None, None),
    )
    assert await business.services.quarantine.keep(old)

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 1
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_what_a_process_that_ended_left_in_quarantine_is_released_by_the_next(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await post(business, integration, paid(business, invoice), SECRET)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)
    services = business.services
    async with transaction() as tx:
        saved = await row(integration)
        await save_webhook_secret(tx, services.keyring, saved, SECRET)
        await saved.save()
    next_process = Quarantine(services.inbox, services.keyring, services.feed.wake)

    await next_process.finish_releases()

    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    assert {each.status for each in await kept(integration)} == {
        WebhookEventStatus.PROCESSED,
        WebhookEventStatus.QUARANTINED,
    }


async def _kept_payment(business: Business) -> tuple[Any, Any]:
    """An integration, and an invoice whose payment waits in the quarantine."""
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await post(business, integration, paid(business, invoice), SECRET)
    await business.services.quarantine.finish_releases()
    return integration, invoice


async def test_a_release_that_finds_no_room_is_finished_later(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, invoice = await _kept_payment(business)
    with monkeypatch.context() as full:
        full.setattr(queue, "MAX_QUEUED", 0)

        saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert (saved["__typename"], saved["appliedFromQuarantine"]) == ("UpdateStripeIntegrationSuccess", 0)
    assert [each.status for each in await kept(integration)] == [WebhookEventStatus.QUARANTINED]
    await business.services.quarantine.finish_releases()
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"
    judged_at = (await traffic(integration)).quarantine_judged_at
    await business.services.quarantine.finish_releases()
    assert (await traffic(integration)).quarantine_judged_at == judged_at  # it is finished


async def test_what_a_secret_signed_that_was_replaced_meanwhile_is_released_too(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, invoice = await _kept_payment(business)
    with monkeypatch.context() as full:
        full.setattr(queue, "MAX_QUEUED", 0)
        await business.update_integration(integration["id"], webhookSecret=SECRET)
        await business.update_integration(integration["id"], webhookSecret=OTHER)

    await business.services.quarantine.finish_releases()

    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_what_another_secret_signed_stays(business: Business) -> None:
    integration = await business.connect()
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 0
    assert [each.status for each in await kept(integration)] == [WebhookEventStatus.QUARANTINED]


async def test_a_forged_post_of_a_body_does_not_hide_the_genuine_one(business: Business) -> None:
    integration = await business.connect()
    event = stripe.payment_intent_succeeded()
    await post(business, integration, event, OTHER)
    await post(business, integration, event, SECRET)
    await post(business, integration, event, OTHER)

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 1
    (merged,) = await kept(integration)
    assert merged.deliveries == 3


def _signed(business: Business, integration: Any, raw: bytes, secret: str, *, seconds_ago: int = 0) -> Post:
    """A post that no secret was there to verify."""
    headers = signed_headers(raw, secret, at=int(utc_now().timestamp()) - seconds_ago)
    return Post(
        origin=Origin(business.workspace.id, integration["id"], Mode.TEST),
        body=raw,
        headers={"stripe-signature": headers["Stripe-Signature"]},
        received_at=utc_now(),
        secrets=[],
        judged_by=(None, None),
    )


async def test_forged_posts_of_the_exact_body_do_not_push_out_the_genuine_one(business: Business) -> None:
    integration = await business.connect()
    raw = body(stripe.payment_intent_succeeded())
    keep = business.services.quarantine.keep
    forged = [_signed(business, integration, raw, f"whsec_forged{number:012}") for number in range(100)]
    await asyncio.gather(*(keep(post) for post in forged[:20]))
    assert await keep(_signed(business, integration, raw, SECRET))
    await asyncio.gather(*(keep(post) for post in forged[20:50]))
    await asyncio.gather(*(keep(post) for post in forged[50:]))
    (waiting,) = await kept(integration)

    saved = await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert saved["appliedFromQuarantine"] == 1
    assert waiting.deliveries == 101
    assert len(orjson.loads(waiting.posts or "[]")) == FIRST_POSTS + LAST_POSTS


async def test_what_can_never_verify_takes_no_signatures_place(business: Business) -> None:
    integration = await business.connect()
    raw = body(stripe.payment_intent_succeeded())
    keep = business.services.quarantine.keep
    for post in [_signed(business, integration, raw, OTHER, seconds_ago=1000 + each) for each in range(3)]:
        await keep(post)
    await asyncio.gather(*(keep(_signed(business, integration, raw, OTHER)) for _ in range(5)))

    (waiting,) = await kept(integration)

    assert waiting.deliveries == 8
    assert len(orjson.loads(waiting.posts or "[]")) <= 3  # the first of all, and each signature of the present second


async def test_a_signature_that_comes_again_takes_no_second_place(business: Business) -> None:
    integration = await business.connect()
    raw = body(stripe.payment_intent_succeeded())
    signed = [_signed(business, integration, raw, secret) for secret in (OTHER, SECRET)]

    for post in [*signed, *signed]:
        await business.services.quarantine.keep(replace(post))

    (waiting,) = await kept(integration)
    stored = [each["headers"]["stripe-signature"] for each in orjson.loads(waiting.posts or "[]")]
    assert stored == [post.signature for post in signed]
    assert waiting.deliveries == 4


async def test_bodies_that_come_together_do_not_find_the_same_room(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 2)
    integration = await business.connect()
    posts = [_signed(business, integration, b"{%d}" % number, SECRET) for number in range(3)]

    async with transaction() as tx:
        written = await store.write(tx, posts, {})

    assert sorted(each.payload for each in await kept(integration)) == [b"{0}", b"{1}"]
    assert written.full == {integration["id"]}
    assert (await traffic(integration)).quarantine_refused == 1


async def test_a_flood_at_one_integration_leaves_room_for_the_others(business: Business) -> None:
    flooded, other = await business.connect(), await business.connect()
    keep = business.services.quarantine.keep
    flood = [_signed(business, flooded, body(stripe.payment_intent_succeeded()), OTHER) for _ in range(400)]
    genuine = [_signed(business, other, body(stripe.payment_intent_succeeded()), SECRET) for _ in range(30)]

    await asyncio.gather(*(keep(post) for post in [*flood, *genuine]))

    assert len(await kept(other)) == 30
    assert len(await kept(flooded)) == 64  # half of the slots


async def test_repeats_of_one_post_take_one_slot_and_are_all_counted(business: Business) -> None:
    integration = await business.connect()
    keep = business.services.quarantine.keep
    repeated = _signed(business, integration, body(stripe.payment_intent_succeeded()), OTHER)
    genuine = [_signed(business, integration, body(stripe.payment_intent_succeeded()), SECRET) for _ in range(30)]

    await asyncio.gather(*(keep(replace(post)) for post in [*[repeated] * 400, *genuine]))

    rows = await kept(integration)
    assert sorted(row.deliveries for row in rows) == [*[1] * 30, 400]
    assert (await traffic(integration)).rejected == 430


async def test_whoever_hangs_up_takes_no_post_with_them(business: Business) -> None:
    integration = await business.connect()
    keep = business.services.quarantine.keep
    post_of_both = _signed(business, integration, body(stripe.payment_intent_succeeded()), OTHER)
    gone, stays = (asyncio.create_task(keep(replace(post_of_both))) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays
    assert [row.deliveries for row in await kept(integration)] == [2]


async def _age(integration: Any) -> None:
    """Let what waits have come four days ago."""
    async with transaction() as tx:
        await tx.execute(
            "UPDATE webhook_events SET received_at = $2 WHERE integration_id = $1",
            integration["id"],
            utc_now() - timedelta(days=4),
        )


async def test_what_no_secret_verified_is_dropped_once_stripe_posts_it_no_more(business: Business) -> None:
    connected, unfinished = await business.connect(webhookSecret=SECRET), await business.connect()
    await post(business, connected, stripe.payment_intent_succeeded(), OTHER)
    await post(business, unfinished, stripe.payment_intent_succeeded(), OTHER)
    await _age(connected)
    await _age(unfinished)
    await post(business, connected, stripe.payment_intent_succeeded(), OTHER)
    assert len(await kept(connected)) == 2  # there is room, so nothing has to give way

    await business.services.quarantine.drop_expired()

    assert len(await kept(connected)) == 1
    assert len(await kept(unfinished)) == 1


@pytest.mark.parametrize("why", ["old", "tried in vain"])
async def test_what_has_no_claim_to_its_place_makes_room(
    business: Business, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 3)
    monkeypatch.setattr(release, "_FULL_FOR_S", 0.0)
    integration = await business.connect()
    before = [stripe.payment_intent_succeeded() for _ in range(3)]
    for event in before:
        await post(business, integration, event, OTHER)
    if why == "old":
        await _age(integration)
    else:
        await business.update_integration(integration["id"], webhookSecret="whsec_anotheroneagain12")
    after = [stripe.payment_intent_succeeded() for _ in range(2)]

    for event in after:
        await post(business, integration, event, SECRET)

    assert [each.payload for each in await kept(integration)] == [body(event) for event in [before[2], *after]]
    assert (await traffic(integration)).quarantine_refused == 0


async def test_what_was_refused_for_want_of_room_is_fetched_once_a_secret_is_saved(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 0)
    integration = await business.connect()
    later = utc_now() + timedelta(days=1)
    async with transaction() as tx:
        await tx.execute(
            "UPDATE integration_traffic SET sync_due_at = $2 WHERE integration_id = $1", integration["id"], later
        )
    await post(business, integration, stripe.payment_intent_succeeded(), SECRET)

    await business.update_integration(integration["id"], webhookSecret=SECRET)

    counted = await traffic(integration)
    assert (counted.quarantine_refused, counted.sync_due_at) == (1, None)


async def test_an_admin_can_discard_what_waits(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 2)
    integration, other = await business.connect(), await business.connect()
    for event in [stripe.payment_intent_succeeded() for _ in range(3)]:
        await post(business, integration, event, OTHER)
    await post(business, other, stripe.payment_intent_succeeded(), OTHER)

    discarded = await business.mutate(DISCARD, id=integration["id"])
    again = await business.mutate(DISCARD, id=integration["id"])
    unknown = await business.mutate(DISCARD, id=business.workspace.id)

    assert (discarded["discarded"], discarded["integration"]["health"]["quarantined"]) == (2, 0)
    assert again["discarded"] == 0
    assert unknown["__typename"] == "NotFound"
    assert len(await kept(other)) == 1
    await post(business, integration, stripe.payment_intent_succeeded(), SECRET)  # there is room again, at once
    assert len(await kept(integration)) == 1


async def test_a_rotation_keeps_the_secret_that_verified_something_at_another_worker(business: Business) -> None:
    """A process that has just heard of the new secret verifies with it; another one rotates again at that moment."""
    integration = await business.connect(webhookSecret=OTHER)
    elsewhere = StripeWebhook(business.services, lambda *_: None)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)
    await business.update_integration(integration["id"], webhookSecret="whsec_secondoneisused12")
    await post(business, integration, stripe.payment_intent_succeeded(), "whsec_secondoneisused12", at=elsewhere)

    await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert await post(business, integration, stripe.payment_intent_succeeded(), "whsec_secondoneisused12") == 200
    assert await post(business, integration, stripe.payment_intent_succeeded(), SECRET) == 200


@pytest.mark.parametrize(
    ("secrets", "code"), [((), "SIGNATURE_MISSING"), ((OTHER,), "SIGNATURE_MISMATCH")], ids=["none", "another's"]
)
async def test_each_says_why_it_waits(business: Business, secrets: tuple[str, ...], code: str) -> None:
    integration = await business.connect(webhookSecret=SECRET)

    status = await post(business, integration, stripe.payment_intent_succeeded(), *secrets)

    assert status == 400
    assert [each.reason_code for each in await kept(integration)] == [code]


async def test_when_full_what_is_new_is_refused_and_what_is_old_stays(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 3)
    integration = await business.connect()
    events = [stripe.payment_intent_succeeded() for _ in range(5)]

    statuses = [await post(business, integration, event, SECRET) for event in events]

    assert statuses == [400] * 5
    assert [each.payload for each in await kept(integration)] == [body(event) for event in events[:3]]

    async def all_counted() -> bool:
        counted = await traffic(integration)
        return (counted.quarantine_refused, counted.rejected) == (2, 5)

    await eventually(all_counted)


async def test_an_integration_without_room_is_asked_for_some_again_after_a_while_only(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 1)
    monkeypatch.setattr(release, "_FULL_FOR_S", 3600.0)
    integration = await business.connect()
    for _ in range(2):
        await post(business, integration, stripe.payment_intent_succeeded(), SECRET)
    async with transaction():
        await unscoped(WebhookEvent).filter(integration_id=integration["id"]).delete()

    await post(business, integration, stripe.payment_intent_succeeded(), SECRET)

    assert await kept(integration) == []


async def test_an_integration_without_room_has_some_at_once_when_its_secret_is_saved(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_KEPT", 1)
    monkeypatch.setattr(release, "_FULL_FOR_S", 3600.0)
    integration = await business.connect()
    for _ in range(2):
        await post(business, integration, stripe.payment_intent_succeeded(), SECRET)
    await business.update_integration(integration["id"], webhookSecret=SECRET)

    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)

    assert [each.status for each in await kept(integration)] == [
        WebhookEventStatus.IGNORED,
        WebhookEventStatus.QUARANTINED,
    ]


def _large(business: Business, integration: Any, size: int = release.MAX_BYTES + 1) -> Post:
    return Post(
        origin=Origin(business.workspace.id, integration["id"], Mode.TEST),
        body=b" " * size,
        headers={},
        received_at=utc_now(),
        secrets=[],
        judged_by=(None, None),
    )


async def test_a_body_that_is_too_large_is_counted_only(business: Business) -> None:
    integration = await business.connect()

    assert await business.services.quarantine.keep(_large(business, integration))

    async def both_counted() -> bool:
        return bool((await traffic(integration)).rejected == 2)

    assert await business.services.quarantine.keep(_large(business, integration, release.MAX_BYTES))
    await eventually(both_counted)
    assert [len(each.payload) for each in await kept(integration)] == [release.MAX_BYTES]


@pytest.mark.parametrize("minutes", [(1, 2), (2, 1)])
@pytest.mark.parametrize("size", [1, release.MAX_BYTES + 1], ids=["stored", "too large"])
async def test_of_what_is_rejected_together_the_latest_is_the_last(
    business: Business, size: int, minutes: tuple[int, ...]
) -> None:
    integration = await business.connect()
    now = utc_now()
    posts = [
        replace(_large(business, integration), body=b"%d" % each * size, received_at=now - timedelta(minutes=each))
        for each in minutes
    ]

    async with Quarantine(business.services.inbox, business.services.keyring, lambda _: None) as quarantine:
        await asyncio.gather(*(quarantine.keep(post) for post in posts))

    counted = await traffic(integration)
    assert (counted.rejected, counted.last_rejected_at) == (2, now - timedelta(minutes=1))


async def test_a_burst_is_one_line_of_the_log(business: Business) -> None:
    integration = await business.connect()

    for _ in range(4):
        await post(business, integration, stripe.payment_intent_succeeded(), SECRET)

    lines = await unscoped(Event).filter(integration_id=integration["id"], type=EventType.WEBHOOK_EVENT_RECEIVED)
    assert len(lines) == 1


async def test_whoever_follows_is_woken_once_something_waits(business: Business) -> None:
    integration = await business.connect()
    woken: list[Mapping[str, int]] = []

    async with Quarantine(business.services.inbox, business.services.keyring, woken.append) as quarantine:
        assert await quarantine.keep(unsigned(business, integration))

    line = await unscoped(Event).get(integration_id=integration["id"], type=EventType.WEBHOOK_EVENT_RECEIVED)
    assert woken == [{business.workspace.id: line.number}]


async def test_nothing_is_written_while_nothing_waits(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_PAUSE_S", 0.0)
    integration = await business.connect()
    commits: list[Mapping[str, int]] = []

    async with Quarantine(business.services.inbox, business.services.keyring, commits.append) as quarantine:
        assert await quarantine.keep(unsigned(business, integration))
        for _ in range(10):
            await kept(integration)  # which takes as long as a write would

        assert len(commits) == 1


async def test_closing_keeps_what_waits_first(business: Business) -> None:
    integration = await business.connect()
    services = business.services

    async with Quarantine(services.inbox, services.keyring, services.feed.wake) as quarantine:
        keeping = asyncio.ensure_future(quarantine.keep(unsigned(business, integration)))
        await asyncio.sleep(0)

    await asyncio.sleep(0)  # for it to hear of it

    assert keeping.done()
    assert [each.status for each in await kept(integration)] == [WebhookEventStatus.QUARANTINED]


async def test_an_event_whose_id_looks_like_a_quarantined_bodys_key_takes_nobodys_place(business: Business) -> None:
    integration = await business.connect(webhookSecret=SECRET)
    forged = stripe.payment_intent_succeeded()
    claims = [f"quarantine:{body_key(body(forged))}", body_key(body(forged))]
    hostile = [stripe.payment_intent_succeeded(event_id=claim) for claim in claims]

    statuses = [await post(business, integration, event, SECRET) for event in hostile]

    assert statuses == [200, 200]
    assert await post(business, integration, forged, OTHER) == 400
    assert [each.status for each in await kept(integration)] == [
        WebhookEventStatus.IGNORED,
        WebhookEventStatus.IGNORED,
        WebhookEventStatus.QUARANTINED,
    ]


async def test_what_was_judged_by_a_replaced_secret_is_judged_again(business: Business) -> None:
    """Saving the secret and judging without it at the same moment leaves nothing behind."""
    integration = await business.connect(webhookSecret=SECRET)
    outdated = replace(_large(business, integration), body=b"{}", judged_by=("sealed before", None))

    kept_so = await business.services.quarantine.keep(outdated)

    assert kept_so is False
    assert list(await kept(integration)) == []


async def test_replaying_what_is_quarantined_says_what_is_missing_and_then_applies_it(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await post(business, integration, paid(business, invoice), SECRET)
    (waiting,) = await kept(integration)
    without = await business.mutate(REPLAY, id=waiting.id)
    async with transaction() as tx:
        connected = await row(integration)
        await save_webhook_secret(tx, business.services.keyring, connected, SECRET)
        await connected.save()

    rehearsed = await business.mutate(REPLAY, id=waiting.id, dryRun=True)
    still = [each.status for each in await kept(integration)]
    replayed = await business.mutate(REPLAY, id=waiting.id)

    assert (without["__typename"], without["code"]) == ("Conflict", "SIGNATURE_NOT_VERIFIED")
    assert (rehearsed["outcome"]["before"], rehearsed["outcome"]["after"]) == ("QUARANTINED", "PROCESSED")
    assert still == [WebhookEventStatus.QUARANTINED]
    assert replayed["outcome"]["changes"] == rehearsed["outcome"]["changes"]
    assert f"{invoice['number']}: OPEN → PAID." in replayed["outcome"]["changes"]
    assert (await business.invoice(invoice["id"]))["status"] == "PAID"


async def test_a_replaced_secret_is_dropped_once_stripe_signs_without_it(business: Business) -> None:
    integration = await business.connect(webhookSecret=OTHER)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)
    await business.update_integration(integration["id"], webhookSecret=SECRET)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER, SECRET)
    both = await traffic(integration)
    await post(business, integration, stripe.payment_intent_succeeded(), SECRET)
    alone = await traffic(integration)
    await retire_previous_secrets()
    soon = await row(integration)
    async with transaction() as tx:
        ago = utc_now() - STRIPE_HAS_STOPPED
        await tx.execute("UPDATE integration_traffic SET secret_alone_since = $1", ago)

    await retire_previous_secrets()

    assert both.secret_alone_since is None
    assert both.previous_secret_matched_at is not None
    assert alone.secret_alone_since == alone.secret_matched_at
    assert alone.previous_secret_matched_at == both.previous_secret_matched_at
    assert soon.previous_webhook_secret_sealed is not None
    later = await row(integration)
    assert (later.previous_webhook_secret_sealed, later.previous_webhook_secret_expires_at) == (None, None)
    assert await post(business, integration, stripe.payment_intent_succeeded(), OTHER) == 400


async def test_a_secret_that_never_verified_does_not_push_out_the_one_that_did(business: Business) -> None:
    integration = await business.connect(webhookSecret=OTHER)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER)
    await business.update_integration(integration["id"], webhookSecret="whsec_mistyped12345678")

    await business.update_integration(integration["id"], webhookSecret=SECRET)

    assert await post(business, integration, stripe.payment_intent_succeeded(), OTHER) == 200
    assert await post(business, integration, stripe.payment_intent_succeeded(), SECRET) == 200


async def test_what_is_verified_by_a_secret_that_was_just_replaced_does_not_count_for_the_new_one(
    business: Business,
) -> None:
    """A process knows an integration's secrets for seconds; the old one must not seem to have been given up by then."""
    integration = await business.connect(webhookSecret=OTHER)
    process = StripeWebhook(business.services, lambda *_: None)
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER, at=process)
    await business.update_integration(integration["id"], webhookSecret=SECRET)

    status = await post(business, integration, stripe.payment_intent_succeeded(), OTHER, at=process)

    counted = await traffic(integration)
    assert status == 200
    assert (counted.secret_matched_at, counted.secret_alone_since) == (None, None)
    assert counted.previous_secret_matched_at == counted.last_event_at
    await post(business, integration, stripe.payment_intent_succeeded(), OTHER, SECRET, at=process)
    assert (await traffic(integration)).secret_matched_at is not None
