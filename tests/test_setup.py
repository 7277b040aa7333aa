"""Setting up without copy and paste, against real processes: the endpoint is added, checked, repaired and removed."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.world.business import Json, StripeAccount
from tests.world.documents import CHECK_INTEGRATION, CONNECT, DISCONNECT, INVOICE_PAID, REPAIR_INTEGRATION
from tests.world.graphql_client import GraphQLClient
from tests.world.house import House, Servers


@pytest.fixture
async def unconnected(servers: Servers) -> AsyncIterator[House]:
    """A business that has not connected Stripe."""
    made = servers.app.workspace()
    async with GraphQLClient(servers.app.url, made.api_key) as client:
        yield House(servers.app, servers.simulator, client, made.id, {})


@pytest.fixture
def stripe(servers: Servers) -> StripeAccount:
    """Its Stripe account."""
    return StripeAccount(servers.simulator.url, uuid.uuid4().hex[:12])


async def _connect(house: House, stripe: StripeAccount) -> Json:
    given = {"name": "Stripe", "secretKey": stripe.key(), "registerWebhook": True, "idempotencyKey": "setup"}
    result = await house.client.mutate(CONNECT, input=given)
    integration: Json = result["integration"]
    return integration


async def _check(house: House, integration: Json) -> list[str]:
    checked = await house.client.mutate(CHECK_INTEGRATION, id=integration["id"])
    return [problem["code"] for problem in checked["problems"]]


async def _repair(house: House, integration: Json) -> list[str]:
    result = await house.client.mutate(REPAIR_INTEGRATION, id=integration["id"])
    return [problem["code"] for problem in result["repaired"]]


async def test_one_mutation_is_all_it_takes_until_a_paid_invoice_is_seen(
    unconnected: House, stripe: StripeAccount
) -> None:
    integrations = await asyncio.gather(*(_connect(unconnected, stripe) for _ in range(4)))
    invoice = await unconnected.open_invoice()

    async with unconnected.client.subscribe(INVOICE_PAID) as subscription:
        await stripe.pay(invoice["paymentLink"]["stripeId"])
        event = await subscription.next()

    assert event["invoice"]["id"] == invoice["id"]
    assert {integration["id"] for integration in integrations} == {integrations[0]["id"]}
    assert [endpoint["url"] for endpoint in await stripe.endpoints()] == [integrations[0]["webhookUrl"]]
    assert await _check(unconnected, integrations[0]) == []


async def test_an_endpoint_that_somebody_deleted_is_noticed_and_repaired_at_once_by_many(
    unconnected: House, stripe: StripeAccount
) -> None:
    integration = await _connect(unconnected, stripe)
    invoice = await unconnected.open_invoice()
    (endpoint,) = await stripe.endpoints()
    async with stripe.client() as http:
        await http.delete(f"/v1/webhook_endpoints/{endpoint['id']}")

    noticed = await _check(unconnected, integration)
    repaired = await asyncio.gather(*(_repair(unconnected, integration) for _ in range(4)))
    async with unconnected.client.subscribe(INVOICE_PAID) as subscription:
        await stripe.pay(invoice["paymentLink"]["stripeId"])
        event = await subscription.next()

    assert noticed == ["ENDPOINT_MISSING", "NO_EVENT_YET"]
    assert ["ENDPOINT_MISSING"] in repaired
    assert event["invoice"]["id"] == invoice["id"]
    assert [endpoint["url"] for endpoint in await stripe.endpoints()] == [integration["webhookUrl"]]


async def test_disconnecting_leaves_nothing_of_ours_at_stripe(unconnected: House, stripe: StripeAccount) -> None:
    integration = await _connect(unconnected, stripe)
    invoice = await unconnected.open_invoice()

    await unconnected.client.mutate(DISCONNECT, id=integration["id"])

    assert await stripe.endpoints() == []
    assert not await stripe.is_payable(invoice["paymentLink"]["stripeId"])
