"""The types that point at one another, by name: each is looked up when the schema is built."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.customer import Customer
    from schema.event import Event, EventConnection
    from schema.integration import StripeIntegration
    from schema.invoice import Invoice, InvoiceConnection
    from schema.payment import Payment, PaymentConnection
    from schema.webhook_event import WebhookEvent, WebhookEventConnection

LazyCustomer = Annotated["Customer", strawberry.lazy("schema.customer")]
LazyEvent = Annotated["Event", strawberry.lazy("schema.event")]
LazyEventConnection = Annotated["EventConnection", strawberry.lazy("schema.event")]
LazyIntegration = Annotated["StripeIntegration", strawberry.lazy("schema.integration")]
LazyInvoice = Annotated["Invoice", strawberry.lazy("schema.invoice")]
LazyInvoiceConnection = Annotated["InvoiceConnection", strawberry.lazy("schema.invoice")]
LazyPayment = Annotated["Payment", strawberry.lazy("schema.payment")]
LazyPaymentConnection = Annotated["PaymentConnection", strawberry.lazy("schema.payment")]
LazyWebhookEvent = Annotated["WebhookEvent", strawberry.lazy("schema.webhook_event")]
LazyWebhookEventConnection = Annotated["WebhookEventConnection", strawberry.lazy("schema.webhook_event")]
