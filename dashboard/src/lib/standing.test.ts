import { expect, test } from "vitest";
import { standingOfIntegration, standingOfInvoice, standingOfPayment } from "./standing";

const payment = { status: "SUCCEEDED", allocation: "APPLIED", amountRefunded: { minorUnits: "0" } };
const invoice = { status: "OPEN", isOverdue: false, total: { amount: "46.20" }, amountRemaining: { amount: "46.20" } };

test.each([
  [payment, "SUCCEEDED"],
  [{ ...payment, allocation: "UNAPPLIED" }, "UNAPPLIED"],
  [{ ...payment, status: "PENDING", allocation: "UNAPPLIED" }, "PENDING"],
  [{ ...payment, amountRefunded: { minorUnits: "1" } }, "REFUNDED"],
  [{ ...payment, dispute: { status: "needs_response" } }, "DISPUTED"],
  [{ ...payment, dispute: { status: "lost" } }, "DISPUTED"],
  [{ ...payment, dispute: { status: "won" } }, "SUCCEEDED"],
  [{ ...payment, disputes: [{ status: "won" }, { status: "under_review" }] }, "DISPUTED"],
])("a payment %j is %s", (given, standing) => {
  expect(standingOfPayment(given)).toBe(standing);
});

test.each([
  [invoice, "OPEN"],
  [{ ...invoice, amountRemaining: { amount: "6.20" } }, "PARTLY_PAID"],
  [{ ...invoice, isOverdue: true, amountRemaining: { amount: "6.20" } }, "OVERDUE"],
  [{ ...invoice, status: "PAID", amountRemaining: { amount: "0.00" } }, "PAID"],
])("an invoice %j is %s", (given, standing) => {
  expect(standingOfInvoice(given)).toBe(standing);
});

test.each([
  ["READY", [], "READY"],
  ["READY", ["NO_EVENT_YET", "ENDPOINT_EVENTS_RECOMMENDED"], "READY"],
  ["READY", ["NO_EVENT_YET", "SIGNATURES_FAILING"], "NEEDS_ATTENTION"],
  ["INACTIVE", ["INTEGRATION_OFF"], "INACTIVE"],
])("an integration that is %s with the problems %j is %s", (status, codes, standing) => {
  expect(standingOfIntegration({ status, health: { problems: codes.map((code) => ({ code })) } })).toBe(standing);
});
