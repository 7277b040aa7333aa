/** Computes amounts as the server does: exactly, with integers. A line is rounded half up to the minor unit. */

const PLAIN = /^\d{1,15}(\.\d{1,12})?$/;

interface Decimal {
  units: bigint;
  places: number;
}

function parse(text: string): Decimal | null {
  const plain = text.trim();
  if (!PLAIN.test(plain)) return null;
  const [whole = "0", fraction = ""] = plain.split(".");
  return { units: BigInt(whole + fraction), places: fraction.length };
}

/** A line's amount in minor units; null while the input is not a number. */
export function lineAmount(quantity: string, unitAmount: string, exponent: number): bigint | null {
  const [count, price] = [parse(quantity), parse(unitAmount)];
  if (!count || !price) return null;
  const exact = count.units * price.units;
  const places = count.places + price.places - exponent;
  if (places <= 0) return exact * 10n ** BigInt(-places);
  const step = 10n ** BigInt(places);
  return (exact + step / 2n) / step;
}

/** Converts minor units to the major unit, with exactly the currency's digits. */
export function toMajor(minorUnits: bigint, exponent: number): string {
  const digits = minorUnits.toString().padStart(exponent + 1, "0");
  return exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/** Zero, with as many digits as another amount in the currency. */
export const zeroLike = (amount: string): string => toMajor(0n, amount.split(".")[1]?.length ?? 0);
