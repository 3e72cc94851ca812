import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFault, seededRandom } from "#kernel";
import type { Sampling } from "../contract.ts";
import { naiveDistribution, naivePick } from "../testing/naive-sampler.ts";
import { GREEDY } from "../testing/sequence-spec.ts";
import { Sampler } from "./sampler.ts";
import { needsHistory, TokenHistory } from "./token-history.ts";

const SEED = 20_260_101; // fast-check prints it, with the path, when a property fails.
const property = { seed: SEED, numRuns: 300 };

/** Coarse values, so that ties happen; sizes around the block borders. */
const logitsOf = fc.integer({ min: 1, max: 200 }).chain((size) =>
  fc.array(
    fc.integer({ min: -40, max: 40 }).map((value) => value / 4),
    { minLength: size, maxLength: size },
  ),
);

const truncationOf = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 2),
  topK: fc.integer({ min: 0, max: 60 }),
  topP: fc.constantFrom(1, 0.97, 0.5, 0.013),
  minP: fc.constantFrom(0, 0.001, 0.21),
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

describe("the sampler agrees with its twin that sorts everything", () => {
  test("under every truncation", () => {
    fc.assert(
      fc.property(logitsOf, truncationOf, fc.nat(1000), (logits, truncation, position) => {
        const sampling: Sampling = { ...GREEDY, ...truncation };
        const twin = naiveDistribution(logits, sampling);
        const picked = new Sampler(logits.length).pick(Float32Array.from(logits), sampling, undefined, position);
        expect(picked).toBe(naivePick(twin, sampling, position));
      }),
      property,
    );
  });

  test("with bias and penalties, and leaves the logits as they were", () => {
    const tokens = fc.array(fc.nat(49), { maxLength: 20 });
    const penalties = fc.record({
      repetitionPenalty: fc.constantFrom(1, 1.3, 0.7),
      presencePenalty: fc.constantFrom(0, 0.5, -1),
      frequencyPenalty: fc.constantFrom(0, 0.25, -0.5),
      logitBias: fc.array(fc.tuple(fc.nat(49), fc.integer({ min: -100, max: 100 })), { maxLength: 5 }).map((pairs) => new Map(pairs)),
    });
    const logits50 = fc.array(
      fc.integer({ min: -40, max: 40 }).map((value) => value / 4),
      { minLength: 50, maxLength: 50 },
    );
    fc.assert(
      fc.property(logits50, penalties, tokens, tokens, (logits, chosen, prompt, output) => {
        const sampling: Sampling = { ...GREEDY, ...chosen };
        const history = needsHistory(sampling) ? new TokenHistory(prompt, output) : undefined;
        const given = Float32Array.from(logits);
        const picked = new Sampler(50).pick(given, sampling, history, 0);
        expect(picked).toBe(naiveDistribution(logits, sampling, prompt, output)[0]!.id);
        expect([...given]).toEqual(logits);
      }),
      property,
    );
  });
});

test("where truncation leaves thousands, those thousands are left", () => {
  const logits = Array.from({ length: 5000 }, (_, id) => Math.fround(Math.sin(id * 7) / 2));
  for (const truncation of [
    { topP: 0.9 },
    { minP: 0.4 },
    { topK: 3000 },
    { topK: 3000, topP: 0.5, minP: 0.2 },
    { minP: 0.3, topP: 0.05 },
  ]) {
    const sampling: Sampling = { ...GREEDY, temperature: 1, ...truncation };
    const left = naiveDistribution(logits, sampling);
    const sampler = new Sampler(5000);
    for (let position = 0; position < 100; position++) {
      expect(sampler.pick(Float32Array.from(logits), sampling, undefined, position)).toBe(naivePick(left, sampling, position));
    }
  }
});

test("greedy takes the largest logit, of equal ones the lowest id", () => {
  const logits = new Float32Array(500).fill(-3);
  for (const id of [130, 131, 400]) logits[id] = 2;
  expect(new Sampler(500).pick(logits, GREEDY, undefined, 0)).toBe(130);
});

/** Pearson's statistic of `draws` positions against the exact softmax, over tokens expected often enough. */
function chiSquare(logits: Float32Array, sampling: Sampling, draws: number): { readonly statistic: number; readonly freedom: number } {
  const exact = naiveDistribution([...logits], sampling);
  const total = exact.reduce((sum, { weight }) => sum + weight, 0);
  const seen = new Map<number, number>();
  const sampler = new Sampler(logits.length);
  for (let position = 0; position < draws; position++) {
    const id = sampler.pick(logits, sampling, undefined, position);
    seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  const cells = exact.map(({ id, weight }) => ({ expected: (weight / total) * draws, observed: seen.get(id) ?? 0 }));
  const large = cells.filter(({ expected }) => expected >= 5);
  const rest = cells.filter(({ expected }) => expected < 5);
  const sum = (field: "expected" | "observed") => rest.reduce((total, cell) => total + cell[field], 0);
  const all = sum("expected") >= 5 ? [...large, { expected: sum("expected"), observed: sum("observed") }] : large;
  return {
    statistic: all.reduce((total, { expected, observed }) => total + (observed - expected) ** 2 / expected, 0),
    freedom: all.length - 1,
  };
}

describe("plain temperature draws from the softmax (fixed seed, 40,000 tokens)", () => {
  const shapes: Record<string, (id: number) => number> = {
    peaked: (id) => (id === 777 ? 9 : Math.sin(id) * 2),
    flat: (id) => Math.sin(id * 7) * 0.3,
    steep: (id) => -id / 9,
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, () => {
      const logits = Float32Array.from({ length: 1000 }, (_, id) => shape(id));
      const { statistic, freedom } = chiSquare(logits, { ...GREEDY, temperature: 0.9, seed: 42n }, 40_000);
      // Mean and deviation of chi-square are f and √2f: five deviations away would be a wrong distribution.
      expect(statistic).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
      expect(statistic).toBeGreaterThan(Math.max(0, freedom - 5 * Math.sqrt(2 * freedom)));
    });
  }
});

test("noise in the last digits of the logits, as another batch gives it, does not change a sampled text", () => {
  const size = 5000;
  const shake = seededRandom(SEED);
  const sampler = new Sampler(size);
  let changed = 0;
  for (let position = 0; position < 400; position++) {
    // Flat: the hardest case, since every token has many rivals.
    const logits = Float32Array.from({ length: size }, (_, id) => Math.sin(id * 7 + position) * 0.3);
    const shaken = logits.map((logit) => logit + (shake.float() - 0.5) * 5e-5);
    const warm: Sampling = { ...GREEDY, temperature: 1, seed: 3n };
    if (sampler.pick(logits, warm, undefined, position) !== sampler.pick(shaken, warm, undefined, position)) changed++;
  }
  expect(changed, "of 400 tokens; running sums change dozens").toBeLessThanOrEqual(1);
});

test("chance depends on seed and position, on nothing else", () => {
  const logits = Float32Array.from({ length: 1000 }, (_, id) => Math.cos(id));
  const warm: Sampling = { ...GREEDY, temperature: 1 };
  const used = new Sampler(1000);
  const text = (sampler: Sampler, seed: bigint) =>
    Array.from({ length: 50 }, (_, position) => sampler.pick(logits, { ...warm, seed }, undefined, position));
  const first = text(used, 7n);
  expect(text(used, 8n)).not.toEqual(first);
  expect(text(used, 7n)).toEqual(first);
  expect(text(new Sampler(1000), 7n)).toEqual(first);
  expect(new Set(first).size).toBeGreaterThan(20); // Positions draw differently.
});

test("log-probabilities are those of the whole softmax, alternatives in order", () => {
  const logits = Float32Array.from([1, 3, 2, 3, -1]);
  const normaliser = Math.log([...logits].reduce((sum, logit) => sum + Math.exp(logit), 0));
  const scored = new Sampler(5).score(logits, 2, 3);
  expect(scored.logprob).toBeCloseTo(2 - normaliser, 6);
  expect(scored.top.map(({ tokenId }) => tokenId)).toEqual([1, 3, 2]);
  expect(scored.top[0]!.logprob).toBeCloseTo(3 - normaliser, 6);
  expect(new Sampler(5).score(logits, 4, 20).top).toHaveLength(5);
});

test("tokens with a logit of minus infinity are never drawn", () => {
  const logits = new Float32Array(200).fill(Number.NEGATIVE_INFINITY);
  logits[150] = 1;
  logits[3] = 0;
  const sampler = new Sampler(200);
  for (const truncation of [{}, { topK: 50 }, { topP: 0.999 }, { minP: 0.01 }]) {
    for (let position = 0; position < 100; position++) {
      expect([3, 150]).toContain(sampler.pick(logits, { ...GREEDY, temperature: 1, ...truncation }, undefined, position));
    }
  }
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("a logit of %s is a fault that names the token", (bad) => {
  const logits = new Float32Array(300);
  logits[299] = bad;
  try {
    new Sampler(300).pick(logits, GREEDY, undefined, 0);
    expect.unreachable();
  } catch (error) {
    expect(isFault(error, "bug") && error.message).toContain("token 299");
  }
});

test("no logit above minus infinity is a fault", () => {
  expect(() => new Sampler(2).pick(new Float32Array(2).fill(Number.NEGATIVE_INFINITY), GREEDY, undefined, 0)).toThrow("-Infinity");
});
