import { describe, expect, test } from "vitest";
import { quantile } from "../../bench/statistics.ts";
import { type Asker, shareEngine } from "./shared-engine.ts";

const SEED = 3;
const SECONDS = 100;
/** Of texts a second, what the engine does. */
const PEAK = 12;

const lightOnes = (ratePerSecond: number): readonly Asker[] =>
  Array.from({ length: 9 }, (_, index) => ({ tenant: `light-${index}`, ratePerSecond }));
const hot = (ratePerSecond: number): Asker => ({ tenant: "hot", ratePerSecond });

describe("one hot tenant beside nine light ones, with a router's queue and an engine as they are, on a virtual clock", () => {
  test("at a hundred times their rate costs them at most half of their time to first token on top, and has all that they leave", async () => {
    const light = lightOnes(0.02 * PEAK);
    const timesOf = async (askers: readonly Asker[]) => {
      const seen = await shareEngine(askers, SECONDS, SEED);
      const times = light.flatMap(({ tenant }) => seen.get(tenant)!.firstTokenMs);
      return { times, hotTexts: seen.get("hot")?.texts };
    };
    const solo = await timesOf(light);
    const beside = await timesOf([...light, hot(2 * PEAK)]);
    expect(beside.times.length).toBeGreaterThan(0.98 * solo.times.length);
    expect(quantile(beside.times, 0.99)).toBeLessThanOrEqual(1.5 * quantile(solo.times, 0.99));
    expect(beside.hotTexts! / SECONDS).toBeGreaterThanOrEqual(0.95 * 0.82 * PEAK);
  });

  test("gets its share also when they are always there", async () => {
    const seen = await shareEngine([...lightOnes(0.2 * PEAK), hot(2 * PEAK)], 40, SEED);
    const texts = [...seen.values()].map((each) => each.texts);
    expect(Math.min(...texts)).toBeGreaterThanOrEqual(0.9 * (texts.reduce((sum, count) => sum + count, 0) / texts.length));
  });
});
