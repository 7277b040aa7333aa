"""Everything that can be changed. What a client can cause to be refused is a member of each result's union."""

import strawberry

from schema.mutations.api_key import ApiKeyMutations
from schema.mutations.customer import CustomerMutations
from schema.mutations.integration import IntegrationMutations
from schema.mutations.invoice import InvoiceMutations
from schema.mutations.payment import PaymentMutations
from schema.mutations.stripe_event import StripeEventMutations
from schema.mutations.webhook_event import WebhookEventMutations


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
