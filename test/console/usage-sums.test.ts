import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatUsd, parseUsd } from "#kernel";
import { exactUsd, nanoUsd, shareOf } from "../../console/src/views/usage/money.ts";
import { colouredGroups, dayColumns, sumOfRows, sumsBy } from "../../console/src/views/usage/usage-sums.ts";

/** What the page shows of money adds up to what was billed, to the nano-dollar. */

const amount = fc.bigInt(-999_999_999_999_999_999n, 999_999_999_999_999_999n);
const day = fc.integer({ min: 1, max: 20 }).map((date) => `2026-11-${String(date).padStart(2, "0")}`);
const tokens = fc.integer({ min: 0, max: 1_000_000 });
const row = fc.record({
  ...{ day, model: fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h", null), requests: tokens },
  ...{ prompt_tokens: tokens, cached_tokens: tokens, completion_tokens: tokens, trained_tokens: tokens },
  amount_usd: fc.bigInt(0n, 10n ** 15n).map((nano) => formatUsd(nano)),
});
const NOVEMBER = { since_ms: Date.UTC(2026, 10, 1), until_ms: Date.UTC(2026, 11, 1) };

describe("money", () => {
  test("is read exactly as the router writes it", () => {
    fc.assert(fc.property(amount, (nano) => nanoUsd(formatUsd(nano)) === nano && parseUsd(formatUsd(nano), "amount") === nano));
  });

  test("is written so that people read it, with every digit", () => {
    expect(["1234567.5", "0.0000312", "-0.0000125", "0.00", "12"].map((text) => exactUsd(nanoUsd(text)))).toEqual([
      "$1,234,567.50",
      "$0.0000312",
      "−$0.0000125",
      "$0.00",
      "$12.00",
    ]);
    fc.assert(fc.property(amount, (nano) => nanoUsd(exactUsd(nano).replace(/[$,]/g, "").replace("−", "-")) === nano));
  });

  test("that is none is not shown as some", () => {
    for (const text of ["", "1e3", "NaN", "1.0000000001", "<b>"]) expect(() => nanoUsd(text)).toThrow(RangeError);
  });

  test("a share is between nothing and all", () => {
    fc.assert(
      fc.property(amount, amount, (part, whole) => {
        const share = shareOf(part, whole);
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("sums", () => {
  test("of groups, and of days, come to the whole", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 60 }), fc.constantFrom("money" as const, "tokens" as const), (rows, measure) => {
        const all = sumOfRows(rows);
        const sums = sumsBy(rows, "model");
        expect(sums.reduce((sum, group) => sum + group.amount, 0n)).toBe(all.amount);
        const columns = dayColumns(rows, colouredGroups(sums), "model", measure, NOVEMBER);
        const whole = measure === "money" ? all.amount : BigInt(all.promptTokens + all.completionTokens + all.trainedTokens);
        expect(columns.reduce((sum, column) => sum + column.total, 0n)).toBe(whole);
      }),
    );
  });

  test("stand with the dearest first, and beyond six colours the rest are one", () => {
    const of = (model: string, usd: string) => ({
      ...{ day: "2026-11-02", model, requests: 1, prompt_tokens: 1, cached_tokens: 0, completion_tokens: 0, trained_tokens: 0 },
      amount_usd: usd,
    });
    const rows = ["a", "b", "c", "d", "e", "f", "g"].map((model, index) => of(model, `0.00000000${index + 1}`));
    const groups = colouredGroups(sumsBy(rows, "model"));
    expect(groups).toEqual(["g", "f", "e", "d", "c", "all others"]);
    const columns = dayColumns(rows, groups, "model", "money", NOVEMBER);
    expect(columns).toHaveLength(30);
    expect(columns[1]).toEqual({ day: "2026-11-02", parts: [7n, 6n, 5n, 4n, 3n, 3n], total: 28n });
  });
});
