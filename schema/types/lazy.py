"""Lists that types have of one another, by name: each is looked up when the schema is built."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.types.event import EventConnection
    from schema.types.invoice import InvoiceConnection
    from schema.types.payment import PaymentConnection
    from schema.types.webhook_event import WebhookEventConnection

LazyEventConnection = Annotated["EventConnection", strawberry.lazy("schema.types.event")]
LazyInvoiceConnection = Annotated["InvoiceConnection", strawberry.lazy("schema.types.invoice")]
LazyPaymentConnection = Annotated["PaymentConnection", strawberry.lazy("schema.types.payment")]
LazyWebhookEventConnection = Annotated["WebhookEventConnection", strawberry.lazy("schema.types.webhook_event")]
