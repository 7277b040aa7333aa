import { expect, test } from "vitest";
import { lineAmount, toMajor, zeroLike } from "./decimal";

test.each([
  ["3", "19.995", 2, 5999n],
  ["1", "0.005", 2, 1n],
  ["1", "0.0049", 2, 0n],
  ["0.5", "1.25", 2, 63n],
  ["2", "400", 0, 800n],
  ["1", "0.5", 0, 1n],
  ["1.1", "1.1", 3, 1210n],
  ["999999999999", "0.000000000001", 2, 100n],
  ["0.1", "0.2", 2, 2n],
])("%s times %s with %i digits", (quantity, unitAmount, exponent, amount) => {
  expect(lineAmount(quantity, unitAmount, exponent)).toBe(amount);
});

test.each(["", "-1", "1e3", "1,5", ".5", "1.", "abc", "0.0000000000001"])("%j is no amount", (text) => {
  expect(lineAmount("1", text, 2)).toBeNull();
});

test("minor units have exactly the currency's digits", () => {
  expect(toMajor(5n, 2)).toBe("0.05");
  expect(toMajor(800n, 0)).toBe("800");
  expect(toMajor(12340n, 3)).toBe("12.340");
});

test("nothing has the digits of its currency", () => {
  expect([zeroLike("5123.00"), zeroLike("800"), zeroLike("12.340")]).toEqual(["0.00", "0", "0.000"]);
});
