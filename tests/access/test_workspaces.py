"""Nobody gets at another workspace's things.

Every field is found by introspection of the running server: one that is added fails here until it is covered.
"""

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Self

import pytest

from tests.access.town import Estate, Json, Town, settle_in
from tests.world import documents
from tests.world.graphql_client import GraphQLClient, Socket
from tests.world.house import LARGE
from tests.world.surface import ROOTS, Place, Surface

_ID: Final = re.compile(r"(ws|key|int|cust|inv|pay|whe|ev)_[0-9a-z]{26}")


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
