import { expect, test } from "vitest";
import { inOurWords } from "./wording";

test.each([
  ["or let Fluxrate add it (repairStripeIntegration).", "or let Fluxrate add it (“Repair”)."],
  ["with exactly the webhookUrl shown here", "with exactly the webhook URL shown here"],
  ["Switch it on again (isActive: true).", "Switch it on again (“Active”)."],
  ["pay an invoice. checkStripeIntegration checks the endpoint", "pay an invoice. “Check” checks the endpoint"],
  ["or set allowAccountChange: true.", "or set allowAccountChange: true over the API."],
  ["my_webhookUrls and webhookUrlx stay", "my_webhookUrls and webhookUrlx stay"],
])("%s", (text, shown) => {
  expect(inOurWords(text)).toBe(shown);
});
