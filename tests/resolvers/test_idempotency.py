"""Whoever asks again, since an answer was lost, changes nothing more: by an idempotency key, or as it is."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from execution.schema import schema
from tests.world import documents
from tests.world.business import Business, Json
from tests.world.stripe_payloads import payment_intent_succeeded

Variables = Callable[[Business], Awaitable[Json]]

BY_KEY: Final = {"createInvoice", "createCustomer", "connectStripe", "createApiKey"}
"""What makes something new each time it is asked without one."""


async def _draft(business: Business) -> Json:
    return {"id": await business.draft()}


async def _open(business: Business) -> Json:
    return {"id": (await business.finalized())["id"]}


async def _connected(business: Business, **given: Any) -> str:
    integration = await business.connect(webhookSecret="whsec_0123456789abcdef", **given)
    return str(integration["id"])


async def _integration(business: Business) -> Json:
    return {"id": await _connected(business)}


async def _unlinked(business: Business) -> Json:
    invoice = await business.finalized()
    return {"id": invoice["id"], "integrationId": await _connected(business)}


async def _unapplied(business: Business) -> Json:
    event = payment_intent_succeeded(
        invoice_id=await business.draft(), workspace_id=business.workspace.id, amount=2000, currency="usd"
    )
    await business.deliver(await _connected(business), event)
    (payment,) = (await business.mutate("{ payments(filter: {allocation: UNAPPLIED}) { nodes { id } } }"))["nodes"]
    return {"id": payment["id"], "invoiceId": (await business.finalized())["id"]}


async def _webhook_event(business: Business) -> Json:
    await _unapplied(business)
    (event,) = (await business.mutate("{ webhookEvents { nodes { id } } }"))["nodes"]
    return {"id": event["id"]}


async def _customer_change(business: Business) -> Json:
    return {"input": {"id": await business.customer(), "name": "Ada L.", "metadata": [{"key": "a", "value": "1"}]}}


async def _invoice_change(business: Business) -> Json:
    lines = [{"description": "Work", "quantity": "1.50", "unitAmount": "20.00"}]
    return {"input": {"id": await business.draft(), "memo": "Thank you", "currency": "EUR", "lineItems": lines}}


async def _integration_change(business: Business) -> Json:
    return {"input": {"id": await _connected(business), "name": "Shop", "webhookSecret": "whsec_fedcba9876543210"}}


async def _api_key(business: Business) -> Json:
    made = await business.mutate(documents.CREATE_API_KEY, input={"name": "Shop", "scopes": ["READ"]})
    return {"id": made["apiKey"]["id"]}


AS_IT_IS: Final[dict[str, tuple[str, Variables]]] = {
    "updateInvoice": ("$input: UpdateInvoiceInput!", _invoice_change),
    "updateCustomer": ("$input: UpdateCustomerInput!", _customer_change),
    "updateStripeIntegration": ("$input: UpdateStripeIntegrationInput!", _integration_change),
    "deleteInvoice": ("$id: ID!", _draft),
    "finalizeInvoice": ("$id: ID!", _draft),
    "createPaymentLink": ("$id: ID!, $integrationId: ID", _unlinked),
    "markInvoicePaid": ("$id: ID!", _open),
    "voidInvoice": ("$id: ID!", _open),
    "markInvoiceUncollectible": ("$id: ID!", _open),
    "disconnectStripe": ("$id: ID!", _integration),
    "checkStripeIntegration": ("$id: ID!", _integration),
    "repairStripeIntegration": ("$id: ID!", _integration),
    "discardQuarantined": ("$id: ID!", _integration),
    "applyPayment": ("$id: ID!, $invoiceId: ID!", _unapplied),
    "replayWebhookEvent": ("$id: ID!", _webhook_event),
    "replayWebhookEvents": ("$id: ID", _webhook_event),
    "syncStripeEvents": ("$id: ID!", _integration),
    "revokeApiKey": ("$id: ID!", _api_key),
}
"""What is asked for, and with what; asked for again it is refused, or answered as before."""

TOLD_AGAIN: Final = {"updateStripeIntegration", "replayWebhookEvent", "replayWebhookEvents"}
"""What is a try, also with a secret that was saved before: each is a line of the log."""

_ARGUMENTS: Final = {
    "createPaymentLink": "invoiceId: $id, integrationId: $integrationId",
    "applyPayment": "paymentId: $id, invoiceId: $invoiceId",
    "replayWebhookEvents": "filter: {}",
    "syncStripeEvents": "integrationId: $id",
    "checkStripeIntegration": "id: $id",
}

_STATE: Final = """{
  events { totalCount }
  invoices { nodes { id number status memo amountPaid { amount } paymentLink { url } lineItems { quantity } } }
  customers { nodes { id name } }
  payments { nodes { id allocation invoice { id } } }
  webhookEvents { nodes { id status deliveries } }
  stripeIntegrations { nodes { id name webhookUrl webhookSecretPreview previousWebhookSecretPreview } }
}"""


async def test_every_mutation_is_known_here() -> None:
    mutations = schema._schema.mutation_type
    assert mutations is not None

    assert set(mutations.fields) == BY_KEY | set(AS_IT_IS)
    for name in BY_KEY:
        assert "idempotencyKey" in mutations.fields[name].args["input"].type.of_type.fields


@pytest.mark.parametrize("name", AS_IT_IS)
async def test_asked_for_again_it_changes_nothing_more(business: Business, name: str) -> None:
    declared, prepare = AS_IT_IS[name]
    arguments = _ARGUMENTS.get(name) or ("input: $input" if "$input" in declared else "id: $id")
    document = f"mutation ({declared}) {{ {name}({arguments}) {{ __typename }} }}"
    if name == "replayWebhookEvents":
        document = f"mutation {{ {name}({arguments}) {{ __typename }} }}"
    variables = await prepare(business)

    first = await business.mutate(document, **variables)
    once, links = await business.admin.query(_STATE), await business.stripe.links()
    again = await business.mutate(document, **variables)

    assert first["__typename"].endswith("Success"), first
    assert again["__typename"] in {first["__typename"], "InvalidTransition", "NotFound"}
    then = await business.admin.query(_STATE)
    once["events"]["totalCount"] += name in TOLD_AGAIN
    assert then == once
    assert await business.stripe.links() == links
