"""Stripe's API too slow, too busy, and failing after it has done what it was asked: one link is made all the same."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.access import transaction
from models.instant import utc_now
from tests.world.app import running_app, running_simulator
from tests.world.documents import CREATE_INVOICE, FINALIZE, INVOICE
from tests.world.graphql_client import GraphQLClient
from tests.world.house import House, Servers
from tests.world.local import LOCAL
from tests.world.migrated import sqlite_url
from tests.world.seed import within

LINKS = "/v1/payment_links"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def database_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The module's database."""
    return sqlite_url(Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("stripe-api"))))


@pytest.fixture
def servers(database_url: str) -> Iterator[Servers]:
    """The product and Stripe's stand-in, for a test to break."""
    with running_simulator() as simulator, running_app(database_url, stripe_api_base=simulator.url) as app:
        yield Servers(app, simulator)


def stripe(house: House) -> httpx.AsyncClient:
    """The account, as its owner sees it."""
    return httpx.AsyncClient(base_url=house.simulator.url, auth=(house.secret_key, ""), **LOCAL, timeout=30)


async def draft(house: House) -> str:
    """A draft's id."""
    lines = [{"description": "Work", "quantity": "1", "unitAmount": "46.20"}]
    given = {"customerId": await house.customer(), "currency": "EUR", "lineItems": lines}
    return str((await house.client.mutate(CREATE_INVOICE, input=given))["invoice"]["id"])


async def link_of(client: GraphQLClient, invoice_id: str) -> dict[str, Any]:
    """An invoice's link, once it can be paid."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            link: dict[str, Any] = (await client.query(INVOICE, id=invoice_id))["invoice"]["paymentLink"]
            if link["status"] == "ACTIVE":
                return link
            await asyncio.sleep(0.1)


async def made_for(http: httpx.AsyncClient, invoice_id: str) -> list[str]:
    """The ids of all links that Stripe ever made for an invoice."""
    links = (await http.get(f"{LINKS}?limit=100")).raise_for_status().json()["data"]
    return [link["id"] for link in links if link["metadata"]["invoice_id"] == invoice_id]


async def asked(http: httpx.AsyncClient, times: int) -> None:
    """Wait until Stripe was asked for a link so often."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            calls = (await http.get("/simulator/requests")).json()
            if sum((call["method"], call["path"]) == ("POST", LINKS) for call in calls) >= times:
                return
            await asyncio.sleep(0.02)


async def test_however_stripe_fails_each_invoice_gets_one_link(house: House) -> None:
    """The second call is the SDK's own, the third ours."""
    faults: list[dict[str, Any]] = [
        {"kind": "timeout"},
        {"kind": "status_before", "status": 429, "times": 2},
        {"kind": "status_after", "status": 500, "times": 2},
        {"kind": "hang_up", "times": 2},
    ]
    invoices = [await draft(house) for _ in faults]

    async with stripe(house) as http, asyncio.TaskGroup() as finalizing:
        for before, (fault, invoice) in enumerate(zip(faults, invoices, strict=True)):
            await http.post("/simulator/faults", json={"method": "POST", "path": LINKS, **fault})
            task = finalizing.create_task(house.client.mutate(FINALIZE, id=invoice))
            if fault["kind"] == "timeout":
                await asked(http, before + 1)
            else:
                await task
        links = [await link_of(house.client, invoice) for invoice in invoices]

        assert [await made_for(http, invoice) for invoice in invoices] == [[link["stripeId"]] for link in links]


async def test_a_server_killed_while_stripe_makes_a_link_finds_it_when_it_is_back(
    house: House, database_url: str
) -> None:
    invoice = await draft(house)

    async with stripe(house) as http:
        fault = {"kind": "delay", "delay_s": 2.0, "method": "POST", "path": LINKS}
        await http.post("/simulator/faults", json=fault)
        finalizing = asyncio.create_task(house.client.execute(FINALIZE, id=invoice))
        await asked(http, 1)
        house.app.stop(signal.SIGKILL)
        with contextlib.suppress(httpx.TransportError):
            await finalizing
        within(database_url, lambda: let_the_claim_end(invoice))
        with running_app(database_url, stripe_api_base=house.simulator.url) as app:
            async with GraphQLClient(app.url, house.client.api_key) as client:
                link = await link_of(client, invoice)

        assert await made_for(http, invoice) == [link["stripeId"]]


async def let_the_claim_end(invoice_id: str) -> None:
    """Let the minute go by for which a link is left to the process that asked for it."""
    async with transaction() as tx:
        await tx.execute("UPDATE payment_links SET due_at = $2 WHERE invoice_id = $1", invoice_id, utc_now())
