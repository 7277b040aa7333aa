"""Everything that can be changed. What a client can cause to be refused is a member of each result's union."""

import strawberry

from schema.api_key_mutations import ApiKeyMutations
from schema.customer_mutations import CustomerMutations
from schema.integration_mutations import IntegrationMutations
from schema.invoice_mutations import InvoiceMutations
from schema.payment_mutations import PaymentMutations
from schema.stripe_event_mutations import StripeEventMutations
from schema.webhook_event_mutations import WebhookEventMutations


@strawberry.type(
    description=(
        "Everything that can be changed. A refusal that the client can cause is a member of the result's union and"
        " implements Problem."
    )
)
class Mutation(
    InvoiceMutations,
    CustomerMutations,
    IntegrationMutations,
    PaymentMutations,
    WebhookEventMutations,
    StripeEventMutations,
    ApiKeyMutations,
):
    pass
