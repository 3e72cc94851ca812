import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Claim, foldClaims, mergeUsage, NO_USAGE, type Usage } from "./claim.ts";
import { asBaseDigest, asRequestId, asTenantId } from "./ids.ts";

const count = fc.integer({ min: 0, max: 1_000_000 });
const usage: fc.Arbitrary<Usage> = fc.record(
  { promptTokens: count, cachedTokens: count, completionTokens: count, trainedTokens: fc.integer({ min: 1, max: 1_000_000 }) },
  { requiredKeys: ["promptTokens", "cachedTokens", "completionTokens"] },
);

describe("merging usage", () => {
  it("is commutative, associative and idempotent, and never lowers anything", () => {
    fc.assert(
      fc.property(usage, usage, usage, (a, b, c) => {
        expect(mergeUsage(a, b)).toEqual(mergeUsage(b, a));
        expect(mergeUsage(mergeUsage(a, b), c)).toEqual(mergeUsage(a, mergeUsage(b, c)));
        expect(mergeUsage(a, a)).toEqual(a);
        expect(mergeUsage(a, NO_USAGE)).toEqual(a);
        const merged = mergeUsage(a, b);
        for (const field of Object.keys(a) as (keyof Usage)[])
          expect(merged[field]).toBeGreaterThanOrEqual(Math.max(a[field] ?? 0, b[field] ?? 0));
      }),
    );
  });
});

describe("folding claims", () => {
  it("tells each attempt once, with its largest counts and its last outcome, whatever the order", () => {
    const claim = (requestId: string, attempt: number, completionTokens: number, outcome: Claim["outcome"]): Claim => ({
      requestId: asRequestId(requestId),
      attempt,
      tenantId: asTenantId("acme"),
      baseDigest: asBaseDigest("base"),
      baseName: "demo-base",
      priceVersion: 1,
      usage: { promptTokens: 3, cachedTokens: 0, completionTokens },
      outcome,
      admittedAt: 0,
    });
    const claims = [claim("a", 1, 16, "running"), claim("b", 1, 2, "running"), claim("a", 1, 8, "completed"), claim("a", 2, 20, "failed")];
    expect(foldClaims(claims)).toEqual([claim("a", 1, 16, "completed"), claim("b", 1, 2, "running"), claim("a", 2, 20, "failed")]);
  });
});
