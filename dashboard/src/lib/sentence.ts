import type { EventLine } from "../api/event";
import { amountIn } from "./format";

type Kind = EventLine["type"];

const invoice = ({ invoice }: EventLine) => (invoice?.number ? `Invoice ${invoice.number}` : "A draft invoice");
const payment = ({ payment }: EventLine) => (payment ? `A payment of ${amountIn(payment.amount)}` : "A payment");
const forInvoice = ({ invoice }: EventLine) => (invoice?.number ? ` for invoice ${invoice.number}` : "");
/** Lower-cases the first letter, for use within a sentence. */
const within = (subject: string) => subject.charAt(0).toLowerCase() + subject.slice(1);
const customer = ({ customer }: EventLine) => customer?.name ?? "A customer";
const integration = ({ integration }: EventLine) => integration?.name ?? "An integration";
const posted = ({ webhookEvent }: EventLine) => webhookEvent?.type ?? "An event";

const SENTENCES: Record<Kind, (event: EventLine) => string> = {
  INVOICE_CREATED: (event) => `${invoice(event)} was created`,
  INVOICE_UPDATED: (event) => `${invoice(event)} was changed`,
  INVOICE_DELETED: () => "A draft invoice was deleted",
  INVOICE_FINALIZED: (event) => `${invoice(event)} was finalized`,
  INVOICE_PARTIALLY_PAID: (event) => `${invoice(event)} was paid in part`,
  INVOICE_PAID: (event) => `${invoice(event)} is paid`,
  INVOICE_VOIDED: (event) => `${invoice(event)} was voided`,
  INVOICE_MARKED_UNCOLLECTIBLE: (event) => `${invoice(event)} was marked uncollectible`,
  PAYMENT_PENDING: (event) => `${payment(event)}${forInvoice(event)} is under way`,
  PAYMENT_SUCCEEDED: (event) => `${payment(event)}${forInvoice(event)} came in`,
  PAYMENT_FAILED: (event) => `${payment(event)}${forInvoice(event)} failed`,
  PAYMENT_UNAPPLIED: (event) => `${payment(event)} fits no invoice`,
  PAYMENT_APPLIED: (event) => `${payment(event)} was applied${forInvoice(event).replace(" for", " to")}`,
  PAYMENT_REFUNDED: (event) => `${payment(event)}${forInvoice(event)} was refunded`,
  PAYMENT_REFUND_FAILED: (event) => `A refund of ${within(payment(event))} failed`,
  PAYMENT_DISPUTED: (event) => `${payment(event)}${forInvoice(event)} is disputed`,
  PAYMENT_DISPUTE_CLOSED: (event) => `The dispute about ${within(payment(event))} is closed`,
  PAYMENT_LINK_CREATED: (event) => `${invoice(event)} has a payment link`,
  PAYMENT_LINK_FAILED: (event) => `The payment link of ${within(invoice(event))} could not be created`,
  PAYMENT_LINK_DEACTIVATED: (event) => `The payment link of ${within(invoice(event))} was closed`,
  INTEGRATION_CONNECTED: (event) => `${integration(event)} was connected`,
  INTEGRATION_UPDATED: (event) => `${integration(event)} was changed`,
  INTEGRATION_DISCONNECTED: (event) => `${integration(event)} was disconnected`,
  WEBHOOK_EVENT_RECEIVED: (event) => `Stripe sent ${event.webhookEvent?.type ?? "an event"}`,
  WEBHOOK_EVENT_UPDATED: (event) => `${posted(event)} was tried again`,
  CUSTOMER_CREATED: (event) => `${customer(event)} is a new customer`,
  CUSTOMER_UPDATED: (event) => `${customer(event)} was changed`,
  API_KEY_CREATED: () => "An API key was created",
  API_KEY_REVOKED: () => "An API key was revoked",
};

/** What happened, in a sentence. */
export const sentenceOf = (event: EventLine): string => SENTENCES[event.type](event);

/** The page with more about an event; null if there is none. */
export function addressOf(event: EventLine): string | null {
  const { invoice, payment, webhookEvent, customer, integration, type } = event;
  if (type.startsWith("WEBHOOK_EVENT") && webhookEvent) return `/webhook-events/${webhookEvent.id}`;
  if (type.startsWith("PAYMENT_") && !type.startsWith("PAYMENT_LINK") && payment) return `/payments/${payment.id}`;
  if (invoice) return `/invoices/${invoice.id}`;
  if (customer) return `/customers/${customer.id}`;
  return integration ? `/integrations/${integration.id}` : null;
}
