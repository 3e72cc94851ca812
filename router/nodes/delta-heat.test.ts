import { expect, test } from "vitest";
import { asDeltaDigest, MINUTE, sha256Hex } from "#kernel";
import { DeltaHeat } from "./delta-heat.ts";

const tax = asDeltaDigest(sha256Hex("tax"));
const request = (tokens: number, outcome: "completed" | "running" = "completed") => ({
  ...{ deltaDigest: tax, outcome, usage: { promptTokens: 0, cachedTokens: 0, completionTokens: tokens } },
});

function heatAt() {
  let now = 0;
  const heat = new DeltaHeat({ monotonic: () => now });
  const pass = (ms: number) => {
    now += ms;
  };
  return { heat, pass };
}

test("a steady stream is as hot as its tokens per second", () => {
  const { heat, pass } = heatAt();
  for (let second = 0; second < 20 * 60; second++) {
    heat.observe(request(50));
    pass(1_000);
  }
  expect(heat.perSecond(tax)).toBeGreaterThan(48);
  expect(heat.perSecond(tax)).toBeLessThan(52);
});

test("half of it is gone after a minute, and all of it some time later", () => {
  const { heat, pass } = heatAt();
  heat.observe(request(1_000));
  const first = heat.perSecond(tax);
  pass(MINUTE);
  expect(heat.perSecond(tax)).toBeCloseTo(first / 2, 9);
  pass(60 * MINUTE);
  expect(heat.perSecond(tax)).toBe(0);
});

test("a request counts once, when it has ended; the plain base has no heat", () => {
  const { heat } = heatAt();
  heat.observe(request(10, "running"));
  expect(heat.perSecond(tax)).toBe(0);
  heat.observe({ outcome: "completed", usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 } });
  heat.observe(request(10));
  expect(heat.perSecond(tax)).toBeGreaterThan(0);
});
