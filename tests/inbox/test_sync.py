"""How Stripe's list of events is read, however many of them are of one second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from database.access import transaction
from database.scope import unscoped
from errors import StripeUnavailableError
from gateways.base import EventPage
from inbox import sync
from inbox.sync import OVERLAP, Sync
from models.instant import from_epoch, utc_now
from models.integration import Integration
from models.payment import Payment
from models.webhook_event import WebhookEvent
from tests.world import books
from tests.world import stripe_payloads as stripe
from tests.world.business import Business


@dataclass
class Listed:
    """Stripe, with events of given seconds. The simulator's events are of the second in which they happen."""

    events: Sequence[stripe.Event]
    answers: int = 1000
    """How many questions it answers before it can't be reached any more."""

    asked: int = 0

    async def list_events(
        self, _: str, *, created_gte: int, created_lt: int, starting_after: str | None = None, limit: int = 100
    ) -> EventPage:
        """A page of the events, newest first."""
        self.asked += 1
        if self.asked > self.answers:
            raise StripeUnavailableError("Stripe can't be reached.")
        found = [event for event in reversed(self.events) if created_gte <= event["created"] < created_lt]
        ids = [event["id"] for event in found]
        begin = 0 if starting_after is None else ids.index(starting_after) + 1
        return EventPage(found[begin : begin + limit], has_more=len(found) > begin + limit)

    async def completed_sessions(self, _: str, _link: str) -> Sequence[Mapping[str, Any]]:
        """Nothing was paid by a link."""
        return []


@pytest.mark.parametrize(
    "seconds",
    [[0, 0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0, 5], [0, 1, 1, 1, 1, 3], [9] * 6, [1, 2, 3, 4, 5], [0, 1], [7]],
    ids=str,
)
@pytest.mark.parametrize("page", [2, 3])
async def test_each_event_is_read_once_and_the_oldest_first(
    business: Business, monkeypatch: pytest.MonkeyPatch, page: int, seconds: Sequence[int]
) -> None:
    monkeypatch.setattr(sync, "_PAGE", page)
    integration = await business.connect()
    since = utc_now() - timedelta(days=1)
    first = int(since.timestamp())
    events = [
        stripe.payment_intent_succeeded(created=first + second, event_id=f"evt_{place}")
        for place, second in enumerate(seconds)
    ]
    row = await unscoped(Integration).get(id=integration["id"])
    listed = Listed(events)

    progress = await Sync(business.services.inbox, listed, business.services.keyring).fetch_events(row, since)

    stored = await unscoped(WebhookEvent).filter(integration_id=row.id).order_by("received_at")
    assert [each.provider_event_id for each in stored] == [event["id"] for event in events]
    assert (progress.found, progress.already_known, progress.complete) == (len(events), 0, True)
    assert listed.asked <= 2 * len(events) + 1


@pytest.mark.parametrize("answers", [4, 5, 6])
async def test_what_was_broken_off_is_gone_on_with_from_what_was_read(
    business: Business, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 2)
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    since = utc_now() - timedelta(days=1)
    hours = range(1, 8)
    events = [
        stripe.payment_intent_succeeded(created=int(since.timestamp()) + hour * 3600, event_id=f"evt_{hour}")
        for hour in hours
    ]
    inbox, keyring = business.services.inbox, business.services.keyring

    first = await Sync(inbox, Listed(events, answers), keyring).fetch_events(row, since)
    second = await Sync(inbox, Listed(events), keyring).fetch_events(row)

    stored = await unscoped(WebhookEvent).filter(integration_id=row.id).order_by("received_at")
    assert [each.provider_event_id for each in stored] == [event["id"] for event in events]
    assert (first.complete, second.complete, second.since) == (False, True, first.until - OVERLAP)
    assert first.until == from_epoch(events[first.found]["created"])


async def test_what_fails_is_counted_and_fetched_again(business: Business) -> None:
    invoice = await business.finalized("20.00")
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    told: Any = {"invoice_id": invoice["id"], "amount": 1000, "created": int(utc_now().timestamp()) - 60}
    events = [stripe.payment_intent_succeeded(payment_intent=intent, **told) for intent in ("pi_a", "pi_b")]
    contradiction = await books.add_nameless_payment(row, "pi_b")
    reading = Sync(business.services.inbox, Listed(events), business.services.keyring)

    first = await reading.fetch_events(row, utc_now() - timedelta(days=1))
    async with transaction():
        await unscoped(Payment).filter(id=contradiction.id).delete()
    second = await reading.fetch_events(row, utc_now() - timedelta(days=1))

    assert (first.found, first.already_known, first.applied, first.failed) == (2, 0, 1, 1)
    assert (second.found, second.already_known, second.applied, second.failed) == (2, 1, 1, 0)
