import { describe, expect, it } from "vitest";
import { mix64, seededRandom } from "./random.ts";

describe("a seeded random", () => {
  it("repeats itself for the same seed, on every machine", () => {
    const random = seededRandom(1234567);
    // The published first outputs of SplitMix64 for this seed.
    expect([random.bits(), random.bits(), random.bits()]).toEqual([6457827717110365317n, 3203168211198807973n, 9817491932198370423n]);
    expect(mix64(1234567n)).toBe(6457827717110365317n);
  });

  it("draws uniformly within its bounds", () => {
    const random = seededRandom(7);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 10_000; draw++) counts[random.below(10)]!++;
    for (const drawn of counts) expect(Math.abs(drawn - 1000)).toBeLessThan(150); // Five standard deviations.
    for (let draw = 0; draw < 1000; draw++) {
      const value = random.float();
      expect(value >= 0 && value < 1).toBe(true);
    }
  });

  it("forks into generators of their own", () => {
    const forks = ["a", "b", "a"].map((label) => seededRandom(1).fork(label).bits());
    expect(forks[0]).toBe(forks[2]);
    expect(forks[0]).not.toBe(forks[1]);
  });
});
