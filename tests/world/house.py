"""A house: the product running beside Stripe's stand-in, and a business that has connected its account."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from tests.world.app import Running, RunningApp, running_app, running_simulator
from tests.world.documents import CONNECT, CREATE_CUSTOMER, CREATE_INVOICE, FINALIZE, INVOICE, UPDATE_INTEGRATION
from tests.world.graphql_client import GraphQLClient
from tests.world.local import LOCAL
from tests.world.postgres import Postgres
from tests.world.stripe_payloads import Event, body, payment_intent_succeeded, signed_headers
from tests.world.valkey import Valkey

SECRET: Final = "whsec_abcdefghijklmnop"


@dataclass(frozen=True)
class House:
    """A running product with Stripe's stand-in beside it, and a business that has connected."""

    app: RunningApp
    simulator: Running
    client: GraphQLClient
    workspace_id: str
    integration: dict[str, Any]

    @property
    def secret_key(self) -> str:
        """The key of its Stripe account, which no other house has."""
        return secret_key_of(self.workspace_id)

    async def customer(self) -> str:
        """A customer's id."""
        given = {"name": "Ada", "email": "ada@example.com"}
        result = await self.client.mutate(CREATE_CUSTOMER, input=given)
        return str(result["customer"]["id"])

    async def open_invoice(self, unit_amount: str = "46.20", currency: str = "EUR") -> dict[str, Any]:
        """A finalized invoice with its payment link."""
        lines = [{"description": "Work", "quantity": "1", "unitAmount": unit_amount}]
        given = {"customerId": await self.customer(), "currency": currency, "lineItems": lines}
        draft = await self.client.mutate(CREATE_INVOICE, input=given)
        result = await self.client.mutate(FINALIZE, id=draft["invoice"]["id"])
        invoice: dict[str, Any] = result["invoice"]
        return invoice

    async def invoice(self, id_: str) -> dict[str, Any]:
        """An invoice as it stands."""
        found: dict[str, Any] = (await self.client.query(INVOICE, id=id_))["invoice"]
        return found

    def paid(self, invoice: dict[str, Any]) -> Event:
        """The event of a payment that covers an invoice."""
        return payment_intent_succeeded(
            amount=4620, currency="eur", invoice_id=invoice["id"], workspace_id=self.workspace_id
        )

    async def post(self, event: Event, secret: str = SECRET) -> httpx.Response:
        """Deliver an event as Stripe would."""
        raw = body(event)
        async with httpx.AsyncClient(**LOCAL, timeout=30) as http:
            return await http.post(self.integration["webhookUrl"], content=raw, headers=signed_headers(raw, secret))


def secret_key_of(workspace_id: str) -> str:
    """The key of the Stripe account that a workspace connects, at the simulator."""
    return f"sk_test_{workspace_id[-12:]}_1234567890"


@dataclass(frozen=True)
class Servers:
    """A running product with Stripe's stand-in beside it."""

    app: RunningApp
    simulator: Running


SMALL: Final = "sqlite, one worker"
LARGE: Final = "postgres and valkey, two workers"


@pytest.fixture(scope="session", params=[SMALL, LARGE])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The product as it is run small and as it is run large; each test has a workspace of its own."""
    yield from serve(request, tmp_path_factory)


def serve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """As the fixture's parameter says."""
    large = request.param.startswith("postgres")
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(running_simulator())
        if large:
            postgres: Postgres = request.getfixturevalue("postgres_server")
            database_url = stack.enter_context(postgres.database(postgres.migrated))
            broadcast_url = stack.enter_context(Valkey()).url
        else:
            template = request.getfixturevalue("sqlite_template")
            copied = shutil.copyfile(template, tmp_path_factory.mktemp("small") / "fluxrate.sqlite3")
            database_url, broadcast_url = f"sqlite://{copied}", "memory://"
        workers = 2 if large else 1
        env = {
            "FLUXRATE_RATE_LIMIT_PER_ADDRESS": "off",  # all tests come from one
            "FLUXRATE_SYNC_INTERVAL_S": "0",  # nothing is to be fetched in the middle of a test
        }
        app = running_app(database_url, broadcast_url, workers, simulator.url, env)
        yield Servers(stack.enter_context(app), simulator)


@pytest.fixture
async def house(servers: Servers) -> AsyncIterator[House]:
    """A business that has connected Stripe and saved the webhook secret."""
    made = servers.app.workspace()
    async with GraphQLClient(servers.app.url, made.api_key) as client:
        connected = await client.mutate(CONNECT, input={"name": "Stripe", "secretKey": secret_key_of(made.id)})
        integration = connected["integration"]
        assert integration["status"] == "AWAITING_WEBHOOK_SECRET"
        saved = await client.mutate(UPDATE_INTEGRATION, input={"id": integration["id"], "webhookSecret": SECRET})
        assert saved["integration"]["status"] == "READY"
        yield House(servers.app, servers.simulator, client, made.id, integration)
