"""How Stripe's list of events is read, however many of them are of one second."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from database.access import transaction
from database.scope import unscoped
from inbox import sync
from inbox.sync import OVERLAP, Progress
from models.instant import from_epoch, utc_now
from models.integration import Integration
from models.payment import Payment
from models.webhook_event import WebhookEvent
from tests.world import books
from tests.world.business import Business
from tests.world.local import LOCAL


async def declined_unheard(business: Business, seconds: Sequence[int]) -> list[str]:
    """Have a customer's card declined at these seconds, and nothing posted; the events' ids by second, then by id."""
    link_id = (await business.finalized("20.00"))["paymentLink"]["stripeId"]
    only: dict[str, Any] = {"outcome": "declined", "events": ["payment_intent.payment_failed"], "deliveries": 0}
    told = [(await business.stripe.pay(link_id, created=second, **only))[0] for second in seconds]
    return [event["id"] for event in sorted(told, key=lambda event: (event["created"], event["id"]))]


async def stored_of(row: Integration) -> list[str | None]:
    """The ids of an integration's events, in the order in which they were stored."""
    stored = await unscoped(WebhookEvent).filter(integration_id=row.id).order_by("received_at")
    return [each.provider_event_id for each in stored]


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
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    since = utc_now() - timedelta(days=1)
    ids = await declined_unheard(business, [int(since.timestamp()) + second for second in seconds])

    progress = await business.services.sync.fetch_events(row, since)

    assert await stored_of(row) == ids
    assert (progress.found, progress.already_known, progress.complete) == (len(ids), 0, True)
    assert len(await business.stripe.calls("GET", "/v1/events")) <= 2 * len(ids) + 1


@pytest.mark.parametrize("read", [1, 3, 5])
async def test_what_was_broken_off_is_gone_on_with_from_what_was_read(
    business: Business, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    monkeypatch.setattr(sync, "_PAGE", 2)
    monkeypatch.setattr(sync, "_MAX_WAIT_S", 0)  # it does not wait for Stripe
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    since = utc_now() - timedelta(days=1)
    seconds = [int(since.timestamp()) + hour * 3600 for hour in range(1, 8)]
    ids = await declined_unheard(business, seconds)
    faults = f"{business.stripe.url}/simulator/faults"
    fault = {
        "kind": "status_before",
        "method": "GET",
        "path": "/v1/events",
        "status": 429,
        "account": business.stripe.name,
    }

    def break_off(progress: Progress) -> None:
        if progress.found >= read:
            auth = (business.stripe.key("owner"), "")
            httpx.post(faults, json={**fault, "times": 100}, auth=auth, **LOCAL).raise_for_status()

    first = await business.services.sync.fetch_events(row, since, on_progress=break_off)
    async with business.stripe.client() as http:
        (await http.delete(faults)).raise_for_status()
    second = await business.services.sync.fetch_events(row)

    assert await stored_of(row) == ids
    assert (first.complete, second.complete, second.since) == (False, True, first.until - OVERLAP)
    assert read <= first.found < len(ids)
    assert first.until == from_epoch(seconds[first.found])


async def test_what_fails_is_counted_and_fetched_again(business: Business) -> None:
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    link_ids = [(await business.finalized("20.00"))["paymentLink"]["stripeId"] for _ in range(2)]
    only: dict[str, Any] = {"events": ["payment_intent.succeeded"], "deliveries": 0}
    paid = [(await business.stripe.pay(link_id, **only))[0] for link_id in link_ids]
    contradiction = await books.add_nameless_payment(row, paid[1]["data"]["object"]["id"])

    first = await business.services.sync.fetch_events(row, utc_now() - timedelta(days=1))
    async with transaction():
        await unscoped(Payment).filter(id=contradiction.id).delete()
    second = await business.services.sync.fetch_events(row, utc_now() - timedelta(days=1))

    assert (first.found, first.already_known, first.applied, first.failed) == (2, 0, 1, 1)
    assert (second.found, second.already_known, second.applied, second.failed) == (2, 1, 1, 0)
