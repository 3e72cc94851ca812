import { expect, test } from "vitest";
import { median, quantile } from "./statistics.ts";

test("the median of an even number of values lies between the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("quantiles are linear between ranks, whatever the order of the values", () => {
  expect(quantile([30, 10, 20], 0.25)).toBe(15);
  expect(quantile([10, 20, 30], 1)).toBe(30);
});

test("nothing measured is not a number", () => {
  expect(median([])).toBeNaN();
});
