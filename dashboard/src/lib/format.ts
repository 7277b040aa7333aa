/** Money and time in the user's language and time zone. */

const digitsOf = (amount: string): number => amount.split(".")[1]?.length ?? 0;

/**
 * An amount with its currency, and with at least as many digits as `like` has.
 * Intl reads decimal strings exactly: an amount is never a float.
 */
export function amountIn({ amount, currency }: { amount: string; currency: string }, like = amount): string {
  const digits = Math.max(digitsOf(amount), digitsOf(like));
  return new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(amount as Intl.StringNumericLiteral);
}

const INSTANT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const LOCAL_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const SINCE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

export const instantIn = (at: string): string => INSTANT.format(new Date(at));

/** A date without a time: it is the same day everywhere. */
export const dayOf = (on: string): string => DAY.format(new Date(`${on}T00:00:00Z`));

/** The day of an instant in the user's time zone. */
export const dayIn = (at: string): string => LOCAL_DAY.format(new Date(at));

export const utcOf = (at: string): string => `${at.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "")} UTC`;

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [7, "day"],
];

/** How long ago something was, up to a week; after that its date. */
export function sinceIn(at: string, now = Date.now()): string {
  let count = Math.max(0, (now - new Date(at).getTime()) / 1000);
  for (const [size, unit] of STEPS) {
    if (count < size) return SINCE.format(-Math.floor(count), unit);
    count /= size;
  }
  return dayIn(at);
}

export const countOf = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
