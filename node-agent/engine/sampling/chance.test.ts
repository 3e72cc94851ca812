import { expect, test } from "vitest";
import { Chance, gumbel, leastBitsAbove, NOISE_MAX } from "./chance.ts";

function bits(seed: bigint, position: number, ids: readonly number[]): number[] {
  const chance = new Chance();
  chance.start(seed, position);
  return ids.map((id) => chance.bits(id));
}

test("the chance of a seed and a position is fixed for ever: a text may be continued by another version of this node", () => {
  expect(bits(1n, 0, [0, 1, 50_256])).toEqual([798614970, 3418686131, 2280705116]);
  expect(bits(2n ** 64n - 1n, 1000, [0, 1, 50_256])).toEqual([1196551908, 2038303754, 2216565697]);
});

test("bits are uniform over ids, over positions and over seeds, and so are their low bits (fixed seeds)", () => {
  const range = Array.from({ length: 20_000 }, (_, index) => index);
  const samples = {
    ids: bits(9n, 0, range),
    positions: range.map((position) => bits(9n, position, [7])[0]!),
    seeds: range.map((seed) => bits(BigInt(seed), 3, [7])[0]!),
  };
  for (const [name, values] of Object.entries(samples)) {
    for (const cell of [(value: number) => Math.floor((value / 2 ** 32) * 20), (value: number) => value % 20]) {
      const cells = new Array<number>(20).fill(0);
      for (const value of values) cells[cell(value)]!++;
      const statistic = cells.reduce((sum, observed) => sum + (observed - 1000) ** 2 / 1000, 0);
      // Mean and five deviations of chi-square with 19 degrees of freedom.
      expect(statistic, name).toBeLessThan(19 + 5 * Math.sqrt(38));
    }
  }
});

test("the threshold on bits dismisses nobody whose noise exceeds it", () => {
  for (let noise = -3; noise < NOISE_MAX; noise += 0.37) {
    const least = leastBitsAbove(noise);
    expect(gumbel(least + 1)).toBeGreaterThanOrEqual(noise - 1e-9);
    if (least > 1) expect(gumbel(least - 1)).toBeLessThanOrEqual(noise + 1e-9);
  }
});
