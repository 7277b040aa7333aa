"""Refunds and disputes through the inbox, as the API tells of them."""

from datetime import timedelta
from typing import Any, Final

import pytest

from database.access import transaction
from database.scope import unscoped
from inbox.delivery import kept
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration
from models.kinds import Allocation, EventType, WebhookEventStatus
from models.payment import Payment
from models.webhook_event import WebhookEvent
from tests.world import stripe_payloads as stripe
from tests.world.business import Business

MONEY_BACK: Final = """
query ($id: ID!) { invoice(id: $id) {
  status amountPaid { amount } amountRefunded { amount }
  payments(first: 5) { nodes { status amountRefunded { amount } dispute { status reason amount { amount } closedAt } } }
} }
"""


async def paid(business: Business, integration: Any, intent: str) -> dict[str, Any]:
    """An invoice over 20.00 USD that was paid."""
    invoice = await business.finalized("20.00")
    told = {"invoice_id": invoice["id"], "workspace_id": business.workspace.id}
    event = stripe.payment_intent_succeeded(payment_intent=intent, amount=2000, currency="usd", created=100, **told)
    await business.deliver(integration["id"], event)
    return invoice


async def test_a_refund_and_its_failure_are_told(business: Business) -> None:
    integration = await business.connect()
    intent = stripe.fresh("pi")
    invoice = await paid(business, integration, intent)

    await business.deliver(
        integration["id"], stripe.charge_refunded(payment_intent=intent, refunded=500, created=200, paid_at=100)
    )
    partly = await business.mutate(MONEY_BACK, id=invoice["id"])
    for _ in range(2):
        await business.deliver(
            integration["id"], stripe.refund_failed(payment_intent=intent, refund="re_a", amount=500, created=300)
        )

    assert (partly["status"], partly["amountPaid"]["amount"], partly["amountRefunded"]["amount"]) == (
        "PAID",
        "20.00",
        "5.00",
    )
    assert [each["amountRefunded"]["amount"] for each in partly["payments"]["nodes"]] == ["5.00"]
    later = await business.mutate(MONEY_BACK, id=invoice["id"])
    assert (later["status"], later["amountRefunded"]["amount"]) == ("PAID", "0.00")
    happened = await business.happened(invoice["id"])
    assert EventType.PAYMENT_REFUNDED in happened
    assert happened.count(EventType.PAYMENT_REFUND_FAILED) == 1


async def test_a_dispute_that_overtakes_its_payment_is_applied_when_the_payment_is_known(business: Business) -> None:
    integration = await business.connect()
    intent = stripe.fresh("pi")
    dispute = stripe.dispute(payment_intent=intent, dispute="dp_a", amount=2000, created=200)
    await business.deliver(integration["id"], dispute)
    await business.deliver(
        integration["id"],
        stripe.dispute(payment_intent=intent, dispute="dp_a", amount=2000, status="lost", created=300),
    )
    waiting = await unscoped(WebhookEvent).filter(integration_id=integration["id"]).order_by("id")
    invoice = await paid(business, integration, intent)
    row = await unscoped(Integration).get(id=integration["id"])

    for webhook_event in waiting:
        await business.services.inbox.accept(kept(row, webhook_event))

    assert {(each.status, each.reason_code, each.retry_at is None) for each in waiting} == {
        (WebhookEventStatus.IGNORED, "PAYMENT_UNKNOWN", False)
    }
    assert all(each.retry_at and each.retry_at > each.received_at for each in waiting)
    after = await unscoped(WebhookEvent).filter(id__in=[each.id for each in waiting])
    assert {(each.status, each.retry_at) for each in after} == {(WebhookEventStatus.PROCESSED, None)}
    (payment,) = (await business.mutate(MONEY_BACK, id=invoice["id"]))["payments"]["nodes"]
    assert (payment["dispute"]["status"], payment["dispute"]["amount"]["amount"]) == ("lost", "20.00")
    assert payment["dispute"]["closedAt"] is not None


async def test_a_dispute_that_was_held_for_days_before_its_payment_still_waits_for_it(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    await business.update_integration(integration["id"], isActive=False)
    intent = stripe.fresh("pi")
    told = {"invoice_id": invoice["id"], "workspace_id": business.workspace.id}
    await business.deliver(integration["id"], stripe.dispute(payment_intent=intent, amount=2000))
    await business.deliver(integration["id"], stripe.payment_intent_succeeded(payment_intent=intent, **told))
    async with transaction():
        held = unscoped(WebhookEvent).filter(integration_id=integration["id"])
        await held.update(received_at=utc_now() - timedelta(days=5))

    await business.update_integration(integration["id"], isActive=True)

    row = await unscoped(Integration).get(id=integration["id"])
    disputed, _ = await unscoped(WebhookEvent).filter(integration_id=integration["id"]).order_by("id")
    assert (disputed.reason_code, disputed.retry_at is None) == ("PAYMENT_UNKNOWN", False)
    receipt = await business.services.inbox.accept(kept(row, disputed))
    assert receipt.status is WebhookEventStatus.PROCESSED
    (payment,) = (await business.mutate(MONEY_BACK, id=invoice["id"]))["payments"]["nodes"]
    assert payment["dispute"]["status"] == "needs_response"


async def test_a_dispute_whose_payment_never_comes_is_tried_a_few_times(business: Business) -> None:
    row = await unscoped(Integration).get(id=(await business.connect())["id"])
    await business.deliver(row.id, stripe.dispute(payment_intent=stripe.fresh("pi"), amount=2000))
    (disputed,) = await unscoped(WebhookEvent).filter(integration_id=row.id)
    async with transaction():
        await unscoped(WebhookEvent).filter(id=disputed.id).update(received_at=utc_now() - timedelta(days=5))

    while (disputed := await unscoped(WebhookEvent).get(id=disputed.id)).retry_at is not None:
        await business.services.inbox.accept(kept(row, disputed))

    assert (disputed.reason_code, disputed.attempts) == ("PAYMENT_UNKNOWN", 6)


async def test_money_by_the_link_of_another_invoice_than_its_metadata_names_is_unapplied(business: Business) -> None:
    integration = await business.connect()
    one, other = await business.finalized("20.00"), await business.finalized("20.00")
    event = stripe.checkout_session_completed(
        amount=2000,
        currency="usd",
        payment_link=other["paymentLink"]["stripeId"],
        invoice_id=one["id"],
        workspace_id=business.workspace.id,
    )

    await business.deliver(integration["id"], event)

    (stored,) = await unscoped(WebhookEvent).filter(integration_id=integration["id"])
    assert (stored.status, stored.reason_code) == (WebhookEventStatus.UNAPPLIED, "METADATA_MISMATCH")
    assert {(await business.invoice(each["id"]))["status"] for each in (one, other)} == {"OPEN"}


@pytest.mark.parametrize("metadata", [{"invoice_id": "order_77"}, {"workspace_id": new_id(Prefix.WORKSPACE)}])
@pytest.mark.parametrize("by_hand", [False, True])
async def test_money_by_a_link_of_ours_is_ours_though_its_metadata_is_somebody_elses(
    business: Business, metadata: dict[str, str], by_hand: bool
) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    link = "plink_by_hand" if by_hand else invoice["paymentLink"]["stripeId"]
    told: Any = {"invoice_id": invoice["id"], "workspace_id": business.workspace.id} | metadata
    event = stripe.checkout_session_completed(amount=2000, currency="usd", payment_link=link, **told)

    await business.deliver(integration["id"], event)

    (stored,) = await unscoped(WebhookEvent).filter(integration_id=integration["id"])
    payments = await unscoped(Payment).filter(workspace_id=business.workspace.id)
    if by_hand:
        assert (stored.status, payments) == (WebhookEventStatus.IGNORED, [])
    else:
        assert (stored.status, stored.reason_code) == (WebhookEventStatus.UNAPPLIED, "METADATA_MISMATCH")
        assert [(each.amount, each.allocation) for each in payments] == [(2000, Allocation.UNAPPLIED)]
    assert (await business.invoice(invoice["id"]))["status"] == "OPEN"


SEEN: Final = """
query ($id: ID!) { invoice(id: $id) { status amountRefunded { amount }
  payments(first: 5) { nodes { status amount { amount currency } presentment { amount currency }
    amountReceived { amount } amountRefunded { amount } dispute { status } disputes { status closedAt } } }
} }
"""


async def test_all_that_a_payment_is_told_is_kept_between_deliveries(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    told: Any = {"payment_intent": stripe.fresh("pi"), "invoice_id": invoice["id"], "created": 100}
    transfer = stripe.payment_intent_processing(**told) | {"type": "payment_intent.partially_funded"}
    instructions = {"display_bank_transfer_instructions": {"amount_remaining": 1400}}
    transfer["data"]["object"] |= {"next_action": instructions}
    money = stripe.payment_intent_succeeded(**told)
    money["data"]["object"]["presentment_details"] = {"presentment_amount": 3100, "presentment_currency": "jpy"}
    about: Any = {"payment_intent": told["payment_intent"]}

    await business.deliver(integration["id"], transfer)
    partly = (await business.mutate(SEEN, id=invoice["id"]))["payments"]["nodes"][0]
    for event in (
        money,
        stripe.charge_refunded(refunded=300, created=200, **about),
        stripe.refund(refund="re_b", amount=200, refunded_at=210, created=210, **about),
        stripe.dispute(dispute="dp_a", opened=220, created=220, **about),
        stripe.dispute(dispute="dp_b", opened=230, created=230, **about),
        stripe.dispute(dispute="dp_a", opened=220, status="won", created=240, **about),
        stripe.refund("refund.updated", refund="re_b", amount=200, status="canceled", refunded_at=210, **about),
    ):
        await business.deliver(integration["id"], event)

    assert (partly["status"], partly["amount"]["amount"], partly["amountReceived"]["amount"]) == (
        "PENDING",
        "20.00",
        "6.00",
    )
    later = await business.mutate(SEEN, id=invoice["id"])
    (payment,) = later["payments"]["nodes"]
    assert (later["status"], later["amountRefunded"]["amount"]) == ("PAID", "3.00")
    assert payment["amount"] == {"amount": "20.00", "currency": "USD"}
    assert payment["presentment"] == {"amount": "3100", "currency": "JPY"}
    assert payment["amountReceived"] is None
    assert payment["dispute"] == {"status": "needs_response"}
    assert [each["status"] for each in payment["disputes"]] == ["won", "needs_response"]


async def test_a_stripe_invoice_that_several_payments_paid_is_counted_once(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    ours: Any = {"invoice_id": invoice["id"], "workspace_id": business.workspace.id}
    parts = {stripe.fresh("pi"): 500, stripe.fresh("pi"): 1200, "": 300}
    whole = stripe.stripe_invoice_paid(**ours, amount=2000, payments=parts)

    for event in (
        *(stripe.payment_intent_succeeded(payment_intent=name, amount=parts[name], **ours) for name in list(parts)[:1]),
        whole,
        whole | {"id": stripe.fresh("evt"), "type": "invoice.paid"},
        *(stripe.payment_intent_succeeded(payment_intent=name, amount=parts[name], **ours) for name in list(parts)[:2]),
    ):
        await business.deliver(integration["id"], event)

    told = await business.mutate(PARTS, id=invoice["id"])
    assert (told["status"], told["amountPaid"]["amount"], told["amountPaidOutOfBand"]["amount"]) == (
        "PAID",
        "20.00",
        "3.00",
    )
    assert sorted(each["amount"]["amount"] for each in told["payments"]["nodes"]) == ["12.00", "5.00"]
    assert (await business.happened(invoice["id"])).count(EventType.PAYMENT_SUCCEEDED) == 2


PARTS: Final = """
query ($id: ID!) { invoice(id: $id) {
  status amountPaid { amount } amountPaidOutOfBand { amount } payments(first: 5) { nodes { amount { amount } } }
} }
"""
