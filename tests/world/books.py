"""Rows that Stripe's events are about, written through the models, and ways to read what came of the events."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from tortoise.models import Model

from database.access import transaction
from database.scope import scoped, unscoped
from inbox.delivery import Delivery, Origin, delivery_of
from models import workspace as workspaces
from models.customer import Customer
from models.event import Event
from models.ids import Prefix, new_id
from models.instant import utc_now
from models.integration import Integration, IntegrationTraffic
from models.invoice import Invoice, next_number
from models.kinds import Allocation, EventType, InvoiceStatus, Mode, PaymentLinkStatus, PaymentStatus
from models.payment import Payment
from models.payment_link import PaymentLink
from models.webhook_event import WebhookEvent
from models.workspace import Workspace
from tests.world import stripe_payloads as stripe

RowT = TypeVar("RowT", bound=Model)


async def add_workspace(mode: Mode = Mode.TEST) -> Workspace:
    """A workspace."""
    async with transaction() as tx:
        return await workspaces.add_workspace(tx, "Acme", mode)


async def add_integration(workspace: Workspace, **fields: Any) -> Integration:
    """A Stripe account that is connected, and active unless told otherwise."""
    id_, now = new_id(Prefix.INTEGRATION), utc_now()
    standard: dict[str, Any] = {
        "id": id_,
        "workspace_id": workspace.id,
        "name": "Main account",
        "mode": workspace.mode,
        "is_active": True,
        "webhook_token": id_,
        "secret_key_preview": "sk_test_…4242",
        "created_at": now,
        "updated_at": now,
    }
    integration = Integration(**(standard | fields))
    async with transaction():
        await integration.save()
        await IntegrationTraffic(integration_id=integration.id, workspace_id=workspace.id).save()
    return integration


async def add_invoice(integration: Integration, **fields: Any) -> Invoice:
    """An OPEN invoice over 20.00 USD for a customer of its own, or as told."""
    now = utc_now()
    customer = Customer(
        id=new_id(Prefix.CUSTOMER),
        workspace_id=integration.workspace_id,
        name="Ada",
        email="ada@example.com",
        created_at=now,
        updated_at=now,
    )
    standard: dict[str, Any] = {
        "id": new_id(Prefix.INVOICE),
        "workspace_id": integration.workspace_id,
        "customer_id": customer.id,
        "integration_id": integration.id,
        "status": InvoiceStatus.OPEN,
        "currency": "USD",
        "total": 2000,
        "created_at": now,
        "updated_at": now,
    }
    invoice = Invoice(**(standard | fields))
    async with transaction() as tx:
        await customer.save()
        if invoice.status is not InvoiceStatus.DRAFT:
            invoice.number = await next_number(tx, integration.workspace_id, now.year)
            invoice.finalized_at = now
        await invoice.save()
    return invoice


async def add_link(invoice: Invoice, **fields: Any) -> PaymentLink:
    """A link over all of an invoice that can be paid, or as told."""
    now = utc_now()
    standard: dict[str, Any] = {
        "id": new_id(Prefix.PAYMENT_LINK),
        "workspace_id": invoice.workspace_id,
        "invoice_id": invoice.id,
        "integration_id": invoice.integration_id,
        "status": PaymentLinkStatus.ACTIVE,
        "provider_id": stripe.fresh("plink"),
        "url": "https://buy.stripe.com/test_a",
        "amount": invoice.total,
        "currency": invoice.currency,
        "created_at": now,
        "updated_at": now,
    }
    link = PaymentLink(**(standard | fields))
    async with transaction():
        await link.save()
    return link


async def add_nameless_payment(integration: Integration, provider_payment_id: str) -> Payment:
    """A payment that no reference leads to: whatever reports it fails."""
    payment = Payment(
        id=new_id(Prefix.PAYMENT),
        workspace_id=integration.workspace_id,
        integration_id=integration.id,
        provider_payment_id=provider_payment_id,
        status=PaymentStatus.PENDING,
        amount=0,
        currency="USD",
        allocation=Allocation.UNAPPLIED,
        unapplied_code="INVOICE_NOT_FOUND",
        decided_by="",
        occurred_at=utc_now(),
        created_at=utc_now(),
    )
    async with transaction():
        await payment.save()
    return payment


async def change(row: Model, **values: Any) -> None:
    """Set columns of a row, as somebody else would."""
    async with transaction():
        await unscoped(type(row)).filter(id=row.pk).update(**values)


def ours(invoice: Invoice) -> Any:
    """The metadata of the links that we make for an invoice."""
    return {"invoice_id": invoice.id, "customer_id": invoice.customer_id, "workspace_id": invoice.workspace_id}


def delivery(integration: Integration, event: stripe.Event | bytes) -> Delivery:
    """A verified body, come in just now."""
    body = event if isinstance(event, bytes) else stripe.body(event)
    return delivery_of(Origin(integration.workspace_id, integration.id, integration.mode), body, utc_now())


def deliveries(integration: Integration, events: Iterable[stripe.Event | bytes]) -> list[Delivery]:
    """Verified bodies, in the order given."""
    return [delivery(integration, event) for event in events]


async def again(row: RowT) -> RowT:
    """A row as it is now."""
    return await unscoped(type(row)).get(id=row.pk)


async def payments_of(workspace: Workspace) -> Sequence[Payment]:
    """A workspace's payments, oldest first."""
    return await scoped(Payment, workspace.id).order_by("id")


async def links_of(invoice: Invoice) -> Sequence[PaymentLink]:
    """An invoice's links, oldest first."""
    return await scoped(PaymentLink, invoice.workspace_id).filter(invoice_id=invoice.id).order_by("id")


async def webhook_events_of(workspace: Workspace) -> Sequence[WebhookEvent]:
    """What came in for a workspace, oldest first."""
    return await scoped(WebhookEvent, workspace.id).order_by("id")


async def log_of(workspace: Workspace) -> Sequence[Event]:
    """A workspace's log, in order."""
    return await scoped(Event, workspace.id).order_by("number")


async def log_types(workspace: Workspace) -> list[EventType]:
    """What a workspace's log says happened, in order."""
    return [entry.type for entry in await log_of(workspace)]


async def traffic_of(integration: Integration) -> IntegrationTraffic:
    """What is counted of an integration's deliveries."""
    return await scoped(IntegrationTraffic, integration.workspace_id).get(integration_id=integration.id)
