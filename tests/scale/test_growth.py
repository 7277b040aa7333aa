"""Nothing costs more in a larger workspace: every list, filter, look-up, mutation and webhook, on both databases."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import pytest

from database.door import transaction
from inbox.delivery import Origin, delivery_of
from models.instant import utc_now
from models.kinds import Mode, Scope, WebhookEventStatus
from models.workspace import add_workspace
from resolvers.context import Services
from tests.scale.filling import OPEN, Filled, fill
from tests.scale.visits import visits
from tests.schema.caller import Caller, caller_with
from tests.support import stripe_payloads as stripe
from tests.support.business import opened_services
from tests.support.seed import add_integration

SMALL: Final = 1_000
LARGE: Final = 12_000
NOBODY: Final = "http://127.0.0.1:1"

Ask = tuple[str, Callable[[Filled], dict[str, Any]]]


def _list(name: str, fields: str, filter_type: str, **filters: Callable[[Filled], Any]) -> dict[str, Ask]:
    """A list with each filter by itself, from both ends, and past a cursor."""
    document = f"query ($filter: {filter_type}) {{ {name}(first: 20, filter: $filter) {{ nodes {{ {fields} }} }} }}"
    last = f"query ($filter: {filter_type}) {{ {name}(last: 20, filter: $filter) {{ nodes {{ {fields} }} }} }}"
    asks: dict[str, Ask] = {name: (document, lambda _: {}), f"{name} from the end": (last, lambda _: {})}
    for given, value in filters.items():
        asks[f"{name} by {given}"] = (document, _given(given, value))
    return asks


def _given(name: str, value: Callable[[Filled], Any]) -> Callable[[Filled], dict[str, Any]]:
    field = name.rstrip("_0123456789")
    return lambda filled: {"filter": {field: value(filled)}}


_LATELY: Final = "2026-11-23T12:00:00Z"
_LONG_AGO: Final = "2020-01-01T00:00:00Z"

READS: Final[dict[str, Ask]] = {
    "viewer": ("{ viewer { workspace { id eventCursor } apiKey { name } } }", lambda _: {}),
    "an invoice's page": (
        "query ($id: ID!) { invoice(id: $id) { number customer { name } lineItems { amount { amount } }"
        " paymentLink { url } payments { nodes { id } } timeline { nodes { type } } } }",
        lambda filled: {"id": filled.paid_id},
    ),
    "a payment": (
        "query ($id: ID!) { node(id: $id) { ... on Payment { status invoice { number } } } }",
        lambda filled: {"id": filled.payment_id},
    ),
    "an invoice by its number": (
        "query ($n: String!) { invoiceByNumber(number: $n) { id } }",
        lambda _: {"n": "INV-2026-000007"},
    ),
    "a customer's page": (
        "query ($id: ID!) { customer(id: $id) { name invoices(first: 10) { nodes { number } } } }",
        lambda filled: {"id": filled.customer_id},
    ),
    "100 invoices with what belongs to them": (
        "{ invoices(first: 100) { nodes { number customer { name } payments { nodes { id } }"
        " paymentLink { url } timeline(first: 5) { nodes { type } } } } }",
        lambda _: {},
    ),
    **_list(
        "invoices",
        "id",
        "InvoiceFilter",
        status=lambda _: ["OPEN"],
        status_2=lambda _: ["VOID"],
        status_3=lambda _: ["PAID"],
        customerId=lambda filled: filled.customer_id,
        createdAfter=lambda _: _LATELY,
        createdBefore=lambda _: _LONG_AGO,
        overdue=lambda _: True,
        currency=lambda _: "USD",
        currency_2=lambda _: "EUR",
        dueBefore=lambda _: "2020-01-01",
        dueBefore_2=lambda _: "2030-01-01",
    ),
    **_list(
        "payments",
        "id",
        "PaymentFilter",
        status=lambda _: ["SUCCEEDED"],
        allocation=lambda _: "UNAPPLIED",
        invoiceId=lambda filled: filled.paid_id,
        customerId=lambda filled: filled.customer_id,
        integrationId=lambda filled: filled.integration_id,
        currency=lambda _: "EUR",
        status_2=lambda _: ["FAILED"],
        occurredAfter=lambda _: _LATELY,
        occurredBefore=lambda _: _LONG_AGO,
    ),
    **_list(
        "webhookEvents",
        "id",
        "WebhookEventFilter",
        integrationId=lambda filled: filled.integration_id,
        status=lambda _: ["PROCESSED"],
        status_2=lambda _: ["FAILED"],
        status_3=lambda _: ["IGNORED"],
        type=lambda _: ["charge.refunded"],
        receivedAfter=lambda _: _LATELY,
        receivedBefore=lambda _: _LONG_AGO,
        invoiceId=lambda filled: filled.paid_id,
    ),
    **_list(
        "events",
        "id",
        "EventFilter",
        invoiceId=lambda filled: filled.paid_id,
        customerId=lambda filled: filled.customer_id,
        type=lambda _: ["INVOICE_PAID"],
        type_2=lambda _: ["INVOICE_VOIDED"],
        integrationId=lambda filled: filled.integration_id,
    ),
    "totals": ("{ totals { currency open { amount } paid { amount } unapplied { amount } } }", lambda _: {}),
    "totals since": (
        "query ($since: DateTime!) { totals(since: $since) { currency paid { amount } } }",
        lambda _: {"since": _LATELY},
    ),
    **{
        f"how many {name}": (f"{{ {name}({asked}) {{ totalCount totalCountPrecision }} }}", lambda _: {})
        for name, asked in {
            "invoices": "first: 1, filter: {status: [PAID]}",
            "payments": 'first: 1, filter: {currency: "USD"}',
            "webhookEvents": 'first: 1, filter: {type: ["payment_intent.succeeded"]}',
            "events": "first: 1",
        }.items()
    },
    "customers": ("{ customers(first: 20) { nodes { name } } }", lambda _: {}),
    "integrations with their health": (
        "{ stripeIntegrations { nodes { name status health { problems { code } } } } }",
        lambda _: {},
    ),
}
"""What a dashboard asks for."""


WARM: Final = 7
"""So often is asked before it is counted: PostgreSQL may change a plan from the sixth time on."""


async def _grown(services: Services, invoices: int, *, is_analyzed: bool = True) -> tuple[Filled, Caller]:
    """A workspace of that size, and somebody who may do everything."""
    async with transaction() as tx:
        workspace = await add_workspace(tx, "Acme", Mode.TEST)
    integration = await add_integration(workspace.id)
    filled = await fill(workspace.id, integration.id, invoices, is_analyzed=is_analyzed)
    return filled, await caller_with(services, workspace, Scope.ADMIN)


async def _reads(filled: Filled, caller: Caller) -> dict[str, int]:
    counted = {}
    for name, (document, variables) in READS.items():
        asked = variables(filled)
        for _ in range(WARM):
            await caller.query(document, **asked)
        counted[name] = await visits(_once(caller, document, asked))
    return counted


def _once(caller: Caller, document: str, asked: dict[str, Any]) -> Callable[[], Awaitable[object]]:
    return lambda: caller.query(document, **asked)


SLACK: Final = 40
"""What an index that is a level deeper, or a page that is split, may add."""


def _grew(small: dict[str, int], large: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What costs more in the large workspace than 1.3 times what it costs in the small one."""
    return {name: (small[name], large[name]) for name in small if large[name] > 1.3 * small[name] + SLACK}


STILL_GROW: Final = frozenset(
    {
        "events by type_2",
        "invoices by currency_2",
        "invoices by dueBefore",
        "payments by currency",
        "payments by status_2",
        "webhookEvents by status_3",
        "webhookEvents by type",
    }
)
"""Filters for what is rare that walk the workspace until they have found enough: none of them has an index, each of
which every webhook would have to write."""


STILL_GROW_ON_SQLITE: Final = frozenset({"payments by occurredAfter", "payments by occurredBefore"})
"""SQLite keeps to the order of the ids where there is an index by time."""


@pytest.mark.timeout(300)
async def test_what_is_asked_for_costs_as_much_in_a_large_workspace(database_url: str) -> None:
    async with opened_services(database_url, NOBODY) as services:
        small = await _reads(*await _grown(services, SMALL))
        large = await _reads(*await _grown(services, LARGE))

    on_sqlite = STILL_GROW_ON_SQLITE if database_url.startswith("sqlite") else frozenset()
    assert _grew(small, large).keys() == STILL_GROW | on_sqlite


# --- Writing ---------------------------------------------------------------------------------------------------

_FINALIZE: Final = "mutation ($id: ID!) { finalizeInvoice(id: $id) { __typename } }"
_VOID: Final = "mutation ($id: ID!) { voidInvoice(id: $id) { __typename } }"
_MARK_PAID: Final = "mutation ($id: ID!) { markInvoicePaid(id: $id) { __typename } }"
_UPDATE: Final = 'mutation ($id: ID!) { updateInvoice(input: {id: $id, memo: "Thanks"}) { __typename } }'


async def _writes(services: Services, filled: Filled, caller: Caller) -> dict[str, int]:
    """Each is done several times, to rows of its own, before it is counted."""
    drafts, open_ids = iter(filled.draft_ids), iter(filled.open_ids)
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "updateInvoice": lambda: caller.query(_UPDATE, id=filled.draft_ids[-1]),
        "finalizeInvoice": lambda: caller.query(_FINALIZE, id=next(drafts)),
        "voidInvoice": lambda: caller.query(_VOID, id=next(open_ids)),
        "markInvoicePaid": lambda: caller.query(_MARK_PAID, id=next(open_ids)),
        "a webhook that pays": lambda: _paid(services, filled, next(open_ids)),
    }
    counted = {}
    for name, work in works.items():
        for _ in range(5):
            await work()
        counted[name] = await visits(work)
    return counted


async def _paid(services: Services, filled: Filled, invoice_id: str) -> None:
    event = stripe.payment_intent_succeeded(
        invoice_id=invoice_id, customer_id=None, workspace_id=filled.workspace_id, amount=1999, currency="usd"
    )
    origin = Origin(filled.workspace_id, filled.integration_id, Mode.TEST)
    receipt = await services.inbox.accept(delivery_of(origin, stripe.body(event), utc_now()))
    assert receipt.status is WebhookEventStatus.PROCESSED


@pytest.mark.timeout(300)
async def test_what_is_changed_costs_as_much_in_a_large_workspace(database_url: str) -> None:
    async with opened_services(database_url, NOBODY) as services:
        small = await _writes(services, *await _grown(services, SMALL))
        large = await _writes(services, *await _grown(services, LARGE))

    assert _grew(small, large) == {}


async def test_a_plan_that_was_made_while_nothing_was_there_is_no_burden_later(migrated_postgres_url: str) -> None:
    """The sessions that write plan once, for good: after a vacuum of empty tables whatever is cheap for no rows."""
    session = await asyncpg.connect(migrated_postgres_url)
    await session.execute("VACUUM ANALYZE")
    await session.close()
    async with opened_services(migrated_postgres_url, NOBODY) as services:
        first, _ = await _grown(services, 2 * OPEN + 1, is_analyzed=False)
        for invoice_id in first.open_ids[:10]:
            await _paid(services, first, invoice_id)
        filled, _ = await _grown(services, LARGE, is_analyzed=False)

        read = [await visits(_payment_of(services, filled, invoice_id)) for invoice_id in filled.open_ids[:10]]

    assert max(read) < MOST_ROWS_PER_WEBHOOK


MOST_ROWS_PER_WEBHOOK: Final = 200


def _payment_of(services: Services, filled: Filled, invoice_id: str) -> Callable[[], Awaitable[object]]:
    return lambda: _paid(services, filled, invoice_id)
