import { useSyncExternalStore } from "react";
import { amountIn, dayOf, instantIn, sinceIn, utcOf } from "../lib/format";

export interface MoneyValue {
  amount: string;
  currency: string;
}

/** An amount, with at least as many digits as `like` has. */
export const Money = ({ value, like }: { value: MoneyValue; like?: string }) => (
  <span className="money">{amountIn(value, like)}</span>
);

const TICK_MS = 10_000;

function everyTick(look: () => void): () => void {
  const timer = setInterval(look, TICK_MS);
  return () => clearInterval(timer);
}

/** Renders relative times again every few seconds. */
const useTicks = () => useSyncExternalStore(everyTick, () => Math.floor(Date.now() / TICK_MS));

/** An instant in the user's time zone, with UTC in its title. */
export function Time({ at, ago = false }: { at: string; ago?: boolean }) {
  useTicks();
  return (
    <time dateTime={at} title={utcOf(at)}>
      {ago ? sinceIn(at) : instantIn(at)}
    </time>
  );
}

export const Day = ({ on }: { on: string }) => <time dateTime={on}>{dayOf(on)}</time>;

const TONES: Record<string, string> = {
  PAID: "good",
  SUCCEEDED: "good",
  PROCESSED: "good",
  READY: "good",
  ACTIVE: "good",
  COMPLETED: "good",
  OPEN: "info",
  PARTLY_PAID: "info",
  PENDING: "info",
  HELD: "info",
  AWAITING_WEBHOOK_SECRET: "warn",
  NEEDS_ATTENTION: "warn",
  UNAPPLIED: "warn",
  DISPUTED: "warn",
  QUARANTINED: "warn",
  UNCOLLECTIBLE: "warn",
  OVERDUE: "warn",
  FAILED: "bad",
  KEY_REJECTED: "bad",
};

/** A status in words, with a colour. */
export const Status = ({ value }: { value: string }) => (
  <span className={`status status-${TONES[value] ?? "calm"}`}>{inWords(value)}</span>
);

/** KEY_REJECTED becomes "Key rejected". */
export function inWords(value: string): string {
  const words = value.replaceAll("_", " ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
