import { expect, test } from "vitest";
import { DraftRates } from "./draft-rate.ts";
import { draftDepth, draftTokensMost } from "./step-drafts.ts";

const draft = (rate: number, length = 4) => ({ tokens: Array(length).fill(1), kind: { at: () => rate } });
const rates = (...each: number[]) => each.map((rate) => draft(rate));

test("one row tries the more, the surer it is", () => {
  expect([0.07, 0.1, 0.4, 0.6, 0.9].map((rate) => draftDepth([draft(rate)], 1))).toEqual([0, 1, 2, 3, 4]);
});

test("with more rows there is room for less, and soon for nothing", () => {
  const budget = { draftTokensMax: 4, decodeTokensMax: 8 };
  expect([0, 1, 2, 3, 4, 5, 16].map((rows) => draftTokensMost(rows, budget))).toEqual([0, 4, 3, 1, 1, 0, 0]);
  expect(draftTokensMost(1, { ...budget, draftTokensMax: 0 })).toBe(0);
});

test("what some rows try must be worth what all rows compute for it", () => {
  expect(draftDepth(rates(0.35), 2)).toBe(1);
  expect(draftDepth(rates(0.35), 3)).toBe(0);
  expect(draftDepth(rates(0.35, 0.35), 3)).toBe(0);
  expect(draftDepth(rates(0.35, 0.35, 0.35), 3)).toBe(1);
  expect(draftDepth([], 1)).toBe(0);
  expect(draftDepth([], 0)).toBe(0);
});

test("a row near its end counts as far as it goes", () => {
  expect(draftDepth([draft(0.9, 1)], 1)).toBe(1);
  expect(draftDepth([draft(0.6), draft(0.6)], 2)).toBe(2);
  expect(draftDepth([draft(0.6, 1), draft(0.6)], 2)).toBe(1);
});

test("a rate follows what became of the tries, and comes back where nothing is tried", () => {
  const rate = new DraftRates().after(2);
  for (let step = 0; step < 40; step++) rate.learn(4, 4);
  for (const place of [0, 1, 2, 6]) expect(rate.at(place)).toBeGreaterThan(0.95);
  for (let step = 0; step < 60; step++) rate.learn(4, 0);
  expect(rate.at(0)).toBeLessThan(0.01);
  expect(rate.at(1)).toBeGreaterThan(0.95); // Nothing was seen of it.
  for (let step = 0; step < 100; step++) rate.spare();
  expect(rate.at(0)).toBeGreaterThan(0.1);
});

test("where phrases of two tokens are copied, one is tried", () => {
  const rate = new DraftRates().after(1);
  for (let step = 0; step < 20; step++) rate.learn(4, 1);
  expect(draftDepth([{ tokens: [1, 2, 3, 4], kind: rate }], 1)).toBe(1);
});

test("long matches that prove right say nothing about short ones", () => {
  const rates = new DraftRates();
  const before = [1, 2].map((length) => rates.after(length).at(0));
  for (let step = 0; step < 20; step++) rates.after(3).learn(4, 4);
  expect(rates.after(8).at(0)).toBeGreaterThan(0.9);
  expect([1, 2].map((length) => rates.after(length).at(0))).toEqual(before);
});
