"""Rows of a workspace, written as they are: a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any, Final

from tortoise.models import Model

from database.access import transaction
from models.customer import Customer
from models.event import Event, Happening, append
from models.ids import Prefix, new_id
from models.integration import Integration, IntegrationTraffic
from models.invoice import Invoice, LineItem
from models.kinds import (
    Allocation,
    EventType,
    InvoiceStatus,
    Mode,
    PaymentLinkStatus,
    PaymentStatus,
    WebhookEventStatus,
)
from models.payment import Payment
from models.payment_link import PaymentLink
from models.webhook_event import WebhookEvent

AT: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


class Rows:
    """Makes rows of one workspace."""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
        self._made = 0

    async def integration(self, **values: Any) -> Integration:
        """A connected Stripe account, with what came to it."""
        integration = Integration(
            **{
                "id": new_id(Prefix.INTEGRATION),
                "workspace_id": self.workspace_id,
                "name": "Main account",
                "mode": Mode.TEST,
                "is_active": True,
                "webhook_token": f"token-{self.workspace_id}-{self._number()}",
                "secret_key_preview": "sk_test_…4242",
                "created_at": AT,
                "updated_at": AT,
                **values,
            }
        )
        traffic = IntegrationTraffic(integration_id=integration.id, workspace_id=self.workspace_id)
        await _save(integration, traffic)
        return integration

    async def customer(self, **values: Any) -> Customer:
        """A customer."""
        customer = Customer(
            **{
                "id": new_id(Prefix.CUSTOMER),
                "workspace_id": self.workspace_id,
                "name": "Ada",
                "email": "ada@example.com",
                "created_at": AT,
                "updated_at": AT,
                **values,
            }
        )
        await _save(customer)
        return customer

    async def invoice(self, customer: Customer, **values: Any) -> Invoice:
        """An OPEN invoice of 19.99 USD with one line."""
        status = values.get("status", InvoiceStatus.OPEN)
        finalized = status is not InvoiceStatus.DRAFT
        invoice = Invoice(
            **{
                "id": new_id(Prefix.INVOICE),
                "workspace_id": self.workspace_id,
                "customer_id": customer.id,
                "number": f"INV-2026-{self._number():04d}" if finalized else None,
                "status": status,
                "currency": "USD",
                "total": 1999,
                "created_at": AT,
                "updated_at": AT,
                "finalized_at": AT if finalized else None,
                "paid_at": AT if status is InvoiceStatus.PAID else None,
                **values,
            }
        )
        line = LineItem(
            id=new_id(Prefix.LINE_ITEM),
            workspace_id=self.workspace_id,
            invoice_id=invoice.id,
            position=0,
            description="Paper",
            quantity="1",
            unit_amount="19.99",
            amount=invoice.total,
        )
        await _save(invoice, line)
        return invoice

    async def payment_link(self, invoice: Invoice, integration: Integration, **values: Any) -> PaymentLink:
        """An ACTIVE link for the whole invoice."""
        link = PaymentLink(
            **{
                "id": new_id(Prefix.PAYMENT_LINK),
                "workspace_id": self.workspace_id,
                "invoice_id": invoice.id,
                "integration_id": integration.id,
                "status": PaymentLinkStatus.ACTIVE,
                "provider_id": f"plink_{self.workspace_id[-12:]}{self._number()}",
                "url": "https://buy.stripe.com/1",
                "amount": invoice.total,
                "currency": invoice.currency,
                "created_at": AT,
                "updated_at": AT,
                **values,
            }
        )
        await _save(link)
        return link

    async def payment(self, integration: Integration, invoice: Invoice | None, **values: Any) -> Payment:
        """A payment of 5.00 USD that succeeded; applied, unless there is no invoice."""
        payment = Payment(
            **{
                "id": new_id(Prefix.PAYMENT),
                "workspace_id": self.workspace_id,
                "integration_id": integration.id,
                "provider_payment_id": f"pi_{self._number()}",
                "invoice_id": invoice and invoice.id,
                "customer_id": invoice and invoice.customer_id,
                "status": PaymentStatus.SUCCEEDED,
                "amount": 500,
                "currency": "USD",
                "allocation": Allocation.APPLIED if invoice else Allocation.UNAPPLIED,
                "unapplied_code": None if invoice else "INVOICE_NOT_FOUND",
                "decided_by": "",
                "occurred_at": AT,
                "created_at": AT,
                **values,
            }
        )
        await _save(payment)
        return payment

    async def webhook_event(self, integration: Integration, **values: Any) -> WebhookEvent:
        """A webhook event that was applied."""
        provider_event_id = f"evt_{self._number()}"
        event = WebhookEvent(
            **{
                "id": new_id(Prefix.WEBHOOK_EVENT),
                "workspace_id": self.workspace_id,
                "integration_id": integration.id,
                "delivery_key": provider_event_id,
                "provider_event_id": provider_event_id,
                "type": "payment_intent.succeeded",
                "status": WebhookEventStatus.PROCESSED,
                "deliveries": 1,
                "attempts": 1,
                "livemode": False,
                "payload": b'{"id": "evt"}',
                "received_at": AT,
                "processed_at": AT,
                **values,
            }
        )
        await _save(event)
        return event

    async def event(self, type_: EventType, **values: Any) -> Event:
        """The next line of the log."""
        happening = Happening(
            **{"type": type_, "workspace_id": self.workspace_id, "actor": "system", "occurred_at": AT, **values}
        )
        async with transaction() as tx:
            newest = await append(tx, [happening])
            logged = await tx.fetch(
                "SELECT id FROM events WHERE workspace_id = $1 AND number = $2",
                self.workspace_id,
                newest[self.workspace_id],
            )
        return Event(id=logged[0]["id"], number=newest[self.workspace_id], **vars_of(happening))

    def _number(self) -> int:
        self._made += 1
        return self._made


def vars_of(happening: Happening) -> dict[str, Any]:
    """The fields of a happening."""
    return {name: getattr(happening, name) for name in happening._fields}


async def _save(*rows: Model) -> None:
    async with transaction():
        for row in rows:
            await row.save(force_create=True)
