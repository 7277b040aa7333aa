"""Nothing costs more in a larger workspace: every list, filter, look-up, mutation and webhook, on both databases."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from database.door import transaction
from models.kinds import Mode, Scope
from models.workspace import add_workspace
from resolvers.context import Services
from tests.scale.filling import Filled, fill
from tests.scale.visits import visits
from tests.schema.caller import Caller, caller_with
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
    ),
    **_list(
        "webhookEvents",
        "id",
        "WebhookEventFilter",
        integrationId=lambda filled: filled.integration_id,
        status=lambda _: ["PROCESSED"],
        status_2=lambda _: ["FAILED"],
        invoiceId=lambda filled: filled.paid_id,
    ),
    **_list(
        "events",
        "id",
        "EventFilter",
        invoiceId=lambda filled: filled.paid_id,
        customerId=lambda filled: filled.customer_id,
        type=lambda _: ["INVOICE_PAID"],
    ),
    "customers": ("{ customers(first: 20) { nodes { name } } }", lambda _: {}),
    "integrations with their health": (
        "{ stripeIntegrations { nodes { name status health { problems { code } } } } }",
        lambda _: {},
    ),
}
"""What a dashboard asks for."""


WARM: Final = 7
"""So often is asked before it is counted: PostgreSQL may change a plan from the sixth time on."""


async def _grown(services: Services, invoices: int) -> tuple[Filled, Caller]:
    """A workspace of that size, and somebody who may do everything."""
    async with transaction() as tx:
        workspace = await add_workspace(tx, "Acme", Mode.TEST)
    integration = await add_integration(workspace.id)
    filled = await fill(workspace.id, integration.id, invoices)
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


@pytest.mark.timeout(300)
async def test_what_is_asked_for_costs_as_much_in_a_large_workspace(database_url: str) -> None:
    async with opened_services(database_url, NOBODY) as services:
        small = await _reads(*await _grown(services, SMALL))
        large = await _reads(*await _grown(services, LARGE))

    assert _grew(small, large) == {}
