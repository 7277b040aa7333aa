"""Changing: successes, refusals as members of the union, and what a client that leaves can't interrupt."""

import asyncio

import pytest

from execution.schema import schema
from models.kinds import InvoiceStatus
from tests.world.caller import Caller
from tests.world.rows import Rows

_UPDATE = """
mutation ($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) {
    __typename
    ... on UpdateCustomerSuccess { customer { name email externalId } }
    ... on Problem { code message path }
  }
}
"""


async def test_absent_stays_and_null_clears(admin: Caller, rows: Rows) -> None:
    """Where there is something to clear."""
    customer = await rows.customer(name="Ada", external_id="C-1")

    kept = await admin.query(_UPDATE, input={"id": customer.id, "name": "Ada L."})
    cleared = await admin.query(_UPDATE, input={"id": customer.id, "externalId": None})

    assert kept["updateCustomer"]["customer"] == {"name": "Ada L.", "email": "ada@example.com", "externalId": "C-1"}
    assert cleared["updateCustomer"]["customer"]["externalId"] is None


async def test_what_can_not_be_cleared_refuses_null(admin: Caller, rows: Rows) -> None:
    """Rather than keep it in silence."""
    customer = await rows.customer()

    answer = await admin.query(_UPDATE, input={"id": customer.id, "name": None})

    refusal = answer["updateCustomer"]
    assert (refusal["__typename"], refusal["code"], refusal["path"]) == (
        "InvalidInput",
        "INVALID_INPUT",
        ["input", "name"],
    )


async def test_a_refusal_is_a_member_of_the_union(admin: Caller, stranger: Caller, rows: Rows) -> None:
    """Another workspace's customer is as good as none."""
    customer = await rows.customer(external_id="C-1")
    twin = await rows.customer()

    not_found = await stranger.query(_UPDATE, input={"id": customer.id, "name": "Eve"})
    conflict = await admin.query(_UPDATE, input={"id": twin.id, "externalId": "C-1"})

    assert not_found["updateCustomer"]["__typename"] == "NotFound"
    assert conflict["updateCustomer"]["__typename"] == "Conflict"


async def test_a_transition_that_is_refused_says_from_where_to_where(admin: Caller, rows: Rows) -> None:
    """In the words of the schema."""
    invoice = await rows.invoice(await rows.customer(), status=InvoiceStatus.PAID)
    document = """
      mutation ($id: ID!) { voidInvoice(id: $id) { ... on InvalidTransition { code from to path } } }
    """

    answer = await admin.query(document, id=invoice.id)

    assert answer["voidInvoice"] == {"code": "INVALID_TRANSITION", "from": "PAID", "to": "VOID", "path": ["id"]}


async def test_a_scope_that_lacks_is_a_top_level_error(reader: Caller, rows: Rows) -> None:
    """It is no member of any union."""
    customer = await rows.customer()

    error = await reader.refusal(_UPDATE, input={"id": customer.id, "name": "Eve"})

    assert error["extensions"] == {"code": "FORBIDDEN"}
    assert error["path"] == ["updateCustomer"]


async def test_an_invoice_goes_its_way(admin: Caller, rows: Rows) -> None:
    """From the draft to PAID, by hand, and its timeline tells."""
    customer = await rows.customer()
    draft = await admin.query(
        """
        mutation ($customer: ID!) { createInvoice(input: {
          customerId: $customer, currency: "jpy", dueDate: "2026-12-24",
          lineItems: [{description: "Paper", quantity: "1.5", unitAmount: 333}, {description: "Ink", unitAmount: "1"}]
        }) { ... on CreateInvoiceSuccess { invoice {
          id number status dueDate lineItems { quantity unitAmount amount { amount } } total { amount currency }
        } } } }
        """,
        customer=customer.id,
    )
    invoice = draft["createInvoice"]["invoice"]
    final = await admin.query(
        """
        mutation ($id: ID!) {
          finalizeInvoice(id: $id) { ... on FinalizeInvoiceSuccess { invoice { number status paymentLink { url } } } }
          markInvoicePaid(id: $id, note: "cash") { ... on MarkInvoicePaidSuccess { invoice {
            status amountRemaining { amount } amountPaidOutOfBand { amount } timeline { nodes { type note } }
          } } }
          deleteInvoice(id: $id) { __typename }
        }
        """,
        id=invoice["id"],
    )

    assert invoice["number"] is None
    assert [line["amount"]["amount"] for line in invoice["lineItems"]] == ["500", "1"]
    assert invoice["total"] == {"amount": "501", "currency": "JPY"}
    assert final["finalizeInvoice"]["invoice"]["status"] == "OPEN"
    assert final["finalizeInvoice"]["invoice"]["paymentLink"] is None
    paid = final["markInvoicePaid"]["invoice"]
    assert (paid["status"], paid["amountPaidOutOfBand"]["amount"], paid["amountRemaining"]["amount"]) == (
        "PAID",
        "501",
        "0",
    )
    assert paid["timeline"]["nodes"][-1] == {"type": "INVOICE_PAID", "note": "cash"}
    assert final["deleteInvoice"]["__typename"] == "InvalidTransition"


async def test_an_api_key_is_shown_once(admin: Caller) -> None:
    """Then only its preview is."""
    made = await admin.query(
        """mutation { createApiKey(input: {name: "CI", scopes: [READ, WRITE]}) {
          ... on CreateApiKeySuccess { key apiKey { id preview scopes } } } }"""
    )
    revoked = await admin.query(
        "mutation ($id: ID!) { revokeApiKey(id: $id) { ... on RevokeApiKeySuccess { apiKey { revokedAt preview } } } }",
        id=made["createApiKey"]["apiKey"]["id"],
    )

    assert made["createApiKey"]["key"].startswith("flx_test_")
    assert made["createApiKey"]["apiKey"]["scopes"] == ["READ", "WRITE"]
    assert revoked["revokeApiKey"]["apiKey"]["revokedAt"].endswith("Z")


@pytest.mark.parametrize("after_s", [0, 0.001, 0.01])
async def test_a_mutation_ends_though_its_client_has_gone(admin: Caller, after_s: float) -> None:
    """A socket that closes cancels its operations: what has begun is not torn."""
    document = 'mutation { createCustomer(input: {name: "Ada", email: "ada@example.com"}) { __typename } }'
    context = await admin.operation()
    operation = asyncio.create_task(schema.execute(document, context_value=context))
    await asyncio.sleep(after_s)

    begun = operation.cancel()
    await asyncio.gather(operation, return_exceptions=True)
    await asyncio.gather(*context.running)

    answer = await admin.query("{ customers { totalCount } events { totalCount } }")
    assert answer["customers"]["totalCount"] == answer["events"]["totalCount"]
    if after_s or not begun:
        assert answer["customers"]["totalCount"] == 1
