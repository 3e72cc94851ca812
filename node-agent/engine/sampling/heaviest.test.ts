import fc from "fast-check";
import { expect, test } from "vitest";
import { selectHeaviest } from "./heaviest.ts";

const SEED = 20_260_103; // fast-check prints it, with the path, when a property fails.

test("the heaviest, as a sort would find them", () => {
  // Small integers: ties are common, and sums exact in any order.
  const weightsOf = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(weightsOf, fc.integer({ min: 1, max: 320 }), fc.nat(4000), (weights, countMax, sumMax) => {
      const sorted = [...weights.keys()].sort((one, other) => weights[other]! - weights[one]! || one - other);
      let expected = 0;
      for (let sum = 0; expected < Math.min(countMax, sorted.length) && sum < sumMax; expected++) sum += weights[sorted[expected]!]!;
      const ids = Int32Array.from(weights.keys());
      const count = selectHeaviest(ids, Float64Array.from(weights), countMax, sumMax);
      expect(count).toBe(expected);
      expect([...ids.subarray(0, count)].sort((one, other) => one - other)).toEqual(
        sorted.slice(0, count).sort((one, other) => one - other),
      );
      expect([...ids].sort((one, other) => one - other)).toEqual([...weights.keys()]);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
