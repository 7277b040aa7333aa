"""The running product with what was heard of it, and workspaces with something of everything."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.world import documents
from tests.world.app import ENCRYPTION_KEY
from tests.world.house import Servers
from tests.world.local import LOCAL
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers
from tests.world.surface import Surface

Json = dict[str, Any]


class Api:
    """Whoever holds a key, over HTTP. Every answer is heard."""

    def __init__(self, url: str, key: str | None, heard: list[str]) -> None:
        self.url, self.key = url, key
        self._heard = heard
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(
            base_url=url, headers=headers, timeout=30, **LOCAL, event_hooks={"response": [self._hear]}
        )

    def _hear(self, response: httpx.Response) -> None:
        response.read()
        self._heard.append(f"{response.headers}\n{response.text}")

    def execute(self, document: str, variables: Mapping[str, Any] | None = None) -> Json:
        """The whole answer: data and errors."""
        answer: Json = self.http.post("/graphql", json={"query": document, "variables": variables}).json()
        return answer

    def ask(self, document: str, **variables: Any) -> Json:
        """The value of a document's only field."""
        answer = self.execute(document, variables)
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        found: Json = value
        return found

    def status(self) -> int:
        """How a query is answered, on a connection of its own."""
        with Api(self.url, self.key, self._heard).http as http:
            return http.post("/graphql", json={"query": "{ viewer { workspace { id } } }"}).status_code

    def new_key(self, *scopes: str, **given: Any) -> tuple[str, str]:
        """Make an API key; its id and its text."""
        result = self.ask(documents.CREATE_API_KEY, input={"name": "A key", "scopes": list(scopes), **given})
        self._heard[-1] = self._heard[-1].replace(result["key"], "(shown once)")
        return result["apiKey"]["id"], result["key"]


@dataclass
class Town:
    """The running product, what was heard of it, and the secrets that it was told."""

    servers: Servers
    heard: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=lambda: {ENCRYPTION_KEY})
    tokens: set[str] = field(default_factory=set)
    callers: ExitStack = field(default_factory=ExitStack)

    def secret(self, text: str) -> str:
        """A text that must never be heard."""
        self.secrets.add(text)
        return text

    def api(self, key: str | None) -> Api:
        """Somebody with a key."""
        api = Api(self.servers.app.url, key and self.secret(key), self.heard)
        self.callers.enter_context(api.http)
        return api

    def workspace(self) -> tuple[str, Api]:
        """A workspace's id, and somebody who may do everything in it."""
        made = self.servers.app.workspace()
        return made.id, self.api(made.api_key)

    def overheard(self) -> set[str]:
        """The secrets that were answered or logged, and the webhook tokens that were logged."""
        app = self.servers.app
        logged = app.stdout + app.stderr
        spoken = "\n".join([logged, *self.heard])
        return {text for text in self.secrets if text in spoken} | {text for text in self.tokens if text in logged}


EXTERNAL_IDS: Final = (1, 2)
"""Customers that a business knows by ids of its own: one to take the id of when making one, one when changing one."""


@dataclass(frozen=True)
class Estate:
    """A workspace with something of everything."""

    api: Api
    workspace_id: str
    name: str
    integration: str
    customer: str
    other_customer: str
    draft: str
    open: str
    paid: str
    numbers: list[str]
    provider_event_id: str
    idempotency_key: str

    @property
    def texts(self) -> set[str]:
        """What its customer is found by."""
        external_ids = {f"external-{self.name}-{number}" for number in EXTERNAL_IDS}
        return {f"{self.name} Ltd", f"{self.name}@example.com", *external_ids}

    @property
    def payment(self) -> str:
        """What paid its invoice."""
        (payment,) = self.api.ask("{ payments(first: 2) { nodes { id } } }")["nodes"]
        return str(payment["id"])

    def inventory(self, surface: Surface) -> Json:
        """All that its owner can read, but for when keys were used and whether pages of Stripe are closed by now."""
        queries = [f"Query.{name}" for name in surface.fields_of("Query") if not surface.required(f"Query.{name}")]
        read = {query: self.api.ask(surface.document(query, {})) for query in queries}
        kept = _without(read, {"lastUsedAt", "openSessions"})
        assert isinstance(kept, dict)
        return kept

    def post(self, secret: str, url: str, invoice_id: str, event_id: str) -> None:
        """Have Stripe tell that an invoice over 20 USD is paid."""
        event = payment_intent_succeeded(invoice_id=invoice_id, workspace_id=self.workspace_id, event_id=event_id)
        raw = body(event)
        assert httpx.post(url, content=raw, headers=signed_headers(raw, secret), **LOCAL).status_code == 200


def settle_in(town: Town, name: str, *, open_invoices: int = 1) -> Estate:
    """A business that has done everything once."""
    workspace_id, api = town.workspace()
    secret_key, webhook_secret = town.secret(f"sk_test_{name}_0123456789"), town.secret(f"whsec_{name}0123456789")
    given = {"name": "Stripe", "secretKey": secret_key, "webhookSecret": webhook_secret}
    integration = api.ask(documents.CONNECT, input=given)["integration"]
    town.tokens.add(integration["webhookUrl"].rpartition("/")[2])
    customer, other_customer = [
        api.ask(
            documents.CREATE_CUSTOMER,
            input={"name": f"{name} Ltd", "email": f"{name}@example.com", "externalId": f"external-{name}-{number}"},
        )["customer"]["id"]
        for number in EXTERNAL_IDS
    ]
    lines = [{"description": "Work", "unitAmount": "20.00"}]
    idempotency_key = f"once-{name}"

    def draft(**more: Any) -> str:
        made = {"customerId": customer, "currency": "USD", "lineItems": lines, **more}
        return str(api.ask(documents.CREATE_INVOICE, input=made)["invoice"]["id"])

    def finalized() -> Json:
        found: Json = api.ask(documents.FINALIZE, id=draft())["invoice"]
        return found

    paid, *opened = [finalized() for _ in range(1 + open_invoices)]
    _, key = api.new_key("READ", idempotencyKey=idempotency_key)
    town.secret(key)
    estate = Estate(
        api=api,
        workspace_id=workspace_id,
        name=name,
        integration=integration["id"],
        customer=customer,
        other_customer=other_customer,
        draft=draft(idempotencyKey=idempotency_key),
        open=opened[0]["id"],
        paid=paid["id"],
        numbers=[invoice["number"] for invoice in (paid, *opened)],
        provider_event_id=f"evt_{name}",
        idempotency_key=idempotency_key,
    )
    estate.post(webhook_secret, integration["webhookUrl"], paid["id"], estate.provider_event_id)
    return estate


def _without(value: object, names: set[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value
