"""What a dashboard shows at a glance: counts that are exact, of this workspace alone."""

from datetime import datetime, timedelta
from typing import Any, Final

from database.access import transaction
from models.instant import utc_now
from models.kinds import InvoiceStatus, PaymentLinkStatus, PaymentStatus, WebhookEventStatus
from models.sums import merge_all
from tests.world.caller import Caller
from tests.world.rows import AT, Rows

COUNTS: Final = "{ counts { invoices { status count } webhookEvents { status count } } }"
ATTENTION: Final = """
{ attention {
  unappliedPayments overpaidPayments openDisputes failedPaymentLinks unhealthyIntegrations heldOrFailedWebhookEvents
} }
"""
OVERDUE: Final = """
{ totals {
  currency open { amount } overdue { amount } overdueByAge { fromDays toDays count amount { amount } }
} }
"""


async def _counts(caller: Caller) -> dict[str, dict[str, int]]:
    """How many there are, by status."""
    found = (await caller.query(COUNTS))["counts"]
    return {name: {each["status"]: each["count"] for each in found[name]} for name in ("invoices", "webhookEvents")}


async def _attention(caller: Caller) -> dict[str, int]:
    """What needs attention and is more than 0."""
    found = (await caller.query(ATTENTION))["attention"]
    return {name: count for name, count in found.items() if count}


# --- Counts ----------------------------------------------------------------------------------------------------


async def test_every_status_is_counted(reader: Caller, stranger: Caller, rows: Rows) -> None:
    """Whatever the currency, whether sums are merged already or not; those that nothing has are 0."""
    customer, integration = await rows.customer(), await rows.integration()
    for currency in ("USD", "JPY"):
        await rows.invoice(customer, currency=currency)
        await rows.invoice(customer, currency=currency, status=InvoiceStatus.VOID)
    await rows.webhook_event(integration)
    await merge_all()
    await rows.invoice(customer, status=InvoiceStatus.PAID, amount_paid_out_of_band=1999)
    await rows.webhook_event(integration, type="charge.refunded")
    await rows.webhook_event(integration, status=WebhookEventStatus.IGNORED, reason_code="NO_METADATA")

    own, others = await _counts(reader), await _counts(stranger)

    assert own == {
        "invoices": {"DRAFT": 0, "OPEN": 2, "PAID": 1, "VOID": 2, "UNCOLLECTIBLE": 0},
        "webhookEvents": dict.fromkeys(WebhookEventStatus, 0) | {"PROCESSED": 2, "IGNORED": 1},
    }
    assert {count for counts in others.values() for count in counts.values()} == {0}


# --- Attention -------------------------------------------------------------------------------------------------


async def test_when_all_is_well_nothing_needs_attention(reader: Caller, rows: Rows) -> None:
    """Whatever is paid, refunded, linked, sealed and processed as it should be."""
    integration = await rows.integration(webhook_secret_sealed="sealed", webhook_endpoint_id="we_1")
    await rows.integration(is_active=False, disconnected_at=AT, webhook_token=None)
    invoice = await rows.invoice(await rows.customer())
    await rows.payment(integration, invoice)
    await rows.payment(integration, invoice, overpaid=200, amount_refunded=200)
    await rows.payment(integration, None, amount_refunded=500)
    await rows.payment_link(invoice, integration)
    event = await rows.webhook_event(integration)
    await _delivered(integration.id, event.received_at)

    assert await _attention(reader) == {}


DISPUTE: Final = {
    "dispute_status": "needs_response",
    "dispute_reason": "fraudulent",
    "dispute_amount": 500,
    "dispute_opened_at": AT,
    "dispute_decided_by": "",
}


async def test_what_needs_attention_is_counted(reader: Caller, stranger: Caller, rows: Rows) -> None:
    integration = await rows.integration(is_active=False)
    invoice = await rows.invoice(await rows.customer())
    for refunded in (0, 499):
        await rows.payment(integration, None, amount_refunded=refunded)
    await rows.payment(integration, None, status=PaymentStatus.PENDING)
    for refunded in (0, 199, 0):
        await rows.payment(integration, invoice, overpaid=200, amount_refunded=refunded)
    await rows.payment(integration, invoice, **DISPUTE)
    await rows.payment(integration, invoice, **DISPUTE, dispute_closed_at=AT)
    await rows.payment_link(
        invoice, integration, status=PaymentLinkStatus.FAILED, provider_id=None, url=None, problem_code="x"
    )
    for status in (WebhookEventStatus.HELD, WebhookEventStatus.HELD, WebhookEventStatus.FAILED):
        await rows.webhook_event(integration, status=status, reason_code="x")
    await rows.webhook_event(integration, status=WebhookEventStatus.UNAPPLIED, reason_code="x")

    assert await _attention(reader) == {
        "unappliedPayments": 2,
        "overpaidPayments": 3,
        "openDisputes": 1,
        "failedPaymentLinks": 1,
        "unhealthyIntegrations": 1,
        "heldOrFailedWebhookEvents": 3,
    }
    assert await _attention(stranger) == {}


async def test_an_integration_is_unhealthy_when_its_health_tells_of_a_problem(reader: Caller, rows: Rows) -> None:
    """And only then."""
    off = await rows.integration(webhook_secret_sealed="sealed", webhook_endpoint_id="we_1", is_active=False)
    unreadable = await rows.integration(webhook_secret_sealed="sealed", webhook_endpoint_id="we_2")
    well = await rows.integration(webhook_secret_sealed="sealed", webhook_endpoint_id="we_3")
    await rows.webhook_event(
        unreadable, status=WebhookEventStatus.UNAPPLIED, reason_code="UNREADABLE_PAYLOAD", reader_version=1
    )
    for integration in (off, unreadable, well):
        await _delivered(integration.id, AT)
    document = "{ stripeIntegrations { nodes { id health { problems { code } } } } }"

    listed = (await reader.query(document))["stripeIntegrations"]["nodes"]
    counted = await _attention(reader)

    problems = {node["id"]: [each["code"] for each in node["health"]["problems"]] for node in listed}
    assert problems == {off.id: ["INTEGRATION_OFF"], unreadable.id: ["EVENTS_UNREADABLE"], well.id: []}
    assert counted == {"unhealthyIntegrations": 2}


async def _delivered(integration_id: str, at: datetime) -> None:
    """Note that Stripe posted to an integration."""
    async with transaction() as tx:
        await tx.execute(
            "UPDATE integration_traffic SET deliveries = 1, last_event_at = $2 WHERE integration_id = $1",
            integration_id,
            at,
        )


# --- Overdue ---------------------------------------------------------------------------------------------------


async def test_what_is_overdue_is_told_by_its_age(reader: Caller, stranger: Caller, rows: Rows) -> None:
    """At the borders of all buckets; what isn't due yet, has no date or isn't OPEN is in none."""
    customer, today = await rows.customer(), utc_now().date()
    for days in (-1, 0, 1, 30, 31, 60, 61, 90, 91, 4000):
        await rows.invoice(customer, due_date=today - timedelta(days=days), total=100 + days, amount_paid=100)
    await rows.invoice(customer, due_date=today - timedelta(days=5), status=InvoiceStatus.VOID)
    await rows.invoice(customer, currency="KWD", total=1234, due_date=today - timedelta(days=45))
    await rows.invoice(customer, currency="JPY", total=800)

    answer = (await reader.query(OVERDUE))["totals"]

    found = {each["currency"]: _buckets(each) for each in answer}
    assert found == {
        "JPY": [(1, 30, 0, "0"), (31, 60, 0, "0"), (61, 90, 0, "0"), (91, None, 0, "0")],
        "KWD": [(1, 30, 0, "0.000"), (31, 60, 1, "1.234"), (61, 90, 0, "0.000"), (91, None, 0, "0.000")],
        "USD": [(1, 30, 2, "0.31"), (31, 60, 2, "0.91"), (61, 90, 2, "1.51"), (91, None, 2, "40.91")],
    }
    assert [each["overdue"]["amount"] for each in answer] == ["0", "1.234", "43.64"]
    assert (await stranger.query(OVERDUE))["totals"] == []


def _buckets(totals: dict[str, Any]) -> list[tuple[int, int | None, int, str]]:
    return [
        (bucket["fromDays"], bucket["toDays"], bucket["count"], bucket["amount"]["amount"])
        for bucket in totals["overdueByAge"]
    ]
