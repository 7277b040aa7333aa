import { expect, test } from "vitest";
import type { EventLine } from "../api/event";
import { addressOf, sentenceOf } from "./sentence";

const event = (type: EventLine["type"], more: Partial<EventLine> = {}): EventLine => ({
  id: "evt_1",
  type,
  cursor: "1",
  occurredAt: "2026-11-23T14:00:00Z",
  actor: "stripe",
  note: null,
  invoice: null,
  payment: null,
  customer: null,
  integration: null,
  webhookEvent: null,
  ...more,
});
const invoice = {
  id: "inv_1",
  number: "INV-2026-0001",
  status: "OPEN",
  total: { amount: "1.00", currency: "USD" },
} as const;
const payment = { id: "pay_1", amount: { amount: "20.00", currency: "USD" } };

test("a number keeps its letters within a sentence", () => {
  expect(sentenceOf(event("PAYMENT_LINK_DEACTIVATED", { invoice }))).toBe(
    "The payment link of invoice INV-2026-0001 was closed",
  );
  expect(sentenceOf(event("PAYMENT_REFUND_FAILED", { payment }))).toBe("A refund of a payment of $20.00 failed");
});

test("what is gone is told all the same", () => {
  expect(sentenceOf(event("INVOICE_PAID"))).toBe("A draft invoice is paid");
  expect(sentenceOf(event("PAYMENT_UNAPPLIED"))).toBe("A payment fits no invoice");
  expect(sentenceOf(event("WEBHOOK_EVENT_RECEIVED"))).toBe("Stripe sent an event");
});

test("an event leads to what it is about", () => {
  expect(addressOf(event("INVOICE_PAID", { invoice, payment }))).toBe("/invoices/inv_1");
  expect(addressOf(event("PAYMENT_SUCCEEDED", { invoice, payment }))).toBe("/payments/pay_1");
  expect(addressOf(event("PAYMENT_LINK_CREATED", { invoice }))).toBe("/invoices/inv_1");
  expect(addressOf(event("API_KEY_CREATED"))).toBeNull();
});
