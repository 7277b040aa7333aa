/** The status of a payment, an invoice or an integration that says most about it. */

interface MoneyLike {
  amount: string;
}

interface PaymentLike {
  status: string;
  allocation: string;
  amountRefunded: { minorUnits: unknown };
  disputes?: { status: string }[];
  dispute?: { status: string } | null;
}

interface InvoiceLike {
  status: string;
  isOverdue: boolean;
  total: MoneyLike;
  amountRemaining: MoneyLike;
}

interface IntegrationLike {
  status: string;
  health: { problems: { code: string }[] };
}

/** Problems of an integration that works nevertheless. */
const HARMLESS = new Set([
  "ENDPOINT_EVENTS_RECOMMENDED",
  "KEY_LACKS_OPTIONAL_PERMISSION",
  "NO_EVENT_YET",
  "PUBLIC_URL_LOCAL",
  "STRIPE_NOT_ASKED",
]);

/** Final statuses of a dispute that leave the business its money. Source: Stripe, "The Dispute object", `status`. */
const KEPT = new Set(["won", "warning_closed"]);

export function standingOfPayment({ status, allocation, amountRefunded, dispute, disputes }: PaymentLike): string {
  const known = disputes ?? (dispute ? [dispute] : []);
  if (known.some((each) => !KEPT.has(each.status))) return "DISPUTED";
  if (BigInt(amountRefunded.minorUnits as string) > 0n) return "REFUNDED";
  return status === "SUCCEEDED" && allocation === "UNAPPLIED" ? "UNAPPLIED" : status;
}

export function standingOfInvoice({ status, isOverdue, total, amountRemaining }: InvoiceLike): string {
  if (isOverdue) return "OVERDUE";
  return status === "OPEN" && total.amount !== amountRemaining.amount ? "PARTLY_PAID" : status;
}

export function standingOfIntegration({ status, health }: IntegrationLike): string {
  const isTroubled = health.problems.some(({ code }) => !HARMLESS.has(code));
  return status === "READY" && isTroubled ? "NEEDS_ATTENTION" : status;
}
