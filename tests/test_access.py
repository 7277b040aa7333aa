"""Who gets at what: nobody at another workspace's things, a key at no more than its scopes, and secrets at nothing.

Every field is found by introspection of the running server: one that is added fails here until it is covered.
"""

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Self

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.simulator.serving import eventually
from tests.world import documents
from tests.world.app import ENCRYPTION_KEY
from tests.world.graphql_client import GraphQLClient, Socket
from tests.world.house import LARGE, Servers
from tests.world.local import LOCAL
from tests.world.stripe_payloads import body, payment_intent_succeeded, signed_headers
from tests.world.surface import ROOTS, Place, Surface

Json = dict[str, Any]

UNAUTHORIZED: Final = 4401
CLOSED_WITHIN_S: Final = 5.0
"""How soon a socket whose key is not valid any more is closed, at the latest."""


# --- Those who ask ---------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def town(servers: Servers) -> Iterator[Town]:
    """A town in which no secret is told, whatever its tests do."""
    town = Town(servers)
    with town.callers:
        yield town
    assert town.overheard() == set()


@pytest.fixture(scope="module")
def surface(town: Town) -> Surface:
    """All that the running server can be asked."""
    return Surface.of(town.workspace()[1].http)


# --- What there is to get at -----------------------------------------------------------------------------------

EXTERNAL_IDS: Final = (1, 2)
"""Customers that a business knows by ids of its own: one to take the id of when making one, one when changing one."""

_ID: Final = re.compile(r"(ws|key|int|cust|inv|pay|whe|ev)_[0-9a-z]{26}")


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


# --- Another workspace's things --------------------------------------------------------------------------------

FREE_TEXTS: Final = frozenset(
    "codes currency description email key memo name note reasonCode secretKey timeZone type value webhookSecret".split()
)
"""Texts that name nothing of ours."""

OTHERWISE: Final = {
    "Customer.invoices(filter.customerId)": "the customer's own are asked for, whatever the filter says",
    "Customer.payments(filter.customerId)": "the customer's own are asked for, whatever the filter says",
    "StripeIntegration.webhookEvents(filter.integrationId)": "so are the integration's",
}
"""Where a foreign id is not refused: the answer holds the asker's own things only."""

BESIDES: Final[Mapping[str, Callable[[Estate], Json]]] = {
    "Mutation.applyPayment": lambda own: {"paymentId": own.payment, "invoiceId": own.open},
    "Mutation.connectStripe": lambda _: {"input": {"name": "Another", "secretKey": "sk_test_another_0123456789"}},
    "Mutation.createApiKey": lambda _: {"input": {"name": "Another", "scopes": ["READ"]}},
    "Mutation.createCustomer": lambda _: {"input": {"name": "Another", "email": "another@example.com"}},
    "Mutation.createInvoice": lambda own: {
        "input": {
            "customerId": own.customer,
            "currency": "USD",
            "lineItems": [{"description": "Work", "unitAmount": "1.00"}],
        }
    },
    "Mutation.createPaymentLink": lambda own: {"invoiceId": own.open},
    "Mutation.finalizeInvoice": lambda own: {"id": own.draft},
    "Mutation.repairStripeIntegration": lambda own: {"id": own.integration},
    "Mutation.updateCustomer": lambda own: {"input": {"id": own.other_customer}},  # its invoices show what it writes
    "Mutation.updateInvoice": lambda own: {"input": {"id": own.draft}},
    "Mutation.updateStripeIntegration": lambda own: {"input": {"id": own.integration}},
}
"""What a field is given besides the foreign id: things of the asker's own."""


class Names(NamedTuple):
    """What an inventory's things are named by, looked for once."""

    ids: frozenset[str]
    cursors: frozenset[str]

    @classmethod
    def of(cls, inventory: Json) -> Self:
        """All ids of ours, the cursors of the history, and the last place of each list."""
        cursors = _values(inventory["Query.viewer"], "eventCursor") | _values(inventory, "endCursor")
        return cls(frozenset(_ids(inventory)), frozenset(cursors))


def foreign_values(place: Place, names: Names, theirs: Estate) -> Iterable[str]:
    """What of another workspace could be given there; a text that is not known to be free must be told here."""
    if place.scalar == "ID":
        one_of_each_kind = {id_.partition("_")[0]: id_ for id_ in sorted(names.ids)}
        return {*one_of_each_kind.values(), theirs.customer, theirs.draft, theirs.open, theirs.paid}
    known: dict[str, Iterable[str]] = {
        "actor": [id_ for id_ in sorted(names.ids) if id_.startswith("key_")],
        "after": names.cursors,
        "before": names.cursors,
        "externalId": [f"external-{theirs.name}-{2 if place.field == 'Mutation.updateCustomer' else 1}"],
        "idempotencyKey": [theirs.idempotency_key],
        "number": [theirs.numbers[-1]],
        "search": [*sorted(theirs.texts), theirs.provider_event_id],
        "stripeEventId": [theirs.provider_event_id],
    }
    assert place.name in known or place.name in FREE_TEXTS, f"say what {place} takes: ids of something, or free text"
    return known.get(place.name, [])


def is_refused(place: Place, answer: Json) -> bool:
    """Whether an answer is nothing: NotFound, null, an empty list, or the refusal of a cursor."""
    if "errors" in answer:
        return {error["extensions"]["code"] for error in answer["errors"]} == {"INVALID_CURSOR"}
    value = _asked_for(place, answer)
    return value is None or value["__typename"] == "NotFound" or [] in (value.get("nodes"), _outcomes(value))


def _outcomes(value: Json) -> object:
    return value.get("ReplayWebhookEventsSuccess_outcomes")


def is_their_own(place: Place, answer: Json) -> bool:
    """Whether an answer is no fault of ours; that it holds nothing foreign is looked at for every answer."""
    if "errors" in answer:
        return {error["extensions"]["code"] for error in answer["errors"]} <= {"INVALID_CURSOR", "INVALID_INPUT"}
    value = _asked_for(place, answer)
    return value is not None and ("nodes" in value or value["__typename"].endswith("Success"))


def is_kept_apart(place: Place) -> bool:
    """Whether a text means something within a workspace only: its own key, or a place between two rows of a list."""
    of_history = place.field in {"Query.events", "Invoice.timeline"} or place.field.startswith("Subscription.")
    if place.name in {"after", "before"}:
        return not of_history
    return str(place) in OTHERWISE or (place.field.startswith("Mutation.") and place.scalar == "String")


@pytest.mark.long(servers=LARGE)
def test_nothing_of_another_workspace_is_found_by_any_field(town: Town, surface: Surface) -> None:
    """Given its real ids, cursors and texts, wherever any is taken, alone or beside things of one's own."""
    theirs, own = settle_in(town, "victim", open_invoices=3), settle_in(town, "stranger")
    before = theirs.inventory(surface)
    names = Names.of(before)
    secrets_of_theirs = names.ids | theirs.texts
    assert {id_.partition("_")[0] for id_ in names.ids} == {"ws", "key", "int", "cust", "inv", "pay", "whe", "ev"}
    tried, leaks = [], []

    for place in surface.places():
        if place.field.startswith("Subscription."):
            continue
        for value in foreign_values(place, names, theirs):
            answer = _ask(surface, own, place, value)
            tried.append(place)
            heard = json.dumps(answer)
            told = {text for text in secrets_of_theirs - {value} if text in heard}
            as_it_should_be = is_their_own if is_kept_apart(place) else is_refused
            if told or not as_it_should_be(place, answer):
                leaks.append((str(place), value, answer))

    assert leaks == []
    assert {str(place) for place in tried} >= {"Query.node(id)", "Invoice.timeline(after)", *OTHERWISE}
    assert theirs.inventory(surface) == before


@pytest.mark.long(servers=LARGE)
def test_what_is_looked_for_would_be_found_by_its_owner(town: Town, surface: Surface) -> None:
    """The same questions with things of one's own are answered: it is not that nothing ever is."""
    own = settle_in(town, "owner")
    names = Names.of(own.inventory(surface))

    refused = {
        str(place)
        for place in surface.places()
        if place.field.startswith("Query.") and place.name not in {"after", "before", *FREE_TEXTS}
        if all(is_refused(place, _ask(surface, own, place, v)) for v in foreign_values(place, names, own))
    }

    assert refused == set()


@pytest.mark.long(servers=LARGE)
async def test_subscriptions_are_silent_about_another_workspace(town: Town, surface: Surface) -> None:
    """Its ids filter everything out, and its cursors are refused."""
    theirs, own = settle_in(town, "listened"), settle_in(town, "listener")
    names = Names.of(theirs.inventory(surface))
    places = [place for place in surface.places() if place.field.startswith("Subscription.")]
    filters = [(place, v) for place in places if place.name != "after" for v in foreign_values(place, names, theirs)]
    cursors = [(place, v) for place in places if place.name == "after" for v in names.cursors]
    assert {place.name for place in places} == {"actor", "after", "customerId", "integrationId", "invoiceId"}
    assert own.api.key is not None

    async with GraphQLClient(town.servers.app.url, own.api.key) as client, client.socket() as socket:
        refusals = [await _refusal(socket, surface, place, value) for place, value in cursors]
        everything = await socket.subscribe(surface.document("Subscription.events", {}))
        for place, value in filters:
            given = _placed({}, place.path, value)
            await socket.subscribe(surface.document(place.field, given), **given)
        theirs.api.ask(documents.VOID, id=theirs.open)
        own.api.ask(documents.VOID, id=own.open)
        heard: list[Json] = []
        while "INVOICE_VOIDED" not in json.dumps(heard):
            heard.append(await socket.receive())
        while not await _is_silent(socket, heard):
            pass

    assert {refusal["extensions"]["code"] for refusal in refusals} == {"INVALID_CURSOR"}
    assert [message for message in heard if message["id"] != everything.operation_id] == []
    assert not [id_ for id_ in names.ids if id_ in json.dumps(heard)]


# --- Scopes ----------------------------------------------------------------------------------------------------

SCOPES: Final = ("READ", "WRITE", "ADMIN")
LEAST: Final = {
    "Query.apiKeys": "ADMIN",
    "Query.attention": "READ",
    "Query.counts": "READ",
    "Query.customer": "READ",
    "Query.customerByExternalId": "READ",
    "Query.customers": "READ",
    "Query.events": "READ",
    "Query.invoice": "READ",
    "Query.invoiceByNumber": "READ",
    "Query.invoices": "READ",
    "Query.node": "READ",
    "Query.payment": "READ",
    "Query.payments": "READ",
    "Query.revenue": "READ",
    "Query.stripeIntegration": "READ",
    "Query.stripeIntegrations": "READ",
    "Query.totals": "READ",
    "Query.currencies": "READ",
    "Query.viewer": "READ",
    "Query.webhookEvent": "READ",
    "Query.webhookEventByStripeId": "READ",
    "Query.webhookEvents": "READ",
    "Mutation.applyPayment": "WRITE",
    "Mutation.checkStripeIntegration": "ADMIN",
    "Mutation.connectStripe": "ADMIN",
    "Mutation.createApiKey": "ADMIN",
    "Mutation.createCustomer": "WRITE",
    "Mutation.createInvoice": "WRITE",
    "Mutation.createPaymentLink": "WRITE",
    "Mutation.deleteInvoice": "WRITE",
    "Mutation.discardQuarantined": "ADMIN",
    "Mutation.disconnectStripe": "ADMIN",
    "Mutation.finalizeInvoice": "WRITE",
    "Mutation.markInvoicePaid": "WRITE",
    "Mutation.markInvoiceUncollectible": "WRITE",
    "Mutation.repairStripeIntegration": "ADMIN",
    "Mutation.replayWebhookEvent": "WRITE",
    "Mutation.replayWebhookEvents": "WRITE",
    "Mutation.revokeApiKey": "ADMIN",
    "Mutation.syncStripeEvents": "WRITE",
    "Mutation.updateCustomer": "WRITE",
    "Mutation.updateInvoice": "WRITE",
    "Mutation.updateStripeIntegration": "ADMIN",
    "Mutation.voidInvoice": "WRITE",
    "Subscription.events": "READ",
    "Subscription.invoicePaid": "READ",
    "Subscription.invoiceStatusChanged": "READ",
    "Subscription.webhookEvents": "READ",
}
"""The least that a key has to have; ADMIN includes WRITE, WRITE includes READ."""


@pytest.mark.long(servers=LARGE)
def test_every_field_asks_for_its_scope(town: Town, surface: Surface) -> None:
    """No more and no less; a field that is added is to be told in the table."""
    _, admin = town.workspace()
    allowed: dict[str, list[str]] = {name: [] for name in LEAST if not name.startswith("Subscription.")}

    for scope in SCOPES:
        api = town.api(admin.new_key(scope)[1])
        for name, scopes in allowed.items():
            given = surface.dummies(name)
            answer = api.execute(surface.document(name, given), given)
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
            assert codes <= {"FORBIDDEN"}, (name, answer)
            if not codes:
                scopes.append(scope)

    assert {f"{root}.{name}" for root in ROOTS for name in surface.fields_of(root)} == set(LEAST)
    assert allowed == {name: list(SCOPES[SCOPES.index(LEAST[name]) :]) for name in allowed}


async def test_a_key_that_reads_may_follow_everything(town: Town, surface: Surface) -> None:
    own = settle_in(town, "follower")
    start = _first_cursor(own)

    async with GraphQLClient(town.servers.app.url, town.secret(own.api.new_key("READ")[1])) as client:
        for name in surface.fields_of("Subscription"):
            document = surface.document(f"Subscription.{name}", {"after": start})
            async with client.subscribe(document, after=start) as subscription:
                assert (await subscription.next())["__typename"] == "Event"


def test_a_webhook_url_is_for_admins_alone(town: Town, surface: Surface) -> None:
    """Whichever way the integration is reached."""
    own = settle_in(town, "url")
    ways = [("Query.stripeIntegrations", {}), ("Query.stripeIntegration", {"id": own.integration})]
    ways += [("Query.node", {"id": own.integration}), ("Query.payments", {}), ("Query.events", {})]
    seen: dict[str, set[bool]] = {}

    for scope in SCOPES:
        api = town.api(own.api.new_key(scope)[1])
        answers = [api.execute(surface.document(name, given), given) for name, given in ways]
        seen[scope] = {"/webhooks/stripe/" in json.dumps(answer) for answer in answers}
        assert all("errors" not in answer for answer in answers)

    assert seen == {"READ": {False}, "WRITE": {False}, "ADMIN": {True}}


# --- Keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer flx_test_0000000000000000000000000000000000000000",
        "Bearer sk_test_4242424242424242",
        "Basic Zmx4X3Rlc3Q6",
        "flx_test_0000000000000000000000000000000000000000",
    ],
)
def test_without_a_valid_key_nothing_is_answered(town: Town, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    for document in ("{ __typename }", "{ viewer { workspace { id } } }", "{ __schema { types { name } } }", "{"):
        answer = town.api(None).http.post("/graphql", json={"query": document}, headers=headers)

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer.json()


def test_a_revoked_key_opens_nothing_at_once(town: Town) -> None:
    """Whichever process is asked."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")
    reader = town.api(key)
    before = [reader.status() for _ in range(6)]

    admin.ask(documents.REVOKE_API_KEY, id=key_id)

    after = [reader.status() for _ in range(6)]
    assert (before, after) == ([200] * 6, [401] * 6)
    assert admin.status() == 200


def test_a_key_that_has_expired_opens_nothing(town: Town) -> None:
    _, admin = town.workspace()
    reader = town.api(admin.new_key("READ", expiresAt=_in(1.5))[1])

    before = reader.status()
    eventually(lambda: reader.status() == 401)

    assert before == 200


@pytest.mark.parametrize("ending", ["revoked", "expired"])
async def test_an_open_socket_is_closed_when_its_key_ends(town: Town, ending: str) -> None:
    _, admin = town.workspace()
    lasting = {} if ending == "revoked" else {"expiresAt": _in(1.5)}
    key_id, key = admin.new_key("READ", **lasting)
    client = GraphQLClient(town.servers.app.url, town.secret(key))

    async with client, client.socket() as socket:
        await socket.subscribe("subscription { events { type } }")
        if ending == "revoked":
            admin.ask(documents.REVOKE_API_KEY, id=key_id)
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S + (0 if ending == "revoked" else 1.5))
        reopened = await _opened_with(town, key)

    assert (code, reopened) == (UNAUTHORIZED, UNAUTHORIZED)


async def test_a_revoked_key_hears_nothing_that_is_committed_later(town: Town) -> None:
    """Whichever process it is connected to, and however soon the next commit comes."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")
    client = GraphQLClient(town.servers.app.url, town.secret(key))

    async with client, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(client.socket()) for _ in range(4)]
        known = (await client.query("{ viewer { workspace { eventCursor } } }"))["viewer"]["workspace"]["eventCursor"]
        for socket in sockets:
            await socket.subscribe("subscription ($after: String) { events(after: $after) { type } }", after=known)
        admin.ask(documents.CREATE_CUSTOMER, input={"name": "Before", "email": "before@example.com"})
        before = [await socket.receive() for socket in sockets]
        await asyncio.to_thread(_revoke_and_go_on, admin, key_id)
        later = [await _until_closed(socket) for socket in sockets]
        codes = {socket.connection.close_code for socket in sockets}

    assert [message["payload"]["data"]["events"]["type"] for message in before] == ["CUSTOMER_CREATED"] * 4
    assert later == [[]] * 4
    assert codes == {UNAUTHORIZED}


async def _until_closed(socket: Socket) -> list[Json]:
    """What else is heard on a socket."""
    heard = []
    with suppress(ConnectionClosed):
        while True:
            heard.append(await socket.receive(4 * CLOSED_WITHIN_S))  # when is looked at elsewhere
    return heard


def _revoke_and_go_on(admin: Api, key_id: str) -> None:
    admin.ask(documents.REVOKE_API_KEY, id=key_id)
    for _ in range(5):
        admin.ask(documents.CREATE_CUSTOMER, input={"name": "Later", "email": "later@example.com"})


async def test_who_revokes_its_own_key_on_a_socket_is_answered(town: Town) -> None:
    """And then closed."""
    _, admin = town.workspace()
    key_id, key = admin.new_key("ADMIN")

    async with GraphQLClient(town.servers.app.url, town.secret(key)) as client, client.socket() as socket:
        await socket.subscribe(documents.REVOKE_API_KEY, id=key_id)
        answer, complete = await socket.receive(), await socket.receive()
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S)

    assert answer["payload"]["data"]["revokeApiKey"]["__typename"] == "RevokeApiKeySuccess"
    assert (complete["type"], code) == ("complete", UNAUTHORIZED)


async def test_a_revoked_key_starts_nothing_new_on_its_open_socket(town: Town) -> None:
    _, admin = town.workspace()
    key_id, key = admin.new_key("READ")

    async with GraphQLClient(town.servers.app.url, town.secret(key)) as client, client.socket() as socket:
        admin.ask(documents.REVOKE_API_KEY, id=key_id)
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { workspace { id } } }"}})
        code = await _closed_with(socket, within_s=CLOSED_WITHIN_S)

    assert code == UNAUTHORIZED


async def test_a_wrong_key_opens_no_socket(town: Town) -> None:
    assert await _opened_with(town, "flx_test_0000000000000000000000000000000000000000") == UNAUTHORIZED


# --- Secrets ---------------------------------------------------------------------------------------------------


def test_no_secret_is_ever_told(town: Town) -> None:
    """Given in the right place or a wrong one, understood or not, in use or replaced."""
    own = settle_in(town, "discreet")
    given = town.secret

    for wrong in (
        {"name": "Stripe", "secretKey": given("whsec_inTheWrongField123")},
        {"name": "Stripe", "secretKey": given("sk_live_ofTheOtherMode123")},
        {"name": "Stripe", "secretKey": given("sk_test_invalid_atStripe123")},
        {"name": "Stripe", "secretKey": given("pk_test_publishable123")},
        {"name": "", "secretKey": given("sk_test_withoutName_123")},
        {"name": "Stripe", "secretKey": given("sk_test_acme_00112233"), "webhookSecret": given("sk_test_asWebhook123")},
        {"nam": "Stripe", "secretKey": given("sk_test_misspelt_123456")},
        {"secretKey": given("sk_test_missing_123456")},
        {"name": "Stripe", "secretKey": [given("sk_test_inAList_123456")]},
        {"name": "Stripe", "secretKey": given("rk_test_restricted_123"), "webhookSecret": 4242424242},
    ):
        own.api.execute(documents.CONNECT, {"input": wrong})
    for replaced in ({"webhookSecret": given("whsec_theNextOne12345")}, {"secretKey": given("sk_test_discreet_next1")}):
        own.api.ask(documents.UPDATE_INTEGRATION, input={"id": own.integration, **replaced})
    for literal in ("sk_test_inline_1234567", "whsec_inline12345678", "flx_test_inline0123456789012345678901234567"):
        own.api.execute(
            f'mutation {{ connectStripe(input: {{name: "S", secretKey: {given(literal)}}}) {{ __typename }} }}'
        )
        own.api.execute(f'{{ node(id: "{literal}") {{ id }} {literal} }}')
        own.api.execute(f'query ($id: ID! = {{a: "{literal}"}}) {{ node(id: $id) {{ {literal} }} ')
        own.api.http.get("/graphql", params={"query": f'{{ invoice(id: "{literal}") {{ id }} }}'})
        own.api.http.post("/graphql", content=literal, headers={"content-type": "application/json"})
        own.api.http.get(f"/{literal}")
        town.api(None).http.post("/graphql", json={"query": literal}, headers={"Authorization": f"Bearer {literal}"})
    for token in [*town.tokens, given("aTokenThatNobodyHas0123456789012")]:
        for path in (f"/webhooks/stripe/{token}", f"/webhooks/stripe/{token}/more", f"/webhooks/{token}"):
            own.api.http.post(path, content=b"{}", headers={"Stripe-Signature": "t=1,v1=00"})
            own.api.http.get(path)
    _sign_in_and_out(town, own.api)
    own.api.ask(documents.DISCONNECT, id=own.integration)
    for path in ("/metrics", "/readyz", "/healthz", "/"):
        town.api(None).http.get(path)

    assert town.overheard() == set()


def test_a_secret_that_was_told_would_be_noticed(town: Town) -> None:
    attentive = Town(town.servers, callers=town.callers)
    _, api = attentive.workspace()

    api.execute("{ whsec_4242424242: __typename }")
    attentive.secret("whsec_4242424242")

    assert attentive.overheard() == {"whsec_4242424242"}


# --- Steps -----------------------------------------------------------------------------------------------------


def _sign_in_and_out(town: Town, api: Api) -> None:
    """Exchange a key for a cookie, and use both where they belong and where they don't."""
    visitor = town.api(None).http
    visitor.headers["Origin"] = town.servers.app.url
    asked = {"query": "{ viewer { apiKey { id } } }"}
    signed_in = visitor.post("/session", json={"apiKey": api.key})
    assert signed_in.status_code == 204
    (cookie,) = map(town.secret, dict(visitor.cookies).values())
    town.heard[-1] = town.heard[-1].replace(cookie, "(given once)")

    assert visitor.post("/graphql", json=asked).status_code == 200
    assert visitor.get("/session").json()["signedIn"] is True
    for elsewhere in (f"/session?apiKey={api.key}", f"/session/{cookie}", f"/{cookie}", f"/graphql?query={cookie}"):
        visitor.get(elsewhere)
    visitor.post("/session", json={"apiKey": cookie})
    visitor.post("/session", json={"apiKey": [api.key]})
    visitor.post("/session", content=f"apiKey={api.key}")
    visitor.post("/graphql", json=asked, headers={"Authorization": f"Bearer {cookie}"})
    visitor.post("/graphql", json=asked, headers={"Origin": f"https://{cookie}"})
    assert visitor.delete("/session").status_code == 204
    assert visitor.get("/session").json()["signedIn"] is False


def _ask(surface: Surface, own: Estate, place: Place, value: str) -> Json:
    """Ask for a field with a value in one place and things of one's own in the others."""
    besides = BESIDES[place.field](own) if place.field in BESIDES else {}
    given = _placed(besides, place.path, value)
    lacking = surface.required(place.field) - set(_paths(given))
    assert not lacking, f"say in BESIDES what {place.field} takes besides {place.name}: {lacking}"
    parent = {"Customer": own.customer, "Invoice": own.paid, "StripeIntegration": own.integration}
    type_name = place.field.partition(".")[0]
    if type_name in ROOTS:
        return own.api.execute(surface.document(place.field, given), given)
    assert type_name in parent, f"say how a {type_name} is reached, for {place}"
    document = surface.document(place.field, given, parent[type_name])
    return own.api.execute(document, {**given, "parent": parent[type_name]})


def _asked_for(place: Place, answer: Json) -> Json | None:
    (value,) = answer["data"].values()
    if place.field.partition(".")[0] not in ROOTS:
        value = next(inner for name, inner in value.items() if name != "__typename")
    found: Json | None = value
    return found


def _placed(given: Json, path: tuple[str, ...], value: str) -> Json:
    placed = copy.deepcopy(given)
    inner = placed
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    return placed


def _paths(given: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(given, dict):
        for name, inner in given.items():
            yield from _paths(inner, (*path, name))
    elif isinstance(given, list) and given and isinstance(given[0], dict):
        yield from _paths(given[0], path)
    else:
        yield path


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _ids(value: object) -> set[str]:
    """All ids of ours within."""
    return {text for text in _strings(value) if _ID.fullmatch(text)}


def _values(value: object, ending: str) -> set[str]:
    """The texts of all fields with such a name."""
    if isinstance(value, list):
        return set().union(*(_values(inner, ending) for inner in value))
    if not isinstance(value, dict):
        return set()
    own = {inner for name, inner in value.items() if name.endswith(ending) and isinstance(inner, str)}
    return own.union(*(_values(inner, ending) for inner in value.values()))


def _without(value: object, names: set[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


def _first_cursor(estate: Estate) -> str:
    (first,) = estate.api.ask("{ events(first: 1) { nodes { cursor } } }")["nodes"]
    return str(first["cursor"])


async def _refusal(socket: Socket, surface: Surface, place: Place, cursor: str) -> Json:
    given = _placed({}, place.path, cursor)
    operation = await socket.subscribe(surface.document(place.field, given), **given)
    message = await socket.receive()
    assert (message["type"], message["id"]) == ("error", operation.operation_id), message
    (error,) = message["payload"]
    refusal: Json = error
    return refusal


async def _is_silent(socket: Socket, heard: list[Json]) -> bool:
    """Whether nothing comes for longer than the server's poll takes; what does come is heard."""
    try:
        heard.append(await socket.receive(1.5))
    except TimeoutError:
        return True
    return False


async def _closed_with(socket: Socket, within_s: float) -> int:
    """The code that the server closes a socket with."""
    async with asyncio.timeout(within_s):
        await socket.connection.wait_closed()
    assert socket.connection.close_code is not None
    return socket.connection.close_code


async def _opened_with(town: Town, key: str) -> int:
    """The code that a new socket with a key is closed with."""
    url = f"{town.servers.app.ws_url}/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"]) as connection:  # type: ignore[list-item]
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}
        await connection.send(json.dumps(init))
        return await _closed_with(Socket(connection), CLOSED_WITHIN_S)


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
