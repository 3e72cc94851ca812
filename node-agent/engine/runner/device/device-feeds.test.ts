import { expect, test } from "vitest";
import { type BaseInfo, DEVICE_VALUES } from "#model";
import type { StepRow } from "../contract.ts";
import type { Feeds } from "./contract.ts";
import { chunkFeeds, decodeFeeds } from "./device-feeds.ts";
import { SlotBanks } from "./slot-banks.ts";

const step = (row: number, tokens: readonly number[], logits: StepRow["logits"] = "last"): StepRow => ({
  row,
  tokens,
  slot: undefined,
  logits,
});
const numbers = (feeds: Feeds, name: keyof typeof DEVICE_VALUES) => Array.from(feeds[DEVICE_VALUES[name]]!.data as Int32Array, Number);

/** Rows 0, 1 and 2 in the slots 0, 1 and 2 of one bank, with 5, 64 and 2 tokens. */
function threeRows(): SlotBanks {
  const banks = new SlotBanks(1024, 64);
  for (const [row, length] of [5, 64, 2].entries()) {
    banks.open(row, 64);
    banks.append(row, length);
  }
  return banks;
}

test("a slot between rows that step gets the padding's token, never another row's, and keeps what counts of its own", () => {
  const { feeds, slotCount, paddingTokens } = decodeFeeds([step(2, [20]), step(0, [10])], threeRows());
  expect([slotCount, paddingTokens]).toEqual([3, 1]);
  expect(numbers(feeds, "tokens")).toEqual([20, 10, 0]);
  expect(numbers(feeds, "positions")).toEqual([2, 5, 0]);
  expect(numbers(feeds, "slotTokens")).toEqual([1, 2, 0]);
  expect(numbers(feeds, "tokenSlots").slice(0, 2)).toEqual([2, 0]);
  expect(numbers(feeds, "lastPlaces")).toEqual([5, 63, 2]);
  expect(numbers(feeds, "longest")).toEqual([64]);
  expect(numbers(feeds, "wanted")).toEqual([0, 1]);
});

test("slots behind the last row that steps are left out, and without gaps nothing is padded", () => {
  const { feeds, slotCount, paddingTokens } = decodeFeeds([step(0, [10], "none")], threeRows());
  expect([slotCount, paddingTokens]).toEqual([1, 0]);
  expect(numbers(feeds, "tokens")).toEqual([10]);
  expect(numbers(feeds, "wanted")).toEqual([0]);
});

test("a chunk's new keys go behind its row's own, for every head", () => {
  const base = { kvHeadCount: 2 } as BaseInfo;
  const { feeds } = chunkFeeds(base, step(2, [7, 8, 9], "all"), threeRows());
  expect(numbers(feeds, "positions")).toEqual([2, 3, 4]);
  // Slot 2 begins behind two slots of two heads of 64 places each.
  expect(numbers(feeds, "cacheRows")).toEqual([258, 259, 260, 322, 323, 324]);
  expect(numbers(feeds, "lastPlaces")).toEqual([4]);
  expect(numbers(feeds, "wanted")).toEqual([0, 1, 2]);
});
