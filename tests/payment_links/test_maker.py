"""What is asked of Stripe to make a Payment Link."""

import pytest

from database.scope import scoped
from models.invoice import Invoice
from models.kinds import EventType
from tests.world import documents
from tests.world.business import Business


async def test_finalizing_makes_one_link_that_leads_back_to_its_invoice(business: Business, connected: str) -> None:
    invoice = await business.finalized("19.99")

    (made,) = await business.stripe.links()
    row = await business.link(invoice["id"])
    customer_id = (await scoped(Invoice, business.workspace.id).get(id=invoice["id"])).customer_id
    ours = {"invoice_id": invoice["id"], "customer_id": customer_id, "workspace_id": business.workspace.id}
    assert made["metadata"] == {**ours, "payment_link_id": row.id}
    assert made["payment_intent_data"]["metadata"] == ours
    assert made["restrictions"] == {"completed_sessions": {"count": 0, "limit": 1}}
    assert invoice["number"] in made["inactive_message"]
    assert invoice["paymentLink"] == {
        "status": "ACTIVE",
        "url": made["url"],
        "stripeId": made["id"],
        "amount": {"amount": "19.99"},
        "problem": None,
    }
    assert (row.due_at, row.outcome_unknown, row.integration_id) == (None, False, connected)
    assert await business.stripe.creation_keys() == [f"{invoice['id']}:{row.id}:1"]
    assert await business.happened(invoice["id"]) == [
        EventType.INVOICE_CREATED,
        EventType.INVOICE_FINALIZED,
        EventType.PAYMENT_LINK_CREATED,
    ]


@pytest.mark.parametrize(
    ("currency", "lines", "charged"),
    [
        ("USD", [("2", "9.99"), ("1", "0.01")], [(999, 2), (1, 1)]),
        ("USD", [("1", "10"), ("1", "0")], [(1000, 1), (0, 1)]),
        ("USD", [("1.5", "10.00"), ("1", "1.00")], [(1600, 1)]),
        ("USD", [("3", "0.125")], [(38, 1)]),
        ("USD", [("1000000", "0.01")], [(1_000_000, 1)]),
        ("USD", [("0", "5.00"), ("1", "1.00")], [(100, 1)]),
        ("USD", [("1", "1.00")] * 20, [(100, 1)] * 20),
        ("USD", [("1", "1.00")] * 21, [(2100, 1)]),
        ("JPY", [("2", "400")], [(400, 2)]),
        ("JPY", [("1", "99.5")], [(100, 1)]),
        ("UGX", [("1", "5000")], [(500_000, 1)]),
        ("ISK", [("2", "5.50")], [(1100, 1)]),
        ("KWD", [("2", "12.340")], [(12_340, 2)]),
        ("KWD", [("2", "1.005")], [(2010, 1)]),
    ],
    ids=str,
)
async def test_what_stripe_cannot_take_line_by_line_becomes_one_line_of_the_total(
    business: Business, connected: str, currency: str, lines: list[tuple[str, str]], charged: list[tuple[int, int]]
) -> None:
    given = [{"description": "Work", "quantity": quantity, "unitAmount": amount} for quantity, amount in lines]

    invoice = await business.finalized(currency=currency, lineItems=given)

    assert invoice["paymentLink"]["problem"] is None
    sold = await business.stripe.lines(invoice["paymentLink"]["stripeId"])
    assert [(line["price"]["unit_amount"], line["quantity"]) for line in sold] == charged
    assert {line["currency"] for line in sold} == {currency.lower()}
    assert sum(line["amount_total"] for line in sold) == int(invoice["total"]["minorUnits"])


@pytest.mark.parametrize(("amount", "currency"), [("1.005", "KWD"), ("10.50", "ISK"), ("10.01", "UGX")])
async def test_decimals_that_stripe_cannot_charge_are_refused_while_they_can_be_mended(
    business: Business, connected: str, amount: str, currency: str
) -> None:
    draft = await business.draft(amount, currency=currency)

    refusal = await business.finalize(draft)

    assert (refusal["__typename"], refusal["code"], refusal["path"]) == (
        "InvalidInput",
        "AMOUNT_NOT_CHARGEABLE",
        ["id"],
    )
    assert (await business.invoice(draft))["status"] == "DRAFT"
    assert (await business.finalized("20.00"))["number"].endswith("-0001")


async def test_without_an_integration_an_invoice_is_open_without_a_link(business: Business) -> None:
    invoice = await business.finalized("20.00")

    assert (invoice["status"], invoice["paymentLink"]) == ("OPEN", None)
    refusal = await business.mutate(documents.CREATE_PAYMENT_LINK, id=invoice["id"])
    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "NO_INTEGRATION")


async def test_of_several_integrations_one_has_to_be_named(business: Business, connected: str) -> None:
    other = await business.connect(name="Other", secretKey=business.stripe.key("2"))
    draft = await business.draft("20.00")

    refusal = await business.finalize(draft)
    named = await business.finalize(draft, other["id"])

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INTEGRATION_AMBIGUOUS")
    assert connected in refusal["message"]
    assert other["id"] in refusal["message"]
    assert named["invoice"]["number"].endswith("-0001")
    assert (await business.link(draft)).integration_id == other["id"]


async def test_an_integration_that_is_off_is_not_used(business: Business, connected: str) -> None:
    await business.update_integration(connected, isActive=False)
    draft = await business.draft("20.00")

    refusal = await business.finalize(draft, connected)
    without = await business.finalize(draft)

    assert (refusal["__typename"], refusal["code"]) == ("InvalidInput", "INTEGRATION_UNUSABLE")
    assert without["invoice"]["paymentLink"] is None
