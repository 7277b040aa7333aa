"""The Events API, through Stripe's own library."""

import time

import httpx
import pytest
import stripe

from tests.simulator.conftest import MakeClient, MakeLink, with_stripe

pytestmark = with_stripe


@pytest.fixture
async def event_ids(http: httpx.AsyncClient, make_link: MakeLink) -> list[str]:
    """Six events, the newest first."""
    link = await make_link()
    paid = [(await http.post(f"/pay/{link.id}")).json() for _ in range(3)]
    return [event["id"] for payment in paid for event in payment["events"]][::-1]


async def test_events_are_listed_by_pages_newest_first(client: stripe.StripeClient, event_ids: list[str]) -> None:
    listed = await client.v1.events.list_async({"limit": 4})
    older = await client.v1.events.list_async({"limit": 4, "starting_after": event_ids[3]})

    assert ([event.id for event in listed.data], listed.has_more) == (event_ids[:4], True)
    assert ([event.id for event in older.data], older.has_more) == (event_ids[4:], False)


async def test_a_page_can_end_before_an_event(client: stripe.StripeClient, event_ids: list[str]) -> None:
    newer = await client.v1.events.list_async({"limit": 2, "ending_before": event_ids[3]})

    assert ([event.id for event in newer.data], newer.has_more) == (event_ids[1:3], True)


async def test_following_pages_gives_every_event_once(client: stripe.StripeClient, event_ids: list[str]) -> None:
    listed = await client.v1.events.list_async({"limit": 2, "types": ["payment_intent.succeeded"]})

    assert [event.id async for event in listed.auto_paging_iter()] == event_ids[1::2]


async def test_events_can_be_chosen_by_type(client: stripe.StripeClient, event_ids: list[str]) -> None:
    sessions = await client.v1.events.list_async({"type": "checkout.session.completed"})
    intents = await client.v1.events.list_async({"type": "payment_intent.*"})

    assert [event.id for event in sessions.data] == event_ids[::2]
    assert [event.id for event in intents.data] == event_ids[1::2]


async def test_events_can_be_chosen_by_time(client: stripe.StripeClient, event_ids: list[str]) -> None:
    now = int(time.time())

    recent = await client.v1.events.list_async({"created": {"gte": now - 60, "lt": now + 60}})
    future = await client.v1.events.list_async({"created": {"gt": now + 60}})

    assert [event.id for event in recent.data] == event_ids
    assert future.data == []


async def test_one_event_can_be_retrieved_by_its_account_only(
    client: stripe.StripeClient, client_of: MakeClient, event_ids: list[str]
) -> None:
    event = await client.v1.events.retrieve_async(event_ids[0])

    assert (event.object, event.type) == ("event", "checkout.session.completed")
    with pytest.raises(stripe.InvalidRequestError, match="No such event"):
        await client_of("sk_test_globex_1").v1.events.retrieve_async(event_ids[0])


async def test_a_cursor_that_is_no_event_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await client.v1.events.list_async({"starting_after": "evt_none"})

    assert (refusal.value.code, refusal.value.param) == ("resource_missing", "starting_after")
