/** What this dashboard calls the fields and mutations of the API that problems and refusals name. */
const CALLED: Record<string, string> = {
  "isActive: true": "“Active”",
  applyPayment: "“Apply”",
  checkStripeIntegration: "“Check”",
  connectStripe: "“Connect”",
  createPaymentLink: "“Create payment link”",
  eventsToSend: "events to send",
  markInvoicePaid: "“Mark paid”",
  repairStripeIntegration: "“Repair”",
  "set allowAccountChange: true": "set allowAccountChange: true over the API",
  syncStripeEvents: "“Sync”",
  webhookEvents: "webhook events",
  webhookUrl: "webhook URL",
};

const NAMES = new RegExp(`\\b(?:${Object.keys(CALLED).join("|")})\\b`, "g");

/** Replaces the API's names in a text by what the dashboard calls them. */
export const inOurWords = (text: string): string => text.replace(NAMES, (name) => CALLED[name] ?? name);
