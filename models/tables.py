"""Every table, as Tortoise looks for them."""

from models.api_key import ApiKey
from models.customer import Customer
from models.event import Event
from models.integration import Integration, IntegrationTraffic
from models.invoice import Invoice, LineItem
from models.metadata import Metadata
from models.payment import Payment
from models.payment_link import PaymentLink
from models.webhook_event import WebhookEvent
from models.webhook_event_attempt import WebhookEventAttempt
from models.workspace import Workspace

__models__ = (
    ApiKey,
    Customer,
    Event,
    Integration,
    IntegrationTraffic,
    Invoice,
    LineItem,
    Metadata,
    Payment,
    PaymentLink,
    WebhookEvent,
    WebhookEventAttempt,
    Workspace,
)
