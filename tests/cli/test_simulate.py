"""`fluxrate simulate`, beside a product and a simulator that are running."""

import asyncio
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.simulate import ACTIONS, Event
from simulator.action import ACTIONS as KNOWN
from tests.world.app import Cli, StartSimulator
from tests.world.documents import CONNECT, CREATE_CUSTOMER, CREATE_INVOICE, INVOICE_PAID
from tests.world.graphql_client import GraphQLClient
from tests.world.house import SMALL, House, Servers, serve
from tests.world.local import LOCAL

Json = dict[str, Any]

INVOICE = """query ($id: ID!) { invoice(id: $id) { status
  payments(first: 10) { nodes { status amountRefunded { amount } dispute { status } } } } }"""
ADA = {"name": "Ada", "email": "ada@example.com"}


@dataclass(frozen=True)
class Shop(House):
    """A business whose webhooks come from the simulator."""

    async def cli(self, *arguments: str) -> Json:
        """A command that must succeed, run apart from the test's own loop."""
        return await asyncio.to_thread(self.app.cli, *arguments)

    async def simulate(self, event: str, invoice: str, *options: str) -> Json:
        """Let something become of an invoice."""
        return await self.cli("simulate", event, "--invoice", invoice, *options)

    async def have_happened(self, event: str, invoice: Json) -> None:
        """Let something become of an invoice, asked of the simulator itself."""
        asked = {"action": ACTIONS[Event(event)], "invoice": invoice["id"]}
        async with httpx.AsyncClient(base_url=self.simulator.url, **LOCAL, timeout=30) as http:
            (await http.post("/simulator/actions", json=asked)).raise_for_status()

    async def look(self, invoice: Json) -> Json:
        found: Json = (await self.client.query(INVOICE, id=invoice["id"]))["invoice"]
        return found


@pytest.fixture(scope="session", params=[SMALL])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The product as it is run small: how it takes what Stripe sends is tested elsewhere, for each way to run it."""
    yield from serve(request, tmp_path_factory)


@pytest.fixture
async def shop(servers: Servers) -> AsyncIterator[Shop]:
    """A business that connected the simulator, and had it add the webhook."""
    made = servers.app.workspace()
    async with GraphQLClient(servers.app.url, made.api_key) as client:
        key = f"sk_test_{uuid.uuid4().hex[:12]}_1"
        done = await client.mutate(CONNECT, input={"name": "Stripe", "secretKey": key, "registerWebhook": True})
        yield Shop(servers.app, servers.simulator, client, made.id, done["integration"])


def statuses(told: Json) -> list[int | None]:
    """How each post was answered."""
    return [status for step in told["steps"] for webhook in step["webhooks"] for status in webhook["answers"]]


def test_every_event_is_something_that_the_simulator_can_do() -> None:
    assert set(ACTIONS) == set(Event)
    assert set(ACTIONS.values()) == set(KNOWN)


@pytest.mark.parametrize(
    ("events", "status", "payments"),
    [
        (["paid"], "PAID", [("SUCCEEDED", "0.00", None)]),
        (["declined"], "OPEN", [("FAILED", "0.00", None)]),
        (["debit-pending"], "OPEN", [("PENDING", "0.00", None)]),
        (["debit-pending", "debit-settled"], "PAID", [("SUCCEEDED", "0.00", None)]),
        (["debit-pending", "debit-failed"], "OPEN", [("FAILED", "0.00", None)]),
        (["paid-twice"], "PAID", [("SUCCEEDED", "0.00", None)] * 2),
        (["paid-partly"], "OPEN", [("SUCCEEDED", "0.00", None)]),
        (["paid", "refunded"], "PAID", [("SUCCEEDED", "46.20", None)]),
        (["paid", "disputed"], "PAID", [("SUCCEEDED", "0.00", "needs_response")]),
        (["paid", "disputed", "dispute-won"], "PAID", [("SUCCEEDED", "0.00", "won")]),
        (["paid", "disputed", "dispute-lost"], "PAID", [("SUCCEEDED", "0.00", "lost")]),
    ],
)
async def test_what_is_simulated_is_seen_by_the_product(
    shop: Shop, events: list[str], status: str, payments: list[tuple[str, str, str | None]]
) -> None:
    invoice = await shop.open_invoice()

    *before, last = events
    for event in before:
        await shop.have_happened(event, invoice)
    told = await shop.simulate(last, invoice["id"])

    assert set(statuses(told)) == {200}
    seen = await shop.look(invoice)
    assert seen["status"] == status
    assert [
        (payment["status"], payment["amountRefunded"]["amount"], (payment["dispute"] or {}).get("status"))
        for payment in seen["payments"]["nodes"]
    ] == payments


async def test_the_posts_can_be_doubled_and_shuffled_and_still_count_once(shop: Shop) -> None:
    invoice = await shop.open_invoice()

    told = await shop.simulate("paid", invoice["id"], "--duplicate", "2", "--shuffle")

    assert statuses(told) == [200] * 6
    assert [webhook["type"] for webhook in told["steps"][0]["webhooks"]] == [
        "checkout.session.completed",
        "payment_intent.succeeded",
    ]
    seen = await shop.look(invoice)
    assert (seen["status"], len(seen["payments"]["nodes"])) == ("PAID", 1)


async def test_the_posts_can_be_delayed(shop: Shop) -> None:
    invoice = await shop.open_invoice()

    async with shop.client.subscribe(INVOICE_PAID) as subscription:
        told = await shop.simulate("paid", invoice["id"], "--delay", "0.5")
        event = await subscription.next()

    assert statuses(told) == []
    assert event["invoice"]["id"] == invoice["id"]


async def test_a_tampered_post_is_refused_and_changes_nothing(shop: Shop) -> None:
    invoice = await shop.open_invoice()

    told = await shop.simulate("paid", invoice["id"], "--tamper")

    assert statuses(told) == [400, 400]
    assert (await shop.look(invoice))["status"] == "OPEN"


async def test_a_person_reads_how_each_webhook_was_received_and_no_url(shop: Shop) -> None:
    invoice = await shop.open_invoice()

    done = await asyncio.to_thread(shop.app.cli.run, "simulate", "paid", "--invoice", invoice["id"])

    assert done.stdout.startswith(f"Invoice {invoice['id']}: paid. 2 webhooks:\n")
    assert len(re.findall(r"^  \S+ +evt_\w+  received \(200\)$", done.stdout, re.MULTILINE)) == 2
    assert "http" not in done.stdout


# --- Refusals --------------------------------------------------------------------------------------------------


async def refusal(cli: Cli, event: str, invoice: str, *options: str) -> str:
    """What a command says that is refused."""
    done = await asyncio.to_thread(cli.run, "simulate", event, "--invoice", invoice, *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


async def test_what_can_not_become_of_an_invoice_says_why(shop: Shop) -> None:
    invoice, cli = await shop.open_invoice(), shop.app.cli

    assert "nothing was paid" in await refusal(cli, "refunded", invoice["id"])
    assert "dispute that waits" in await refusal(cli, "dispute-won", invoice["id"])
    assert "waiting to be settled" in await refusal(cli, "debit-settled", invoice["id"])
    await shop.have_happened("paid", invoice)
    assert f"Invoice {invoice['number']} can no longer be paid" in await refusal(cli, "paid", invoice["id"])


async def test_an_invoice_that_the_simulator_does_not_know_says_why(servers: Servers, shop: Shop) -> None:
    cli = servers.app.cli
    customer = await shop.customer()
    lines = [{"description": "Work", "unitAmount": "20.00"}]
    wanted = {"customerId": customer, "currency": "EUR", "lineItems": lines}
    draft = (await shop.client.mutate(CREATE_INVOICE, input=wanted))["invoice"]
    live = servers.app.cli("workspace", "create", "Real", "--mode", "live")
    async with GraphQLClient(servers.app.url, live["apiKey"]) as client:
        own = {"customerId": (await client.mutate(CREATE_CUSTOMER, input=ADA))["customer"]["id"]}
        real = (await client.mutate(CREATE_INVOICE, input=wanted | own))["invoice"]

    assert "There is no invoice 'inv_nobody'" in await refusal(cli, "paid", "inv_nobody")
    assert "is a draft: finalize it first" in await refusal(cli, "paid", draft["id"])
    assert "of the live workspace 'Real'" in await refusal(cli, "paid", real["id"])


async def test_a_simulator_that_was_started_anew_has_forgotten(shop: Shop, start_simulator: StartSimulator) -> None:
    invoice = await shop.open_invoice()
    anew = await asyncio.to_thread(start_simulator)

    said = await refusal(shop.app.cli, "paid", invoice["id"], "--simulator", anew.url)

    assert "it forgets everything when it stops" in said


async def test_no_simulator_says_how_to_start_one(tmp_path: Path) -> None:
    """Also where there is no database, and none is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    said = await refusal(Cli(cwd=tmp_path), "paid", "inv_1", "--simulator", f"http://127.0.0.1:{port}")

    assert f'"fluxrate simulator --port {port}"' in said
    assert f"FLUXRATE_STRIPE_API_BASE=http://127.0.0.1:{port}" in said
    assert os.listdir(tmp_path) == []


async def test_what_is_no_simulator_is_told_from_one(shop: Shop) -> None:
    said = await refusal(shop.app.cli, "paid", "inv_1", "--simulator", shop.app.url)

    assert "is no simulator" in said


async def test_without_a_database_a_demo_s_simulator_is_asked_all_the_same(
    tmp_path: Path, start_simulator: StartSimulator
) -> None:
    simulator = await asyncio.to_thread(start_simulator)

    said = await refusal(Cli(cwd=tmp_path), "paid", "INV-1", "--simulator", simulator.url)

    assert "has no Payment Link of an invoice 'INV-1'" in said
    assert os.listdir(tmp_path) == []
