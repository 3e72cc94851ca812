import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cellName } from "../../cli/sweep/cells.ts";
import { planSweep, shuffled } from "../../console/src/views/fine-tunes/sweep-plan.ts";

/** A sweep that the console starts is one that the command line would know: same parts, same names. */

const whole = { base: "demo-base", records: 100, holdsOut: true } as const;

describe("a sweep's plan", () => {
  test("holds a fifth out and takes an eighth, a quarter, a half and all of the rest", () => {
    const plan = planSweep({}, whole);
    expect(plan).toMatchObject({ heldOut: 20, cells: [10, 20, 40, 80].map((examples) => ({ examples, values: {} })) });
    expect(planSweep({}, { ...whole, holdsOut: false })).toMatchObject({
      heldOut: 0,
      cells: [12, 25, 50, 100].map((examples) => ({ examples })),
    });
  });

  test("has every combination once, small sizes first, under the command line's names", () => {
    const plan = planSweep({ sizes: "20 10, 10", rank: "4,8", learning_rate_multiplier: "0.5" }, whole);
    const expected = [10, 20].flatMap((examples) =>
      [4, 8].map((rank) => cellName({ examples, base: "demo-base", epochs: undefined, learningRateMultiplier: 0.5, rank })),
    );
    expect("cells" in plan && plan.cells.map(({ name }) => name)).toEqual(expected);
  });

  test.each([
    [{ sizes: "81" }, "sizes"],
    [{ sizes: "2.5" }, "sizes"],
    [{ rank: "four" }, "rank"],
    [{ n_epochs: "1,2,3,4" }, "sizes"], // Sixteen trainings are too many.
  ] as const)("names the field at fault: %o", (texts, field) => {
    expect(planSweep(texts, whole)).toMatchObject({ field });
  });

  test("orders records by the seed alone, each once", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.nat(60), (seed, count) => {
        const records = Array.from({ length: count }, (_, index) => index);
        expect(shuffled(records, seed)).toEqual(shuffled(records, seed));
        expect(shuffled(records, seed).toSorted((one, other) => one - other)).toEqual(records);
      }),
    );
    const hundred = Array.from({ length: 100 }, (_, index) => index);
    expect(shuffled(hundred, 1)).not.toEqual(shuffled(hundred, 2));
  });
});
