"""Tests mirror the tree: what `a/b.py` does is shown by `tests/a/test_b.py`, or where this says."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.world.import_everything import MODULES, PACKAGES, ROOT

ELSEWHERE: Final[dict[str, str]] = {
    "tests/cli/test_app.py": "cli: encryption key output schema serve simulator sums sync workspace",
    "tests/cli/test_demo.py": "cli: demo_books",
    "tests/database/test_access.py": "database: dialect errors postgres_session scope sqlite_file",
    "tests/migrations/test_migrate.py": "database: migrate",
    "tests/edge/test_app.py": "edge: health logs metrics telemetry",
    "tests/edge/test_forwarded.py": "edge: address",
    "tests/edge/graphql/test_endpoint.py": "edge/graphql: response",
    "tests/edge/server/test_connections.py": "edge/server: listen",
    "tests/edge/server/test_http_pieces.py": "edge/server: answer_transport",
    "tests/execution/test_limits.py": "execution: cost",
    "tests/execution/test_shared.py": "execution: followed shown",
    "tests/execution/plan/test_equal.py": (
        "execution: results; execution/plan: arguments compile definitions leaves plan planned rows steps"
    ),
    "tests/schema/test_subscription.py": "feed: cursor",
    "tests/gateways/stripe/test_endpoint_calls.py": "gateways/stripe: registration",
    "tests/gateways/stripe/test_event_calls.py": "gateways: base; gateways/stripe: api errors",
    "tests/gateways/stripe/test_events.py": (
        "gateways/stripe: decoding fields;"
        " gateways/stripe/objects: checkout_session money_back payment_intent shared_fields stripe_invoice"
    ),
    "tests/resolvers/integration/test_health.py": (
        "gateways/stripe: checkup permissions rejections; models: diagnosis; resolvers/integration: repair quarantine"
    ),
    "tests/resolvers/integration/test_connect.py": (
        "gateways/stripe: keys; models: integration webhook_url; resolvers/integration: disconnect keys lists update"
    ),
    "tests/inbox/test_batch.py": "inbox: delivery loading outcomes writing",
    "tests/inbox/test_quarantine.py": "inbox/quarantine: dropping post release store; models: webhook_secret",
    "tests/workers/test_reconcile.py": "resolvers/integration: sync; workers: upkeep",
    "tests/models/settlement/test_settlement.py": (
        "models: payment payment_fact payment_link; models/settlement: case decide learn tally"
    ),
    "tests/models/test_money.py": "gateways/stripe: currencies; models: amounts",
    "tests/migrations/test_schema.py": "models: columns tables",
    "tests/resolvers/test_api_key.py": (
        "models: api_key; resolvers: auth; schema/mutations: api_key; schema/types: api_key"
    ),
    "tests/resolvers/test_metadata.py": "models: metadata; schema/types: metadata",
    "tests/payment_links/test_maker.py": "gateways/stripe: link_calls links; resolvers: link_choice; workers: links",
    "tests/resolvers/test_customer.py": (
        "resolvers: customer_search; schema/mutations: customer; schema/types: customer"
    ),
    "tests/resolvers/test_invoice.py": "resolvers: line_items; schema/mutations: invoice; schema/types: invoice",
    "tests/resolvers/test_payment.py": "schema/mutations: payment; schema/types: payment",
    "tests/resolvers/reading/test_search.py": "resolvers/reading: narrowing",
    "tests/resolvers/reading/test_orders.py": "resolvers: invoice_list invoice_order; resolvers/reading: walks",
    "tests/resolvers/test_totals.py": "resolvers/reading: counts tallies; schema/types: list_totals totals",
    "tests/resolvers/test_revenue.py": "resolvers/reading: receipts; schema/types: money",
    "tests/resolvers/test_overview.py": "schema/types: overview",
    "tests/resolvers/test_webhook_event.py": (
        "schema/mutations: stripe_event webhook_event; schema/types: webhook_event"
    ),
    "tests/schema/test_query.py": (
        "resolvers: event node payment_link; resolvers/reading: few_columns loaders pages shared;"
        " schema: enums fields filters node pages; schema/types: event workspace"
    ),
    "tests/schema/test_mutation.py": "schema: problems; schema/mutations: root uninterrupted",
    "tests/access/test_workspaces.py": "resolvers: context operator; schema: context",
    "tests/test_setup.py": "schema/mutations: integration; schema/types: integration diagnosis",
    "tests/simulator/test_app.py": "simulator: api call control errors operations outage page request_log world",
    "tests/simulator/test_act.py": "simulator: action",
    "tests/simulator/test_delivery.py": "simulator: webhook",
    "tests/simulator/test_fault.py": "simulator: disturbance",
    "tests/simulator/test_money_back.py": "simulator: dispute refund",
    "tests/simulator/test_payment.py": "simulator: checkout_session customer ids money payment_intent",
    "tests/simulator/test_payment_link.py": "simulator: expansion line_item parameters",
    "tests/webhooks/test_stripe.py": "webhooks: body directory",
    "tests/execution/test_errors.py": ". : errors",
    "tests/test_main_job.py": ". : main parts",
}
"""What is shown with something else, by the test that shows it: each folder's modules. It only ever gets shorter."""


def modules_that_do_something() -> Iterator[str]:
    """Every module of the product that has a function. Migrations are tested together."""
    for path in sorted(ROOT / f"{name}.py" for name in MODULES):
        yield from _if_it_does_something(path.name)
    for package in sorted({*PACKAGES, "cli"} - {"migrations"}):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__init__.py":
                yield from _if_it_does_something(str(path.relative_to(ROOT)))


def _if_it_does_something(module: str) -> Iterator[str]:
    tree = ast.parse((ROOT / module).read_text())
    if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree)):
        yield module


def elsewhere() -> list[str]:
    """The modules that are shown elsewhere."""
    found = []
    for told in ELSEWHERE.values():
        for part in told.split(";"):
            folder, _, names = part.partition(":")
            prefix = "" if folder.strip() == "." else f"{folder.strip()}/"
            found += [f"{prefix}{name}.py" for name in names.split()]
    return found


def has_its_own(module: str) -> bool:
    """Whether there is a test module at the mirrored path."""
    folder, _, name = module.rpartition("/")
    return (ROOT / "tests" / folder / f"test_{name}").is_file()


def test_every_module_is_shown_by_its_mirror_or_where_it_is_said() -> None:
    """A test module at the mirrored path takes its module off the list; what is new has one, or a place on it."""
    unmirrored = {module for module in modules_that_do_something() if not has_its_own(module)}

    assert unmirrored - set(elsewhere()) == set()  # write a test module for it, or say above what shows it
    assert set(elsewhere()) - unmirrored == set()  # take it off the list: it has its own, or is gone
    assert len(elsewhere()) == len(unmirrored)


def test_what_is_said_to_show_a_module_is_there() -> None:
    assert [test for test in ELSEWHERE if not (ROOT / test).is_file()] == []
