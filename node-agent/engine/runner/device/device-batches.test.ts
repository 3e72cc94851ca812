import { expect, test } from "vitest";
import type { StepRow } from "../contract.ts";
import { planDeviceBatches } from "./device-batches.ts";

const CAPACITIES: Readonly<Record<number, number>> = { 0: 64, 1: 128, 2: 64, 3: 128 };
const banks = { place: (row: number) => ({ capacity: CAPACITIES[row]!, slot: row }) };
const step = (row: number, tokens: readonly number[], logits: StepRow["logits"] = "last"): StepRow => ({
  row,
  tokens,
  slot: undefined,
  logits,
});

test("rows with one token run together by bank, and every longer one by itself", () => {
  const rows = [step(0, [1]), step(1, [2]), step(2, [3]), step(3, [4, 5])];
  const batches = planDeviceBatches(rows, banks, Number.POSITIVE_INFINITY);
  expect(batches.map(({ phase, capacity, parts }) => [phase, capacity, parts.map(({ index }) => index)])).toEqual([
    ["decode", 64, [0, 2]],
    ["decode", 128, [1]],
    ["chunk", 128, [3]],
  ]);
});

test("where the device takes short chunks only, a long one runs in parts, and its last part gives the last logits", () => {
  const tokens = [...Array(10).keys()];
  const partsFor = (logits: StepRow["logits"]) =>
    planDeviceBatches([step(0, tokens, logits)], banks, 4).map(({ parts: [part] }) => [part!.step.tokens, part!.step.logits]);
  const cut = [tokens.slice(0, 3), tokens.slice(3, 7), tokens.slice(7)];
  expect(partsFor("top")).toEqual([
    [cut[0], "none"],
    [cut[1], "none"],
    [cut[2], "top"],
  ]);
  expect(partsFor("all")).toEqual(cut.map((part) => [part, "all"]));
});

test("no part of a cut chunk is longer than the device takes, whatever the length", () => {
  for (let length = 2; length < 100; length++) {
    const batches = planDeviceBatches([step(1, [...Array(length).keys()])], banks, 31);
    const parts = batches.map(({ parts: [part] }) => part!.step.tokens);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(31);
    expect(parts.flat()).toEqual([...Array(length).keys()]);
  }
});
