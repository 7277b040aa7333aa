"""A key gets at no more than its scopes allow.

Every field is found by introspection of the running server: one that is added fails here until it is covered.
"""

import json
from typing import Final

import pytest

from tests.access.town import Estate, Town, settle_in
from tests.world.graphql_client import GraphQLClient
from tests.world.house import LARGE
from tests.world.surface import ROOTS, Surface

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


def _first_cursor(estate: Estate) -> str:
    (first,) = estate.api.ask("{ events(first: 1) { nodes { cursor } } }")["nodes"]
    return str(first["cursor"])
