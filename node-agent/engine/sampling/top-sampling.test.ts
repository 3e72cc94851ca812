import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFault } from "#kernel";
import { TOP_LOGITS } from "#model";
import type { Sampling } from "../contract.ts";
import { largestLogits } from "../testing/largest-logits.ts";
import { GREEDY } from "../testing/sequence-spec.ts";
import { Sampler } from "./sampler.ts";
import { asksForTop, TopSampler } from "./top-sampling.ts";

const SEED = 20_261_123; // fast-check prints it, with the path, when a property fails.
const property = { seed: SEED, numRuns: 1000 };

/** From flat to steep, coarse enough for ties or fine; sizes from below the number of candidates to many times it. */
const logitsOf = fc
  .record({
    size: fc.integer({ min: 1, max: 700 }),
    slope: fc.constantFrom(0.1, 1, 4, 40),
    step: fc.constantFrom(0.25, 0.001),
    seed: fc.nat(),
  })
  .map(({ size, slope, step, seed }) => {
    let state = (seed % 2_147_483_646) + 1;
    const next = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    return Float32Array.from({ length: size }, () => Math.round((slope * Math.log(next())) / step) * step);
  });

const samplingOf = fc
  .record({
    temperature: fc.constantFrom(0, 0.2, 0.7, 1, 1.3, 3),
    topK: fc.constantFrom(0, 1, 5, 50, TOP_LOGITS, TOP_LOGITS + 1, 200, 1000),
    topP: fc.constantFrom(1, 0.99, 0.9, 0.5, 0.01),
    minP: fc.constantFrom(0, 0.001, 0.1),
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  })
  .map((chosen): Sampling => ({ ...GREEDY, ...chosen }));

/** The error that a device's sum may have. */
const sumErrorOf = fc.constantFrom(-1e-5, 0, 1e-5);

describe("the largest logits", () => {
  test("tell the token that all logits tell, or nothing", () => {
    fc.assert(
      fc.property(logitsOf, samplingOf, fc.nat(1000), sumErrorOf, (logits, sampling, position, sumError) => {
        const picked = new TopSampler(logits.length).pick(largestLogits(logits, TOP_LOGITS, sumError), sampling, position);
        if (picked !== undefined) expect(picked).toBe(new Sampler(logits.length).pick(logits, sampling, undefined, position));
      }),
      property,
    );
  });

  test("tell it always for greedy, for a top-k among them, and for small vocabularies", () => {
    fc.assert(
      fc.property(logitsOf, samplingOf, fc.nat(1000), (logits, sampling, position) => {
        const within = sampling.temperature === 0 || (sampling.topK > 0 && sampling.topK <= TOP_LOGITS) || logits.length <= TOP_LOGITS;
        fc.pre(within);
        expect(new TopSampler(logits.length).pick(largestLogits(logits, TOP_LOGITS), sampling, position)).toBeDefined();
      }),
      property,
    );
  });

  // By Zipf over 20,000 tokens; `least` of 200 positions are told.
  test.each([
    { what: "top-p 0.9 of a text's usual distribution", slope: 1.6, sampling: { temperature: 1, topP: 0.9 }, least: 190 },
    { what: "the same, colder", slope: 1.6, sampling: { temperature: 0.7, topP: 0.9 }, least: 195 },
    { what: "a steeper one, hotter", slope: 3, sampling: { temperature: 1.2, topP: 0.8 }, least: 190 },
    { what: "min-p 0.05", slope: 1.6, sampling: { temperature: 1, minP: 0.05 }, least: 200 },
    { what: "a flat distribution", slope: 0.1, sampling: { temperature: 1, topP: 0.9 }, least: 0 },
  ])("tell it nearly always where they hold what truncation leaves: $what", ({ slope, sampling, least }) => {
    const size = 20_000;
    const logits = Float32Array.from({ length: size }, (_, rank) => -slope * Math.log(rank + 1));
    const top = largestLogits(logits, TOP_LOGITS);
    const [sampler, dense] = [new TopSampler(size), new Sampler(size)];
    const chosen: Sampling = { ...GREEDY, ...sampling };
    const told = Array.from({ length: 200 }, (_, position) => sampler.pick(top, chosen, position));
    for (const [position, token] of told.entries()) {
      if (token !== undefined) expect(token).toBe(dense.pick(logits, chosen, undefined, position));
    }
    expect(told.filter((token) => token !== undefined).length).toBeGreaterThanOrEqual(least);
    if (least === 0) expect(told).toContain(undefined);
  });

  test("give the log-probabilities that all logits give", () => {
    fc.assert(
      fc.property(logitsOf, fc.nat(20), fc.nat(TOP_LOGITS - 1), (logits, topCount, place) => {
        const top = largestLogits(logits, TOP_LOGITS);
        const tokenId = top.ids[place % top.ids.length]!;
        const own = new TopSampler(logits.length).score(top, tokenId, topCount);
        const all = new Sampler(logits.length).score(logits, tokenId, topCount);
        expect(own.tokenId).toBe(all.tokenId);
        expect(own.logprob).toBeCloseTo(all.logprob, 5);
        expect(own.top.map((entry) => entry.tokenId)).toEqual(all.top.map((entry) => entry.tokenId));
        for (const [index, entry] of own.top.entries()) expect(entry.logprob).toBeCloseTo(all.top[index]!.logprob, 5);
      }),
      { ...property, numRuns: 300 },
    );
  });

  test("that are not finite end the text", () => {
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const top = { ...largestLogits(Float32Array.of(1, 2, 3), TOP_LOGITS), logSumExp: broken };
      expect(() => new TopSampler(3).pick(top, GREEDY, 0)).toThrow(expect.toSatisfy((error) => isFault(error, "bug")));
    }
  });
});

test("who needs more than the largest does not ask for them", () => {
  expect(asksForTop(GREEDY)).toBe(true);
  expect(asksForTop({ ...GREEDY, topLogprobs: 20 })).toBe(true);
  expect(asksForTop({ ...GREEDY, temperature: 1, topK: TOP_LOGITS })).toBe(true);
  expect(asksForTop({ ...GREEDY, temperature: 1, topP: 0.9 })).toBe(true);
  expect(asksForTop({ ...GREEDY, temperature: 1 })).toBe(false);
  expect(asksForTop({ ...GREEDY, temperature: 1, topK: TOP_LOGITS + 1 })).toBe(false);
  expect(asksForTop({ ...GREEDY, topLogprobs: TOP_LOGITS + 1 })).toBe(false);
  expect(asksForTop({ ...GREEDY, logitBias: new Map([[3, 1]]) })).toBe(false);
  expect(asksForTop({ ...GREEDY, frequencyPenalty: 0.5 })).toBe(false);
});
