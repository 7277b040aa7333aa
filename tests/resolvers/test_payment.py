"""Money that fits no invoice by itself, applied to one by hand."""

import asyncio
from typing import Any, Final

import asyncpg
import pytest

from database.access import transaction
from database.scope import unscoped
from models.event import Event
from models.kinds import EventType, PaymentLinkStatus, Scope, WebhookEventStatus
from models.payment import Payment
from models.webhook_event import WebhookEvent
from tests.world import documents
from tests.world import stripe_payloads as stripe
from tests.world.business import Business
from tests.world.caller import caller_with
from tests.world.eventually import eventually

Json = dict[str, Any]

APPLY: Final = """
mutation ($paymentId: ID!, $invoiceId: ID!) { applyPayment(paymentId: $paymentId, invoiceId: $invoiceId) {
  __typename
  ... on ApplyPaymentSuccess {
    payment { id allocation unappliedReason { code } overpaid { amount } invoice { id } customer { id } }
    invoice { id status amountPaid { amount } amountRemaining { amount } amountOverpaid { amount } paidAt }
  }
  ... on Problem { code message path }
} }
"""
UNKNOWN: Final = "inv_00000000000000000000000000"


async def apply(business: Business, payment_id: str, invoice_id: str) -> Json:
    """Apply a payment to an invoice; the result."""
    return await business.mutate(APPLY, paymentId=payment_id, invoiceId=invoice_id)


async def unapplied(business: Business, integration: Json, **told: Any) -> str:
    """The id of a payment over 20.00 USD that names an invoice that is not there."""
    named: Json = {"invoice_id": UNKNOWN, "workspace_id": business.workspace.id, "amount": 2000, "currency": "usd"}
    intent = told.pop("payment_intent", None) or stripe.fresh("pi")
    await business.deliver(
        integration["id"], stripe.payment_intent_succeeded(payment_intent=intent, created=100, **named | told)
    )
    return (await unscoped(Payment).get(workspace_id=business.workspace.id, provider_payment_id=intent)).id


async def told_of(payment_id: str) -> list[tuple[WebhookEventStatus, str | None, str | None]]:
    """The webhook events that told of a payment: their status, reason and invoice."""
    rows = await unscoped(WebhookEvent).filter(payment_id=payment_id).order_by("id")
    return [(row.status, row.reason_code, row.invoice_id) for row in rows]


async def log_length(business: Business) -> int:
    """How many lines the workspace's log has."""
    return await unscoped(Event).filter(workspace_id=business.workspace.id).count()


async def test_unapplied_money_pays_the_invoice_of_ones_choice(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    customer_id = await business.customer()
    invoice = await business.finalized("20.00", customerId=customer_id)

    applied = await apply(business, payment_id, invoice["id"])

    assert applied["payment"] == {
        "id": payment_id,
        "allocation": "APPLIED",
        "unappliedReason": None,
        "overpaid": {"amount": "0.00"},
        "invoice": {"id": invoice["id"]},
        "customer": {"id": customer_id},
    }
    assert (applied["invoice"]["status"], applied["invoice"]["amountPaid"]["amount"]) == ("PAID", "20.00")
    assert applied["invoice"]["paidAt"] == "1970-01-01T00:01:40Z"
    assert await told_of(payment_id) == [(WebhookEventStatus.PROCESSED, None, invoice["id"])]
    assert (await business.link(invoice["id"])).status is PaymentLinkStatus.COMPLETED
    happened = await business.happened(invoice["id"])
    assert happened[-3:] == [EventType.WEBHOOK_EVENT_UPDATED, EventType.PAYMENT_APPLIED, EventType.INVOICE_PAID]
    actor = (await unscoped(Event).filter(invoice_id=invoice["id"]).order_by("-number").first()).actor  # type: ignore[union-attr]
    assert actor.startswith("key_")


async def test_applying_again_changes_nothing(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")
    first = await apply(business, payment_id, invoice["id"])
    lines = await log_length(business)

    again = await apply(business, payment_id, invoice["id"])

    assert again == first
    assert await log_length(business) == lines


async def test_less_than_the_total_leaves_a_new_link_for_the_rest(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration, amount=500)
    invoice = await business.finalized("20.00")

    applied = await apply(business, payment_id, invoice["id"])

    assert (applied["invoice"]["status"], applied["invoice"]["amountRemaining"]["amount"]) == ("OPEN", "15.00")
    links = await business.links(invoice["id"])
    assert [(link.status, link.amount) for link in links] == [
        (PaymentLinkStatus.DEACTIVATED, 2000),
        (PaymentLinkStatus.PENDING, 1500),
    ]
    happened = await business.happened(invoice["id"])
    assert EventType.INVOICE_PARTIALLY_PAID in happened
    assert (await business.work_off(invoice["id"])).status is PaymentLinkStatus.ACTIVE


async def test_more_than_the_total_is_overpaid(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration, amount=2500)
    invoice = await business.finalized("20.00")

    applied = await apply(business, payment_id, invoice["id"])

    assert applied["payment"]["overpaid"] == applied["invoice"]["amountOverpaid"] == {"amount": "5.00"}


async def test_an_invoice_that_was_written_off_can_still_be_paid(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")
    await business.mutate(documents.MARK_UNCOLLECTIBLE, id=invoice["id"])

    applied = await apply(business, payment_id, invoice["id"])

    assert applied["invoice"]["status"] == "PAID"


async def test_it_stays_where_it_was_applied_whatever_stripe_tells_later(business: Business) -> None:
    integration = await business.connect()
    named = await business.draft("20.00")
    intent = stripe.fresh("pi")
    told: Json = {"invoice_id": named, "workspace_id": business.workspace.id, "amount": 2000, "currency": "usd"}
    event = stripe.payment_intent_succeeded(payment_intent=intent, **told)
    await business.deliver(integration["id"], event)
    payment_id = (await unscoped(Payment).get(provider_payment_id=intent)).id
    chosen = await business.finalized("20.00")
    await apply(business, payment_id, chosen["id"])
    await business.finalize(named)

    await business.deliver(integration["id"], event)
    await business.deliver(integration["id"], stripe.checkout_session_completed(payment_intent=intent, **told))

    assert (await business.invoice(named))["amountPaid"]["amount"] == "0.00"
    assert (await business.invoice(chosen["id"]))["amountPaid"]["amount"] == "20.00"
    assert {status for status, _, _ in await told_of(payment_id)} == {WebhookEventStatus.PROCESSED}


async def test_of_two_invoices_at_once_one_gets_it(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoices = [await business.finalized("20.00") for _ in range(4)]

    results = await asyncio.gather(*(apply(business, payment_id, invoice["id"]) for invoice in invoices))

    assert sorted(result.get("code") or result["__typename"] for result in results) == [
        *["ALREADY_APPLIED"] * 3,
        "ApplyPaymentSuccess",
    ]
    paid = [(await business.invoice(invoice["id"]))["amountPaid"]["amount"] for invoice in invoices]
    assert sorted(paid) == ["0.00", "0.00", "0.00", "20.00"]


async def test_while_the_invoice_is_paid_otherwise_no_money_is_lost(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")
    own = stripe.payment_intent_succeeded(
        invoice_id=invoice["id"], workspace_id=business.workspace.id, amount=2000, currency="usd"
    )

    await asyncio.gather(apply(business, payment_id, invoice["id"]), business.deliver(integration["id"], own))

    payment = await unscoped(Payment).get(id=payment_id)
    paid = await business.invoice(invoice["id"])
    expected = "40.00" if payment.allocation == "APPLIED" else "20.00"
    assert (paid["status"], paid["amountPaid"]["amount"]) == ("PAID", expected)


async def test_what_was_refunded_in_part_is_applied_in_full(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    intent = (await unscoped(Payment).get(id=payment_id)).provider_payment_id
    await business.deliver(integration["id"], stripe.charge_refunded(payment_intent=intent, refunded=500, created=200))
    invoice = await business.finalized("20.00")

    applied = await apply(business, payment_id, invoice["id"])

    assert (applied["invoice"]["status"], applied["invoice"]["amountPaid"]["amount"]) == ("PAID", "20.00")


# --- Refusals --------------------------------------------------------------------------------------------------


async def refused(business: Business, payment_id: str, invoice_id: str) -> tuple[str, str, list[str]]:
    """Why applying is refused, which must change nothing: the type, the code and the path."""
    before = await log_length(business), await unscoped(Payment).filter(id=payment_id).values()
    result = await apply(business, payment_id, invoice_id)
    assert (await log_length(business), await unscoped(Payment).filter(id=payment_id).values()) == before
    return result["__typename"], result["code"], result["path"]


async def test_what_is_not_there_is_not_found(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")

    no_invoice = await refused(business, payment_id, UNKNOWN)
    no_payment = await refused(business, "pay_00000000000000000000000000", invoice["id"])

    assert no_invoice == ("NotFound", "NOT_FOUND", ["invoiceId"])
    assert no_payment == ("NotFound", "NOT_FOUND", ["paymentId"])


async def test_money_that_counts_elsewhere_stays_there(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    first, second = [await business.finalized("20.00") for _ in range(2)]
    await apply(business, payment_id, first["id"])

    assert await refused(business, payment_id, second["id"]) == ("Conflict", "ALREADY_APPLIED", ["paymentId"])


async def test_what_did_not_succeed_is_no_money(business: Business) -> None:
    integration = await business.connect()
    invoice = await business.finalized("20.00")
    intent = stripe.fresh("pi")
    told: Json = {"invoice_id": invoice["id"], "workspace_id": business.workspace.id, "currency": "usd"}
    await business.deliver(integration["id"], stripe.payment_intent_failed(payment_intent=intent, **told))
    payment_id = (await unscoped(Payment).get(provider_payment_id=intent)).id
    other = await business.finalized("20.00")

    assert await refused(business, payment_id, other["id"]) == ("Conflict", "PAYMENT_NOT_SUCCEEDED", ["paymentId"])


async def test_what_was_refunded_in_full_is_no_money_any_more(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    intent = (await unscoped(Payment).get(id=payment_id)).provider_payment_id
    await business.deliver(integration["id"], stripe.charge_refunded(payment_intent=intent, refunded=2000, created=200))
    invoice = await business.finalized("20.00")

    assert await refused(business, payment_id, invoice["id"]) == ("Conflict", "PAYMENT_REFUNDED", ["paymentId"])


async def test_another_currency_does_not_pay(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration, currency="eur")
    invoice = await business.finalized("20.00")

    assert await refused(business, payment_id, invoice["id"]) == ("InvalidInput", "CURRENCY_MISMATCH", ["invoiceId"])


async def test_live_money_does_not_pay_in_a_test_workspace(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration, livemode=True)
    invoice = await business.finalized("20.00")

    assert await refused(business, payment_id, invoice["id"]) == ("InvalidInput", "LIVEMODE_MISMATCH", ["paymentId"])


@pytest.mark.parametrize("way", [documents.VOID, documents.MARK_PAID, None])
async def test_an_invoice_that_awaits_no_money_takes_none(business: Business, way: str | None) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice_id = await business.draft("20.00")
    if way is not None:
        await business.finalize(invoice_id)
        await business.mutate(way, id=invoice_id)

    assert await refused(business, payment_id, invoice_id) == (
        "InvalidTransition",
        "INVALID_TRANSITION",
        ["invoiceId"],
    )


async def test_reading_is_not_enough(business: Business) -> None:
    reader = await caller_with(business.services, business.workspace, Scope.READ)

    error = await reader.refusal(APPLY, paymentId="pay_x", invoiceId="inv_x")

    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_payment_that_turns_out_to_be_another_is_not_there_any_more(business: Business) -> None:
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")
    async with transaction() as tx:
        await tx.execute("DELETE FROM payment_references WHERE payment_id = $1", payment_id)

    result = await apply(business, payment_id, invoice["id"])

    assert (result["__typename"], result["path"]) == ("NotFound", ["paymentId"])


# --- At the same time as Stripe tells of it --------------------------------------------------------------------


async def waiting_for_locks(connection: "asyncpg.Connection[Any]") -> bool:
    """Whether somebody waits for a lock in this database."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
    )


async def test_a_draft_that_is_deleted_meanwhile_is_not_found(business: Business) -> None:
    if business.services.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice_id = await business.draft("20.00")
    other = await asyncpg.connect(business.services.database.url)

    async with other.transaction():
        await other.execute("DELETE FROM line_items WHERE invoice_id = $1", invoice_id)
        await other.execute("DELETE FROM invoices WHERE id = $1", invoice_id)
        applying = asyncio.create_task(apply(business, payment_id, invoice_id))
        await eventually(lambda: waiting_for_locks(other))
    await other.close()

    result = await applying
    assert (result["__typename"], result["path"]) == ("NotFound", ["invoiceId"])


async def test_who_locks_the_other_way_round_is_let_go_first(business: Business) -> None:
    """Of two that wait for one another the database ends one: that one tries again, and nobody is told."""
    if business.services.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    integration = await business.connect()
    payment_id = await unapplied(business, integration)
    invoice = await business.finalized("20.00")
    other = await asyncpg.connect(business.services.database.url)
    await other.execute("SET deadlock_timeout = '60s'")  # it is not this one that the database ends

    async with other.transaction():
        await other.execute("SELECT id FROM payments WHERE id = $1 FOR UPDATE", payment_id)
        applying = asyncio.create_task(apply(business, payment_id, invoice["id"]))
        await eventually(lambda: waiting_for_locks(other))
        await other.execute("SELECT id FROM invoices WHERE id = $1 FOR UPDATE", invoice["id"])
    await other.close()

    result = await applying
    assert (result["__typename"], result["invoice"]["status"]) == ("ApplyPaymentSuccess", "PAID")


@pytest.mark.parametrize(
    "event",
    [
        stripe.dispute(payment_intent="pi_locked"),
        stripe.charge_refunded(payment_intent="pi_locked", invoice_id=UNKNOWN),
        stripe.payment_intent_succeeded(payment_intent="pi_other", order="in_locked"),
    ],
    ids=["by its name", "though metadata names another", "by its Stripe invoice"],
)
async def test_what_names_a_payment_alone_waits_for_its_invoice_before_it_holds_the_payment(
    business: Business, event: stripe.Event
) -> None:
    """Everybody takes locks in one order, so nobody waits in a circle."""
    if business.services.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    integration = await business.connect()
    payment_id = await unapplied(business, integration, payment_intent="pi_locked", order="in_locked")
    invoice = await business.finalized("20.00")
    await apply(business, payment_id, invoice["id"])
    other = await asyncpg.connect(business.services.database.url)

    async with other.transaction():
        await other.execute("SELECT id FROM invoices WHERE id = $1 FOR UPDATE", invoice["id"])
        told = asyncio.create_task(business.deliver(integration["id"], event))
        await eventually(lambda: waiting_for_locks(other))
        held = await other.fetchval("SELECT id FROM payments WHERE id = $1 FOR UPDATE NOWAIT", payment_id)
    await other.close()

    await told
    assert held == payment_id
    stored = await unscoped(WebhookEvent).get(workspace_id=business.workspace.id, provider_event_id=event["id"])
    assert stored.status is WebhookEventStatus.PROCESSED
