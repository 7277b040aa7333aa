"""A business in this process: what it asks of the API, and its Stripe account as it is seen at the simulator.

```python
async with opened_services(database_url, stripe_api_base) as services:
    business = await new_business(services, stripe_api_base)
    await business.connect()
    invoice = await business.finalized("19.99")
```
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.routing import Router

from database.access import transaction
from database.scope import unscoped
from inbox.delivery import Origin, delivery_of
from models.instant import utc_now
from models.kinds import EventType, Mode, Scope
from models.payment_link import PaymentLink
from models.workspace import Workspace, add_workspace
from resolvers.context import Services
from simulator.ids import account_id
from tests.world import documents
from tests.world.app import ENCRYPTION_KEY
from tests.world.caller import Caller, caller_with
from tests.world.local import LOCAL
from tests.world.stripe_payloads import Event, body
from webhooks.stripe import StripeWebhook
from workers.links import LinkSweep

Json = dict[str, Any]


@asynccontextmanager
async def opened_services(
    database_url: str, stripe_api_base: str | None, *, sweeping: bool = False
) -> AsyncIterator[Services]:
    """What lives as long as a process, open; links are worked off in the background only when it is `sweeping`."""
    from parts import compose
    from settings import Settings

    environ = {"FLUXRATE_DATABASE_URL": database_url, "FLUXRATE_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    if stripe_api_base is not None:
        environ["FLUXRATE_STRIPE_API_BASE"] = stripe_api_base
    parts = compose(Settings.from_env(environ))
    sweeps = [LinkSweep(parts.services.link_maker)] if sweeping else []
    async with parts.running(sweeps, background=False) as services:
        yield services


class StripeAccount:
    """An account at the simulator, as its owner sees it."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.id = account_id(name)

    def key(self, suffix: str = "1", kind: str = "sk") -> str:
        """One of the account's secret keys."""
        return f"{kind}_test_{self.name}_{suffix}"

    def client(self) -> httpx.AsyncClient:
        """The simulator over HTTP, as the account's owner."""
        return httpx.AsyncClient(base_url=self.url, auth=(self.key("owner"), ""), **LOCAL, timeout=30)

    async def fault(self, kind: str, *, method: str = "POST", path: str = "/v1/payment_links", **more: Any) -> None:
        """Let this account's next calls go wrong."""
        fault = {"kind": kind, "method": method, "path": path, "account": self.name, **more}
        async with self.client() as http:
            (await http.post("/simulator/faults", json=fault)).raise_for_status()

    async def links(self) -> list[Json]:
        """All links that were ever made, oldest first."""
        async with self.client() as http:
            found: list[Json] = (await http.get("/v1/payment_links?limit=100")).raise_for_status().json()["data"]
            return found[::-1]

    async def active_links(self) -> list[Json]:
        """The links that can be paid, oldest first."""
        return [link for link in await self.links() if link["active"]]

    async def lines(self, link_id: str) -> list[Json]:
        """What a link sells."""
        async with self.client() as http:
            answer = await http.get(f"/v1/payment_links/{link_id}/line_items?limit=100")
            found: list[Json] = answer.raise_for_status().json()["data"]
            return found

    async def endpoints(self) -> list[Json]:
        """The webhook endpoints, oldest first."""
        async with self.client() as http:
            found: list[Json] = (await http.get("/v1/webhook_endpoints?limit=100")).raise_for_status().json()["data"]
            return found[::-1]

    async def calls(self, method: str, path: str = "/v1/payment_links") -> list[Json]:
        """What was asked of this account under a path, oldest first."""
        async with self.client() as http:
            calls: list[Json] = (await http.get("/simulator/requests")).raise_for_status().json()
            return [
                call for call in calls if (call["account"], call["method"], call["path"]) == (self.id, method, path)
            ]

    async def creation_keys(self) -> list[str]:
        """The idempotency keys that links were asked for with, each once, in order."""
        return list(dict.fromkeys(call["idempotency_key"] for call in await self.calls("POST")))

    async def pay(self, link_id: str, **options: Any) -> list[Event]:
        """Pay a link as a customer does; the events that Stripe tells, in order."""
        return await self._told(f"/pay/{link_id}", options)

    async def visit(self, link_id: str) -> str:
        """Open a link's page, as a customer who leaves it open; the id of the checkout session."""
        async with self.client() as http:
            page = (await http.get(f"/pay/{link_id}")).raise_for_status().text
        return page.partition('name="checkout_session" value="')[2].partition('"')[0]

    async def sessions(self) -> dict[str, str]:
        """The status of each checkout session, by its id."""
        async with self.client() as http:
            found = (await http.get("/v1/checkout/sessions?limit=100")).raise_for_status().json()["data"]
        return {session["id"]: session["status"] for session in found}

    async def settle(self, link_id: str, outcome: str) -> list[Event]:
        """Let a bank debit succeed or fail; the events that Stripe tells, in order."""
        return await self._told(f"/pay/{link_id}/settle", {"outcome": outcome})

    async def is_payable(self, link_id: str) -> bool:
        """Whether the link's page offers to pay."""
        async with self.client() as http:
            return (await http.get(f"/pay/{link_id}")).status_code == 200

    async def _told(self, path: str, options: Json) -> list[Event]:
        async with self.client() as http:
            paying = (await http.post(path, json=options)).raise_for_status().json()
            return [(await http.get(f"/v1/events/{told['id']}")).json() for told in paying["events"]]


@dataclass(frozen=True)
class Business:
    """A workspace, somebody who may do everything in it, and its Stripe account."""

    services: Services
    workspace: Workspace
    admin: Caller
    stripe: StripeAccount

    async def mutate(self, document: str, **variables: Any) -> Json:
        """The result of a document's only field."""
        (result,) = (await self.admin.query(document, **variables)).values()
        found: Json = result
        return found

    # --- Stripe ------------------------------------------------------------------------------------------------

    async def connect(self, **given: Any) -> Json:
        """Connect the account, or whatever is given; the integration, or the refusal."""
        result = await self.mutate(documents.CONNECT, input={"name": "Stripe", "secretKey": self.stripe.key(), **given})
        found: Json = result.get("integration") or result
        return found

    async def update_integration(self, id_: str, **given: Any) -> Json:
        """Change an integration; the result."""
        return await self.mutate(documents.UPDATE_INTEGRATION, input={"id": id_, **given})

    async def integration(self, id_: str) -> Json:
        """An integration as it stands."""
        return await self.mutate(documents.INTEGRATION, id=id_)

    async def check(self, id_: str) -> list[str]:
        """The codes of what a check of an integration finds."""
        return [problem["code"] for problem in (await self.mutate(documents.CHECK_INTEGRATION, id=id_))["problems"]]

    async def repair(self, id_: str, codes: list[str] | None = None) -> list[str]:
        """The codes of what a repair of an integration mended."""
        result = await self.mutate(documents.REPAIR_INTEGRATION, id=id_, codes=codes)
        return [problem["code"] for problem in result["repaired"]]

    async def post(self, webhook_url: str, raw: bytes, headers: dict[str, str]) -> int:
        """Have something posted to a webhook URL; the status of the answer."""
        endpoint = StripeWebhook(self.services, lambda *_: None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Router([endpoint.route]))) as http:
            return (await http.post(webhook_url, content=raw, headers=headers)).status_code

    async def deliver(self, integration_id: str, *events: Event) -> None:
        """Have verified events come in."""
        origin = Origin(self.workspace.id, integration_id, self.workspace.mode)
        for event in events:
            await self.services.inbox.accept(delivery_of(origin, body(event), utc_now()))

    # --- Invoices ----------------------------------------------------------------------------------------------

    async def customer(self, **given: Any) -> str:
        """A customer's id."""
        result = await self.mutate(
            documents.CREATE_CUSTOMER, input={"name": "Ada", "email": "ada@example.com", **given}
        )
        return str(result["customer"]["id"])

    async def draft(self, *unit_amounts: str, **given: Any) -> str:
        """A draft's id: a line of each amount, or the `lineItems` given, in USD unless told otherwise."""
        result = await self.mutate(documents.CREATE_INVOICE, input=await self.draft_input(*unit_amounts, **given))
        return str(result["invoice"]["id"])

    async def draft_input(self, *unit_amounts: str, **given: Any) -> Json:
        """What makes such a draft."""
        lines = [{"description": f"Work {amount}", "unitAmount": amount} for amount in unit_amounts or ("20.00",)]
        customer_id = given.pop("customerId", None) or await self.customer()
        return {"customerId": customer_id, "currency": "USD", "lineItems": lines, **given}

    async def finalize(self, id_: str, integration_id: str | None = None) -> Json:
        """Finalize a draft; the result."""
        return await self.mutate(documents.FINALIZE, id=id_, integrationId=integration_id)

    async def finalized(self, *unit_amounts: str, **given: Any) -> Json:
        """A finalized invoice, as `draft` makes it."""
        invoice: Json = (await self.finalize(await self.draft(*unit_amounts, **given)))["invoice"]
        return invoice

    async def invoice(self, id_: str) -> Json:
        """An invoice as it stands."""
        return await self.mutate(documents.INVOICE, id=id_)

    async def timeline(self, id_: str) -> list[Json]:
        """What happened to an invoice, oldest first."""
        found: list[Json] = (await self.mutate(documents.TIMELINE, id=id_))["timeline"]["nodes"]
        return found

    async def happened(self, id_: str) -> list[EventType]:
        """The types of what happened to an invoice, oldest first."""
        return [EventType(event["type"]) for event in await self.timeline(id_)]

    # --- Links -------------------------------------------------------------------------------------------------

    async def links(self, invoice_id: str) -> Sequence[PaymentLink]:
        """The rows of an invoice's links, oldest first."""
        return await unscoped(PaymentLink).filter(invoice_id=invoice_id).order_by("id")

    async def link(self, invoice_id: str) -> PaymentLink:
        """The row of an invoice's latest link."""
        return (await self.links(invoice_id))[-1]

    async def make_due(self, invoice_id: str) -> None:
        """Let the time come at which an invoice's waiting links are acted on next."""
        async with transaction():
            await unscoped(PaymentLink).filter(invoice_id=invoice_id).exclude(due_at=None).update(due_at=utc_now())

    async def work_off(self, invoice_id: str) -> PaymentLink:
        """Do what is due for an invoice's links as the sweep does, pauses left out; the latest of them."""
        await self.make_due(invoice_id)
        for link in await self.links(invoice_id):
            await self.services.link_maker.make(link.id)
        return await self.link(invoice_id)


async def new_business(services: Services, stripe_url: str, mode: Mode = Mode.TEST) -> Business:
    """A business that has done nothing yet."""
    async with transaction() as tx:
        workspace = await add_workspace(tx, "Acme", mode)
    admin = await caller_with(services, workspace, Scope.ADMIN)
    return Business(services, workspace, admin, StripeAccount(stripe_url, workspace.id.replace("_", "")))
