"""The GraphQL documents of the main job, as a frontend would write them."""

from typing import Final

CONNECT: Final = """
mutation ($input: ConnectStripeInput!) { connectStripe(input: $input) {
  __typename
  ... on ConnectStripeSuccess { integration {
    id status webhookUrl secretKeyPreview webhookSecretPreview stripeAccountId eventsToSend health { problems { code } }
  } }
  ... on Problem { code message path }
} }
"""

UPDATE_INTEGRATION: Final = """
mutation ($input: UpdateStripeIntegrationInput!) { updateStripeIntegration(input: $input) {
  __typename
  ... on UpdateStripeIntegrationSuccess { appliedFromQuarantine integration { id status isActive webhookSecretPreview previousWebhookSecretExpiresAt } }
  ... on Problem { code message path }
} }
"""  # noqa: E501

DISCONNECT: Final = """
mutation ($id: ID!) { disconnectStripe(id: $id) {
  __typename
  ... on DisconnectStripeSuccess { integration { id status webhookUrl disconnectedAt } }
  ... on Problem { code message }
} }
"""

CHECK_INTEGRATION: Final = """
mutation ($id: ID!) { checkStripeIntegration(id: $id) {
  __typename
  ... on CheckStripeIntegrationSuccess { problems { code message fix } integration { id status health { problems { code message fix } } } }
  ... on Problem { code message path }
} }
"""  # noqa: E501

REPAIR_INTEGRATION: Final = """
mutation ($id: ID!, $codes: [String!]) { repairStripeIntegration(id: $id, codes: $codes) {
  __typename
  ... on RepairStripeIntegrationSuccess { repaired { code } integration { id status webhookUrl health { problems { code } } } }
  ... on Problem { code message path }
} }
"""  # noqa: E501

CREATE_CUSTOMER: Final = """
mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) {
  __typename
  ... on CreateCustomerSuccess { customer { id name email externalId } }
  ... on Problem { code message path }
} }
"""

CREATE_INVOICE: Final = """
mutation ($input: CreateInvoiceInput!) { createInvoice(input: $input) {
  __typename
  ... on CreateInvoiceSuccess { invoice { id status number total { amount minorUnits currency } } }
  ... on Problem { code message path }
} }
"""

INVOICE_FIELDS: Final = """
fragment InvoiceFields on Invoice {
  id number status currency paidAt isOverdue
  total { amount minorUnits currency } amountPaid { amount } amountRemaining { amount } amountOverpaid { amount }
  amountPaidOutOfBand { amount }
  paymentLink { status url stripeId amount { amount } problem { code message fix } }
  payments(first: 10) { totalCount nodes {
    id status allocation providerPaymentId amount { amount } overpaid { amount } unappliedReason { code } failureCode
  } }
}
"""

FINALIZE: Final = (
    """
mutation ($id: ID!, $integrationId: ID) { finalizeInvoice(id: $id, integrationId: $integrationId) {
  __typename
  ... on FinalizeInvoiceSuccess { invoice { ...InvoiceFields } }
  ... on Problem { code message path }
  ... on InvalidTransition { from to }
} }
"""
    + INVOICE_FIELDS
)

INVOICE: Final = "query ($id: ID!) { invoice(id: $id) { ...InvoiceFields } }" + INVOICE_FIELDS

WEBHOOK_EVENTS: Final = """
query ($filter: WebhookEventFilter) { webhookEvents(first: 100, filter: $filter) { totalCount nodes {
  id stripeEventId type status deliveries attempts reason { code message fix } payload invoice { id } payment { id }
} } }
"""

INVOICE_PAID: Final = """
subscription ($after: String) { invoicePaid(after: $after) {
  type cursor previousStatus status actor invoice { id status amountPaid { amount } } payment { providerPaymentId }
} }
"""

_INVOICE_RESULT: Final = """
  ... on Problem { code message path }
  ... on InvalidTransition { from to }
"""

UPDATE_INVOICE: Final = f"""
mutation ($input: UpdateInvoiceInput!) {{ updateInvoice(input: $input) {{
  __typename
  ... on UpdateInvoiceSuccess {{ invoice {{
    id status currency dueDate memo total {{ amount }} customer {{ id }}
    lineItems {{ description quantity unitAmount amount {{ amount }} }}
  }} }}
  {_INVOICE_RESULT}
}} }}
"""

DELETE_INVOICE: Final = f"""
mutation ($id: ID!) {{ deleteInvoice(id: $id) {{
  __typename
  ... on DeleteInvoiceSuccess {{ deletedId }}
  {_INVOICE_RESULT}
}} }}
"""

CREATE_PAYMENT_LINK: Final = f"""
mutation ($id: ID!, $integrationId: ID) {{ createPaymentLink(invoiceId: $id, integrationId: $integrationId) {{
  __typename
  ... on CreatePaymentLinkSuccess {{ invoice {{ ...InvoiceFields }} }}
  {_INVOICE_RESULT}
}} }}
{INVOICE_FIELDS}
"""

MARK_PAID: Final = f"""
mutation ($id: ID!, $note: String) {{ markInvoicePaid(id: $id, note: $note) {{
  __typename
  ... on MarkInvoicePaidSuccess {{ invoice {{ ...InvoiceFields }} }}
  {_INVOICE_RESULT}
}} }}
{INVOICE_FIELDS}
"""

VOID: Final = f"""
mutation ($id: ID!, $note: String) {{ voidInvoice(id: $id, note: $note) {{
  __typename
  ... on VoidInvoiceSuccess {{ invoice {{ ...InvoiceFields }} }}
  {_INVOICE_RESULT}
}} }}
{INVOICE_FIELDS}
"""

MARK_UNCOLLECTIBLE: Final = f"""
mutation ($id: ID!, $note: String) {{ markInvoiceUncollectible(id: $id, note: $note) {{
  __typename
  ... on MarkInvoiceUncollectibleSuccess {{ invoice {{ ...InvoiceFields }} }}
  {_INVOICE_RESULT}
}} }}
{INVOICE_FIELDS}
"""

TIMELINE: Final = """
query ($id: ID!) { invoice(id: $id) { timeline(first: 100) { nodes {
  type actor note previousStatus status occurredAt
} } } }
"""

UPDATE_CUSTOMER: Final = """
mutation ($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
  __typename
  ... on UpdateCustomerSuccess { customer { id name email externalId } }
  ... on Problem { code message path }
} }
"""

INTEGRATION: Final = """
query ($id: ID!) { stripeIntegration(id: $id) {
  id name status isActive webhookUrl secretKeyPreview webhookSecretPreview previousWebhookSecretExpiresAt
  stripeAccountId disconnectedAt lastEventAt
  health { problems { code message fix } deliveries rejected quarantined unreadable lastRejectedAt }
} }
"""

CREATE_API_KEY: Final = """
mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  __typename
  ... on CreateApiKeySuccess { key apiKey { id name preview scopes expiresAt revokedAt } }
  ... on Problem { code message path }
} }
"""

REVOKE_API_KEY: Final = """
mutation ($id: ID!) { revokeApiKey(id: $id) {
  __typename
  ... on RevokeApiKeySuccess { apiKey { id revokedAt } }
  ... on Problem { code message path }
} }
"""
