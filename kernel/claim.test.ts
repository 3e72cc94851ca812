import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeUsage, NO_USAGE, type Usage } from "./claim.ts";

const count = fc.integer({ min: 0, max: 1_000_000 });
const usage: fc.Arbitrary<Usage> = fc.record({ promptTokens: count, cachedTokens: count, completionTokens: count });

describe("merging usage", () => {
  it("is commutative, associative and idempotent, and never lowers anything", () => {
    fc.assert(
      fc.property(usage, usage, usage, (a, b, c) => {
        expect(mergeUsage(a, b)).toEqual(mergeUsage(b, a));
        expect(mergeUsage(mergeUsage(a, b), c)).toEqual(mergeUsage(a, mergeUsage(b, c)));
        expect(mergeUsage(a, a)).toEqual(a);
        expect(mergeUsage(a, NO_USAGE)).toEqual(a);
        const merged = mergeUsage(a, b);
        for (const field of Object.keys(a) as (keyof Usage)[]) expect(merged[field]).toBeGreaterThanOrEqual(Math.max(a[field], b[field]));
      }),
    );
  });
});
