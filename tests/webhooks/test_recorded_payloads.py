"""Every recorded payload through the real webhook route: as it was sent, and as if it were about an invoice of ours."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.world.documents import WEBHOOK_EVENTS
from tests.world.house import LARGE, House
from tests.world.recorded import RECORDED, load, needs_recorded
from tests.world.stripe_payloads import Event, fresh

UNHANDLED: Final = ("IGNORED", "EVENT_TYPE_NOT_HANDLED")
UNKNOWN: Final = ("IGNORED", "PAYMENT_UNKNOWN")


@dataclass(frozen=True)
class Outcome:
    """What comes of a payload with our metadata: the webhook event, the invoice over `amount`, the payment."""

    amount: str
    currency: str = "USD"
    webhook_event: tuple[str, str | None] = ("PROCESSED", None)
    invoice: str = "OPEN"
    payment: str | None = None


OUTCOMES: Final = {
    "charge.dispute.closed.2025-04-30.basil": Outcome("1.00", webhook_event=UNKNOWN),
    "charge.dispute.created.2020-08-27": Outcome("1.00", webhook_event=UNKNOWN),
    "charge.refund.updated.2025-04-30.basil": Outcome("1.00", webhook_event=UNHANDLED),
    "charge.refunded.2020-08-27": Outcome("1.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.async_payment_failed": Outcome("500.00", payment="FAILED"),
    "checkout.session.async_payment_succeeded": Outcome("500.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.2020-08-27": Outcome("30.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.jpy.2025-06-30.basil": Outcome("800", "JPY", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.payment_link.usd": Outcome("500.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.payment_link.usd.metadata": Outcome("500.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.payment_mode.2020-08-27": Outcome("250.00", invoice="PAID", payment="SUCCEEDED"),
    "checkout.session.completed.unpaid": Outcome("500.00", payment="PENDING"),
    "invoice.payment_failed.2020-08-27": Outcome("20.00", payment="FAILED"),
    "invoice.payment_succeeded.2020-08-27": Outcome("20.00", invoice="PAID", payment="SUCCEEDED"),
    "payment_intent.canceled.2025-04-30.basil": Outcome("230.40", payment="FAILED"),
    "payment_intent.payment_failed.2025-04-30.basil": Outcome("118.80", payment="FAILED"),
    "payment_intent.succeeded.2025-04-30.basil": Outcome("46.20", "EUR", invoice="PAID", payment="SUCCEEDED"),
}


def about(event: Event, invoice_id: str, workspace_id: str) -> Event:
    """The event as if the payment were for an invoice, and one that nothing else has told of."""
    subject: dict[str, Any] = event["data"]["object"]
    ours = {"invoice_id": invoice_id, "workspace_id": workspace_id}
    names: dict[str, Any] = {"id": fresh(subject["id"].partition("_")[0])}
    if subject.get("payment_intent"):
        names["payment_intent"] = fresh("pi")
    told = subject | names | {"metadata": (subject.get("metadata") or {}) | ours}
    return event | {"id": fresh("evt"), "data": {"object": told}}


async def webhook_event(house: House, provider_event_id: str) -> tuple[str, str | None]:
    """What became of an event: its status and the code of the reason."""
    nodes = (await house.client.query(WEBHOOK_EVENTS))["webhookEvents"]["nodes"]
    found = next(node for node in nodes if node["stripeEventId"] == provider_event_id)
    return found["status"], found["reason"] and found["reason"]["code"]


@needs_recorded
def test_the_table_names_every_recorded_payload() -> None:
    assert {path.stem for path in RECORDED} == set(OUTCOMES)


@needs_recorded
async def test_as_it_was_sent_no_payload_is_about_us(house: House) -> None:
    for path in RECORDED:
        event = load(path) | {"id": fresh("evt")}

        answer = await house.post(event)

        assert answer.status_code == 200, path.stem
        status, code = await webhook_event(house, event["id"])
        ours = {"NO_METADATA", "PAYMENT_UNKNOWN", "EVENT_TYPE_NOT_HANDLED", "ANOTHER_WORKSPACE"}
        assert (status, code in ours) == ("IGNORED", True), (path.stem, code)


@needs_recorded
@pytest.mark.long(servers=LARGE)
@pytest.mark.timeout(180)
async def test_with_our_metadata_every_payload_has_its_outcome(house: House) -> None:
    for path in RECORDED:
        expected = OUTCOMES[path.stem]
        invoice = await house.open_invoice(expected.amount, expected.currency)
        event = about(load(path), invoice["id"], house.workspace_id)

        answers = [await house.post(event), await house.post(event)]

        assert [answer.status_code for answer in answers] == [200, 200], path.stem
        assert await webhook_event(house, event["id"]) == expected.webhook_event, path.stem
        after = await house.invoice(invoice["id"])
        assert after["status"] == expected.invoice, path.stem
        payments = [payment["status"] for payment in after["payments"]["nodes"]]
        assert payments == ([expected.payment] if expected.payment else []), path.stem
