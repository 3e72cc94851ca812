import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SlotBanks } from "./slot-banks.ts";

const slotTokens = (banks: SlotBanks) => [...banks.sizes].reduce((sum, [capacity, slots]) => sum + capacity * slots, 0);

describe("slots of the cache on a device", () => {
  test("a row gets a slot of the next power of two, but never of more than any row may take", () => {
    const banks = new SlotBanks(4000, 1000);
    for (const [row, tokensMax] of [1, 64, 65, 200, 600, 1000].entries()) expect(banks.open(row, tokensMax)).toBe(true);
    expect([0, 1, 2, 3, 4, 5].map((row) => banks.place(row).capacity)).toEqual([64, 64, 128, 256, 1024, 1024]);
  });

  test("rows that come take what rows that went have left, the first slot first", () => {
    const banks = new SlotBanks(1024, 128);
    for (const row of [0, 1, 2]) banks.open(row, 100);
    banks.close(1);
    banks.open(7, 90);
    expect([0, 7, 2].map((row) => banks.place(row).slot)).toEqual([0, 1, 2]);
  });

  test("a bank without rows at its end makes room for another", () => {
    const banks = new SlotBanks(512, 256);
    for (const row of [0, 1, 2, 3]) banks.open(row, 64);
    banks.open(4, 256);
    expect(banks.open(5, 200)).toBe(false);
    for (const row of [0, 1, 2, 3]) banks.close(row);
    expect(banks.open(5, 200)).toBe(true);
    expect(banks.sizes).toEqual(new Map([[256, 2]]));
  });

  test("the longest row that was promised fits an empty cache, whatever the numbers", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (tokensMax, contextTokensMax) => {
        const banks = new SlotBanks(tokensMax, contextTokensMax);
        expect(banks.open(0, Math.min(tokensMax, contextTokensMax))).toBe(true);
      }),
    );
  });

  test("whoever comes and goes: nobody moves, nobody shares a slot, and nothing exceeds what there is", () => {
    const action = fc.record({ tokens: fc.integer({ min: 1, max: 512 }), close: fc.integer({ min: 0, max: 30 }) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const banks = new SlotBanks(2048, 512);
        const open = new Map<number, { readonly at: string; readonly tokens: number }>();
        for (const [row, { tokens, close }] of actions.entries()) {
          const reserved = [...open.values()].reduce((sum, each) => sum + each.tokens, 0);
          const opened = banks.open(row, tokens);
          if (opened) open.set(row, { at: JSON.stringify(banks.place(row)), tokens });
          if (reserved + tokens > 2048) expect(opened).toBe(false);
          const leaving = [...open.keys()][close];
          if (leaving !== undefined) {
            banks.close(leaving);
            open.delete(leaving);
          }
          for (const [other, { at }] of open) expect(JSON.stringify(banks.place(other))).toBe(at);
          expect(new Set([...open.values()].map(({ at }) => at)).size).toBe(open.size);
          for (const other of open.keys()) {
            const { capacity, slot } = banks.place(other);
            expect(slot).toBeLessThan(banks.sizes.get(capacity)!);
            expect(capacity).toBeGreaterThanOrEqual(open.get(other)!.tokens);
          }
          expect(slotTokens(banks)).toBeLessThanOrEqual(2048);
        }
      }),
    );
  });

  test("a row that does not step is written to behind what it has; a full one at its end", () => {
    const banks = new SlotBanks(1024, 128);
    for (const row of [0, 1]) banks.open(row, 128);
    banks.append(0, 128);
    banks.append(1, 5);
    expect(banks.writePlaces(128, 4)).toEqual([127, 5, 0, 0]);
    expect(() => banks.append(0, 1)).toThrow("stays within");
  });
});
