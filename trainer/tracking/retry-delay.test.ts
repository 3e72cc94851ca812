import { expect, test } from "vitest";
import { Fault, seededRandom } from "#kernel";
import { retryDelayMs } from "./retry-delay.ts";

const random = seededRandom(1);
const down = new Fault("tracker_unreachable", "down");

test("waits double from two seconds to a minute, each up to a quarter longer", () => {
  for (const [failures, atLeast] of [
    [1, 2000],
    [2, 4000],
    [3, 8000],
    [6, 60_000],
    [1000, 60_000],
  ] as const) {
    const waitMs = retryDelayMs(down, failures, random)!;
    expect(waitMs).toBeGreaterThanOrEqual(atLeast);
    expect(waitMs).toBeLessThanOrEqual(atLeast * 1.25);
  }
});

test("a service that says how long is believed, up to a quarter of an hour", () => {
  const after = (waitMs: number) => new Fault("tracker_unreachable", "later", { retry: { kind: "after", waitMs } });
  expect(retryDelayMs(after(30_000), 1, random)).toBe(30_000);
  expect(retryDelayMs(after(86_400_000), 1, random)).toBe(900_000);
});

test("a refusal is not tried again", () => {
  expect(retryDelayMs(new Fault("tracker_refused", "no"), 1, random)).toBeUndefined();
});
