"""A workspace with random rows of every kind, and what may be asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from models.kinds import Allocation, EventType, InvoiceStatus, PaymentLinkStatus, PaymentStatus, WebhookEventStatus
from resolvers.reading.pages import encode_cursor
from tests.world.rows import AT, Rows


@dataclass(frozen=True)
class Estate:
    """What there is, by what it is called."""

    ids: Sequence[str]
    numbers: Sequence[str]
    provider_event_ids: Sequence[str]


async def furnish(rows: Rows, random: Random) -> Estate:
    """A few rows of everything: nulls, amounts and instants of every form."""
    integrations = [
        await rows.integration(webhook_token=f"{each}{random.random()}", provider_account_id=each)
        for each in (None, "acct_1")
    ]
    customers = [
        await rows.customer(name=f"Ada “{n}”", external_id=f"C-{n}" if n % 2 else None, created_at=_instant(random))
        for n in range(4)
    ]
    made: list[Any] = [*integrations, *customers]
    invoices = []
    for n in range(12):
        status = random.choice(list(InvoiceStatus))
        invoice = await rows.invoice(
            random.choice(customers),
            status=status,
            currency=random.choice(["USD", "JPY", "KWD"]),
            total=random.choice([0, 5, 1999, 10**15]),
            amount_paid=random.choice([0, 0, 5, 2500]),
            amount_paid_out_of_band=random.choice([0, 0, 7]),
            amount_refunded=random.choice([0, 3]),
            due_date=random.choice([None, date(2020, 2, 29), date(2199, 1, 1)]),
            memo=random.choice([None, "", 'Ünïcode \N{SNOWMAN}\n"quoted"']),
            created_at=_instant(random),
            voided_at=_instant(random) if status is InvoiceStatus.VOID else None,
        )
        invoices.append(invoice)
        if n % 3 == 0:
            failed = n % 2 == 0
            await rows.payment_link(
                invoice,
                integrations[0],
                amount=5,
                status=PaymentLinkStatus.FAILED if failed else PaymentLinkStatus.ACTIVE,
                problem_code="AMOUNT_TOO_SMALL" if failed else None,
            )
    for _ in range(16):
        paid = random.choice([None, *invoices])
        made.append(await rows.payment(random.choice(integrations), paid, **_payment(random, paid)))
    posts = [
        await rows.webhook_event(
            random.choice(integrations),
            status=status,
            received_at=_instant(random),
            reason_code=None if status is WebhookEventStatus.PROCESSED else "INVOICE_NOT_FOUND",
        )
        for status in (WebhookEventStatus.PROCESSED, WebhookEventStatus.UNAPPLIED, WebhookEventStatus.IGNORED)
    ]
    lines = [
        await rows.event(
            random.choice(list(EventType)),
            invoice_id=random.choice([None, *invoices]) and random.choice(invoices).id,
            customer_id=random.choice([None, customers[0].id]),
            payment_id=random.choice([None, made[-1].id]),
            integration_id=random.choice([None, integrations[0].id]),
            webhook_event_id=random.choice([None, posts[0].id]),
            note=random.choice([None, "Why not"]),
            status=random.choice([None, InvoiceStatus.PAID]),
        )
        for _ in range(20)
    ]
    everything: list[Any] = [*made, *invoices, *posts, *lines]
    return Estate(
        [row.id for row in everything],
        [invoice.number for invoice in invoices if invoice.number],
        [post.provider_event_id or "" for post in posts],
    )


def _instant(random: Random) -> Any:
    return AT + timedelta(microseconds=random.choice([0, 1, 120_000, 999_999]), minutes=random.randrange(10_000))


def _payment(random: Random, invoice: Any) -> dict[str, Any]:
    is_disputed = random.random() < 0.4
    return {
        "status": random.choice(list(PaymentStatus)),
        "allocation": Allocation.APPLIED if invoice else Allocation.UNAPPLIED,
        "currency": random.choice(["USD", "JPY", "KWD"]),
        "amount": random.choice([1, 500, 10**12]),
        "amount_refunded": random.choice([0, 1]),
        "overpaid": random.choice([0, 1]),
        "amount_received": random.choice([None, 0, 20]),
        "failure_code": random.choice([None, "card_declined"]),
        "failure_message": random.choice([None, "No."]),
        "presentment_amount": 700 if is_disputed else None,
        "presentment_currency": "EUR" if is_disputed else None,
        "dispute_status": "needs_response" if is_disputed else None,
        "dispute_reason": random.choice([None, "fraudulent"]),
        "dispute_amount": random.choice([None, 12]),
        "dispute_opened_at": AT if is_disputed else None,
        "occurred_at": _instant(random),
        "created_at": _instant(random),
    }


Pool = dict[str, Sequence[Any]]


def pool_of(own: Estate) -> Pool:
    """What may be given, by the name of an argument or a scalar."""
    cursors = [encode_cursor(each) for each in own.ids]
    of_kinds = {
        name: [each for each in own.ids if each.startswith(f"{prefix}_")]
        for name, prefix in (
            ("customerId", "cust"), ("customerIds", "cust"), ("integrationId", "int"), ("invoiceId", "inv"),
        )
    }  # fmt: skip
    return {
        **of_kinds,
        "ID": own.ids,
        "String": ["a", "Ada", "INV-2026-0001"],
        "Int": [1, 2, 3],
        "first": [1, 2, 3, 5],
        "last": [1, 2],
        "Boolean": [True, False],
        "Decimal": ["0", "5", 3],
        "Date": ["2026-11-23", "2020-02-29"],
        "DateTime": ["2026-11-23T12:30:00Z", "2026-11-24T00:00:00+01:00"],
        "since": ["2026-11-20T00:00:00Z", "2026-11-23T12:30:00.5Z"],
        "until": ["2026-11-25T00:00:00Z", "2026-11-24T13:30:00Z"],
        "timeZone": ["UTC", "Europe/Berlin"],
        "currency": ["USD", "JPY", "usd"],
        "number": own.numbers,
        "stripeEventId": own.provider_event_ids,
        "externalId": ["C-1", "C-3"],
        "after": cursors,
        "before": cursors,
        "actor": ["system", "stripe"],
        "codes": ["INVOICE_NOT_FOUND"],
        "type": ["payment_intent.succeeded"],
    }


def odd_of(other: Estate) -> Pool:
    """The same, but another's, or nothing that could be right."""
    odd = ["", "inv_", "cust_00000000000000000000000000", "nope", "x" * 65]
    cursors = [*(encode_cursor(each) for each in other.ids), encode_cursor(1), "=", "Zm9v"]
    return {
        "ID": [*other.ids, *odd],
        "String": ["", "x" * 300, *other.ids, *other.numbers, *other.provider_event_ids],
        "Int": [0, -1, 101, 2**31],
        "Boolean": [True, False],
        "Decimal": ["x", "1e3", "19.999"],
        "Date": ["soon"],
        "DateTime": ["now", "2026-11-23T12:30:00"],
        "after": cursors,
        "before": cursors,
    }
