"""The queries and mutations of a dashboard, and a webhook: their cost must not depend on the workspace's size."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from benchmarks.filling import Filled
from gateways.stripe.endpoint_calls import API_VERSION
from inbox.delivery import Origin, delivery_of
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.kinds import Mode, WebhookEventStatus
from models.reason import Reason
from resolvers.context import Services

Ask = tuple[str, Callable[[Filled], dict[str, Any]]]


def _list(name: str, fields: str, filter_type: str, **filters: Callable[[Filled], Any]) -> dict[str, Ask]:
    """Make the queries of a list: from both ends, and with each filter alone."""
    document = f"query ($filter: {filter_type}) {{ {name}(first: 20, filter: $filter) {{ nodes {{ {fields} }} }} }}"
    last = f"query ($filter: {filter_type}) {{ {name}(last: 20, filter: $filter) {{ nodes {{ {fields} }} }} }}"
    asks: dict[str, Ask] = {name: (document, lambda _: {}), f"{name} from the end": (last, lambda _: {})}
    for given, value in filters.items():
        asks[f"{name} by {given.replace('_', ', ')}"] = (document, _given(given, value))
    return asks


def _given(name: str, value: Callable[[Filled], Any]) -> Callable[[Filled], dict[str, Any]]:
    field = name.partition("_")[0]
    return lambda filled: {"filter": {field: value(filled)}}


def _ordered(name: str, order: str, fields: Sequence[str], **filters: Callable[[Filled], Any]) -> dict[str, Ask]:
    """Make the queries of a list in each of its orders: in both directions, from both ends, and with filters."""
    ways = [(field, direction) for field in fields for direction in ("ASC", "DESC")]
    given = f"query ($by: {order}, $filter: {order.removesuffix('Order')}Filter)"
    plain = f"query ($by: {order})"
    asks: dict[str, Ask] = {}
    for field, direction in ways:
        by = {"by": {"field": field, "direction": direction}}
        for end in ("first", "last"):
            document = f"{plain} {{ {name}({end}: 20, orderBy: $by) {{ nodes {{ id }} }} }}"
            asks[f"{name} in the order of {field} {direction}, {end}"] = (document, _always(by))
        for filter_, value in filters.items():
            document = f"{given} {{ {name}(first: 20, orderBy: $by, filter: $filter) {{ nodes {{ id }} }} }}"
            question = f"{name} in the order of {field} {direction} by {filter_.replace('_', ', ')}"
            asks[question] = (document, _both(by, _given(filter_, value)))
    return asks


def _always(variables: dict[str, Any]) -> Callable[[Filled], dict[str, Any]]:
    return lambda _: variables


def _both(variables: dict[str, Any], more: Callable[[Filled], dict[str, Any]]) -> Callable[[Filled], dict[str, Any]]:
    return lambda filled: {**variables, **more(filled)}


def _searches(**texts: str) -> dict[str, Ask]:
    """Make the searches for customers."""
    document = "query ($search: String) { customers(first: 20, search: $search) { nodes { name } } }"
    return {f"customers by search, {name}": (document, _searching(text)) for name, text in texts.items()}


def _searching(text: str) -> Callable[[Filled], dict[str, Any]]:
    return lambda _: {"search": text}


_LATELY: Final = "2026-11-23T12:00:00Z"
_LONG_AGO: Final = "2000-01-01T00:00:00Z"

_REVENUE: Final = """
query ($since: DateTime!, $until: DateTime!, $interval: RevenueInterval!) {
  revenue(since: $since, until: $until, interval: $interval, timeZone: "Asia/Kathmandu", currency: "USD") {
    points { start received { amount } refunded { amount } }
  }
}
"""
"""By days of a time zone that is 5:45 h ahead of UTC."""


def _range(interval: str) -> Callable[[Filled], dict[str, Any]]:
    """Choose the last hours of the filled history, between instants that are not on a quarter of an hour."""
    return lambda _: {"since": "2026-11-22T20:10:30Z", "until": "2026-11-23T12:20:30Z", "interval": interval}


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
    "a customer's payments": (
        "query ($id: ID!) { customer(id: $id) { payments(first: 10) { nodes { id } } } }",
        lambda filled: {"id": filled.customer_id},
    ),
    "a customer's payments by occurredBefore": (
        "query ($id: ID!, $at: DateTime) {"
        " customer(id: $id) { payments(first: 10, filter: {occurredBefore: $at}) { nodes { id } } } }",
        lambda filled: {"id": filled.customer_ids[-1], "at": _LONG_AGO},
    ),
    "100 invoices with the objects that belong to them": (
        "{ invoices(first: 100) { nodes { number customer { name } payments { nodes { id } }"
        " paymentLink { url } timeline(first: 5) { nodes { type } } } } }",
        lambda _: {},
    ),
    **_list(
        "invoices",
        "id",
        "InvoiceFilter",
        status=lambda _: ["OPEN"],
        status_void=lambda _: ["VOID"],
        status_paid=lambda _: ["PAID"],
        customerId=lambda filled: filled.customer_id,
        createdAfter=lambda _: _LATELY,
        createdBefore=lambda _: _LONG_AGO,
        overdue=lambda _: True,
        currency=lambda _: "USD",
        currency_rare=lambda _: "EUR",
        dueBefore_none=lambda _: "2000-01-01",
        dueBefore_all=lambda _: "2030-01-01",
        dueAfter_none=lambda _: "2030-01-01",
        dueAfter_all=lambda _: "2000-01-01",
        finalizedAfter=lambda _: "2026-11-23T12:28:00Z",
        finalizedBefore=lambda _: _LONG_AGO,
        paidAfter=lambda _: _LATELY,
        paidBefore=lambda _: _LONG_AGO,
        ids=lambda filled: filled.open_ids,
        customerIds=lambda filled: filled.customer_ids[:10],
        number=lambda _: "INV-2026-000007",
        integrationId=lambda filled: filled.integration_id,
        partiallyPaid=lambda _: True,
        partiallyPaid_not=lambda _: False,
        paymentLinkFailed=lambda _: True,
        paymentLinkFailed_not=lambda _: False,
        search_number=lambda _: "2026-000007",
        search_memo=lambda _: "first of all",
        search_customer=lambda _: "ada",
        search_common=lambda _: "inv-",
        search_none=lambda _: "nobody",
        search_short=lambda _: "zz",
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
        currency_rare=lambda _: "EUR",
        status_failed=lambda _: ["FAILED"],
        toApply=lambda _: True,
        toApply_not=lambda _: False,
        overpaid=lambda _: True,
        overpaid_not=lambda _: False,
        disputed=lambda _: True,
        disputed_not=lambda _: False,
        occurredAfter=lambda _: _LATELY,
        occurredBefore=lambda _: _LONG_AGO,
    ),
    **_ordered(
        "invoices",
        "InvoiceOrder",
        ("DUE_DATE", "TOTAL", "PAID_AT", "CUSTOMER"),
        status=lambda _: ["OPEN"],
        status_paid=lambda _: ["PAID"],
        overdue=lambda _: True,
        customerId=lambda filled: filled.customer_ids[-1],
        search_number=lambda _: "2026-000007",
        search_customer=lambda _: "ada",
    ),
    **_ordered(
        "payments",
        "PaymentOrder",
        ("OCCURRED_AT", "AMOUNT"),
        status_failed=lambda _: ["FAILED"],
        invoiceId=lambda filled: filled.paid_id,
        currency_rare=lambda _: "EUR",
        occurredBefore=lambda _: _LONG_AGO,
    ),
    **_ordered("customers", "CustomerOrder", ("NAME",)),
    **{
        f"customers in the order of NAME {direction} by search, {name}": (
            "query ($search: String) {"
            f" customers(first: 20, search: $search, orderBy: {{field: NAME, direction: {direction}}}) {{"
            " nodes { id } } }",
            _searching(text),
        )
        for direction in ("ASC", "DESC")
        for name, text in {"common": "example.com", "rare": "hopper"}.items()
    },
    **_list(
        "webhookEvents",
        "id",
        "WebhookEventFilter",
        integrationId=lambda filled: filled.integration_id,
        status=lambda _: ["PROCESSED"],
        status_failed=lambda _: ["FAILED"],
        status_ignored=lambda _: ["IGNORED"],
        type_rare=lambda _: ["charge.refunded"],
        receivedAfter=lambda _: _LATELY,
        receivedBefore=lambda _: _LONG_AGO,
        invoiceId=lambda filled: filled.paid_id,
        reasonCode=lambda _: Reason.NO_METADATA,
        search_event=lambda filled: f"evt_{filled.paid_id}",
        search_invoice=lambda filled: filled.paid_id,
        search_number=lambda _: "INV-2026-000007",
        search_type=lambda _: "payment_intent.",
        search_none=lambda _: "nothing",
    ),
    **_list(
        "events",
        "id",
        "EventFilter",
        invoiceId=lambda filled: filled.paid_id,
        customerId=lambda filled: filled.customer_id,
        type=lambda _: ["INVOICE_PAID"],
        type_rare=lambda _: ["INVOICE_VOIDED"],
        actor=lambda _: "stripe",
        actor_rare=lambda _: "key_nobody",
        occurredAfter=lambda _: "2026-11-23T12:28:00Z",
        occurredBefore=lambda _: _LONG_AGO,
        integrationId=lambda filled: filled.integration_id,
    ),
    **{
        f"invoices by {name}": (
            f'{{ invoices(first: 20, filter: {{currency: "USD", {given}}}) {{ nodes {{ id }} }} }}',
            lambda _: {},
        )
        for name, given in {
            "totalMin": 'totalMin: "20.00"',
            "totalMax": 'totalMax: "19.98"',
            "totalMin and totalMax": 'totalMin: "19.99", totalMax: "19.99"',
        }.items()
    },
    **{
        f"totals of {name}": (f"{{ {name} {{ totals {{ currency count precision }} }} }}", lambda _: {})
        for name in (
            "invoices",
            "invoices(filter: {status: [PAID]})",
            "invoices(filter: {overdue: true})",
            "payments",
            'payments(filter: {status: [SUCCEEDED], currency: "USD"})',
            "payments(filter: {toApply: true})",
        )
    },
    "totals": ("{ totals { currency open { amount } paid { amount } unapplied { amount } } }", lambda _: {}),
    "totals since": (
        "query ($since: DateTime!) { totals(since: $since) { currency paid { amount } } }",
        lambda _: {"since": _LATELY},
    ),
    "totals until": (
        "query ($until: DateTime!) { totals(until: $until) { currency paid { amount } } }",
        lambda _: {"until": _LONG_AGO},
    ),
    "totals, overdueByAge": ("{ totals { currency overdueByAge { count amount { amount } } } }", lambda _: {}),
    **{f"revenue by {interval}": (_REVENUE, _range(interval)) for interval in ("HOUR", "DAY", "WEEK", "MONTH")},
    "counts": ("{ counts { invoices { status count } webhookEvents { status count } } }", lambda _: {}),
    "attention": (
        "{ attention { unappliedPayments overpaidPayments openDisputes failedPaymentLinks unhealthyIntegrations"
        " heldOrFailedWebhookEvents } }",
        lambda _: {},
    ),
    **{
        f"totalCount of {name}": (f"{{ {name}({asked}) {{ totalCount totalCountPrecision }} }}", lambda _: {})
        for name, asked in {
            "invoices": "first: 1, filter: {status: [PAID]}",
            "payments": 'first: 1, filter: {currency: "USD"}',
            "webhookEvents": 'first: 1, filter: {type: ["payment_intent.succeeded"]}',
            "events": "first: 1",
        }.items()
    },
    "customers": ("{ customers(first: 20) { nodes { name } } }", lambda _: {}),
    **_searches(common="EXAMPLE.com", rare="hopper", none="com nobody", short="zz"),
    "totalCount of customers": ('{ customers(first: 1, search: "hopper") { totalCount } }', lambda _: {}),
    "integrations with their health": (
        "{ stripeIntegrations { nodes { name status health { problems { code } } } } }",
        lambda _: {},
    ),
}
"""The queries of a dashboard."""


# --- Changes ---------------------------------------------------------------------------------------------------

Work = Callable[[], Awaitable[object]]

_FINALIZE: Final = "mutation ($id: ID!) { finalizeInvoice(id: $id) { __typename } }"
_VOID: Final = "mutation ($id: ID!) { voidInvoice(id: $id) { __typename } }"
_MARK_PAID: Final = "mutation ($id: ID!) { markInvoicePaid(id: $id) { __typename } }"
_UPDATE: Final = 'mutation ($id: ID!) { updateInvoice(input: {id: $id, memo: "Thanks"}) { __typename } }'


def changes(services: Services, filled: Filled, query: Callable[..., Awaitable[object]]) -> dict[str, Work]:
    """Make functions that each change another row at each call, as long as there are such rows."""
    drafts, open_ids = iter(filled.draft_ids), iter(filled.open_ids)
    return {
        "updateInvoice": lambda: query(_UPDATE, id=filled.draft_ids[-1]),
        "finalizeInvoice": lambda: query(_FINALIZE, id=next(drafts)),
        "voidInvoice": lambda: query(_VOID, id=next(open_ids)),
        "markInvoicePaid": lambda: query(_MARK_PAID, id=next(open_ids)),
        "a webhook that pays an invoice": lambda: pay(services, filled, next(open_ids)),
    }


PAID: Final = 1999
"""The amount of a payment, in cents."""


async def pay(services: Services, filled: Filled, invoice_id: str) -> None:
    """Deliver an event that pays an invoice."""
    intent = {
        "id": f"pi_{new_id(Prefix.EVENT)}",
        "amount": PAID,
        "amount_received": PAID,
        "currency": "usd",
        "metadata": {"invoice_id": invoice_id, "workspace_id": filled.workspace_id},
    }
    event = {
        "id": f"evt_{new_id(Prefix.EVENT)}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "api_version": API_VERSION,
        "created": 1_790_000_000,
        "livemode": False,
        "data": {"object": intent},
    }
    origin = Origin(filled.workspace_id, filled.integration_id, Mode.TEST)
    receipt = await services.inbox.accept(delivery_of(origin, json.dumps(event).encode(), utc_now()))
    if receipt.status is not WebhookEventStatus.PROCESSED:
        raise RuntimeError(f"a webhook that should pay is {receipt.status}")
