import { expect, test } from "vitest";
import { amountIn, sinceIn, utcOf } from "./format";

test("an amount is read exactly, however large", () => {
  expect(amountIn({ amount: "9007199254740993.01", currency: "USD" })).toContain("9,007,199,254,740,993.01");
  expect(amountIn({ amount: "12.340", currency: "KWD" })).toContain("12.340");
  expect(amountIn({ amount: "800", currency: "JPY" })).toMatch(/800$/);
  expect(amountIn({ amount: "-0.01", currency: "EUR" })).toContain("-€0.01");
  expect(amountIn({ amount: "480", currency: "EUR" }, "960.00")).toContain("€480.00");
  expect(amountIn({ amount: "0.0025", currency: "EUR" }, "1.00")).toContain("€0.0025");
});

test("an instant is told in UTC without guessing", () => {
  expect(utcOf("2026-11-23T14:00:00.123Z")).toBe("2026-11-23 14:00:00 UTC");
});

test("what was just now is told by how long ago, what was long ago by its date", () => {
  const now = Date.parse("2026-11-23T14:00:00Z");
  expect(sinceIn("2026-11-23T13:59:30Z", now)).toMatch(/30 sec/);
  expect(sinceIn("2026-11-23T11:00:00Z", now)).toMatch(/3 hr/);
  expect(sinceIn("2026-01-05T12:00:00Z", now)).toMatch(/2026/);
});
