"""The way of the user's guide from an account to a paid invoice, against real processes: nothing gets lost on it."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from tests.world.documents import CONNECT, INTEGRATION, INVOICE_PAID, UPDATE_INTEGRATION, WEBHOOK_EVENTS
from tests.world.eventually import eventually
from tests.world.graphql_client import GraphQLClient
from tests.world.house import House, Servers, secret_key_of
from tests.world.local import LOCAL

DELIVERIES: Final = 2


@pytest.fixture
async def newcomer(servers: Servers) -> AsyncIterator[House]:
    """A business that has connected Stripe, and left the webhook secret blank."""
    made = servers.app.workspace()
    async with GraphQLClient(servers.app.url, made.api_key) as client:
        given = {"name": "Stripe", "secretKey": secret_key_of(made.id), "webhookSecret": ""}
        integration = (await client.mutate(CONNECT, input=given))["integration"]
        yield House(servers.app, servers.simulator, client, made.id, integration)


async def problems(house: House) -> list[str]:
    """What is the matter with the integration."""
    found = (await house.client.query(INTEGRATION, id=house.integration["id"]))["stripeIntegration"]
    return [problem["code"] for problem in found["health"]["problems"]]


async def test_what_was_paid_before_the_secret_was_saved_counts_when_it_is(newcomer: House) -> None:
    house = newcomer
    key = (house.secret_key, "")
    async with httpx.AsyncClient(base_url=house.simulator.url, **LOCAL, auth=key, timeout=30) as stripe:
        events = {f"enabled_events[{place}]": name for place, name in enumerate(house.integration["eventsToSend"][:5])}
        endpoint = (
            await stripe.post("/v1/webhook_endpoints", data={"url": house.integration["webhookUrl"], **events})
        ).json()
        invoice = await house.open_invoice()
        told_before = await problems(house)

        async with house.client.subscribe(INVOICE_PAID) as subscription:
            await stripe.post(f"/pay/{invoice['paymentLink']['stripeId']}", json={"deliveries": DELIVERIES})
            await eventually(lambda: waits(house, 2))
            status_before = (await house.invoice(invoice["id"]))["status"]
            saved = await house.client.mutate(
                UPDATE_INTEGRATION, input={"id": house.integration["id"], "webhookSecret": endpoint["secret"]}
            )
            event = await subscription.next()
            told_once = await subscription.silence()

    assert told_before == ["WEBHOOK_SECRET_MISSING", "PUBLIC_URL_LOCAL"]
    assert status_before == "OPEN"
    assert saved["appliedFromQuarantine"] == 2
    assert event["invoice"]["id"] == invoice["id"]
    assert told_once
    paid = await house.invoice(invoice["id"])
    assert (paid["status"], paid["payments"]["totalCount"]) == ("PAID", 1)
    assert await problems(house) == []


async def waits(house: House, events: int) -> bool:
    """Whether so many events are in quarantine, each posted as often as Stripe does."""
    seen: list[Any] = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["nodes"]
    return [(node["status"], node["deliveries"]) for node in seen] == [("QUARANTINED", DELIVERIES)] * events
