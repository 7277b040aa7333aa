"""The types that point at one another, by name: each is looked up when the schema is built."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.types.customer import Customer
    from schema.types.event import Event, EventConnection
    from schema.types.integration import StripeIntegration
    from schema.types.invoice import Invoice, InvoiceConnection
    from schema.types.payment import Payment, PaymentConnection
    from schema.types.webhook_event import WebhookEvent, WebhookEventConnection

LazyCustomer = Annotated["Customer", strawberry.lazy("schema.types.customer")]
LazyEvent = Annotated["Event", strawberry.lazy("schema.types.event")]
LazyEventConnection = Annotated["EventConnection", strawberry.lazy("schema.types.event")]
LazyIntegration = Annotated["StripeIntegration", strawberry.lazy("schema.types.integration")]
LazyInvoice = Annotated["Invoice", strawberry.lazy("schema.types.invoice")]
LazyInvoiceConnection = Annotated["InvoiceConnection", strawberry.lazy("schema.types.invoice")]
LazyPayment = Annotated["Payment", strawberry.lazy("schema.types.payment")]
LazyPaymentConnection = Annotated["PaymentConnection", strawberry.lazy("schema.types.payment")]
LazyWebhookEvent = Annotated["WebhookEvent", strawberry.lazy("schema.types.webhook_event")]
LazyWebhookEventConnection = Annotated["WebhookEventConnection", strawberry.lazy("schema.types.webhook_event")]
