import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DemandBook, demandWeight } from "./index.ts";

describe("demand", () => {
  it("of a constant stream converges to its rate, and halves by its half-life when the stream ends", () => {
    const book = new DemandBook(30_000);
    for (let atMs = 0; atMs < 600_000; atMs += 100) book.observe(3, 10, atMs);
    expect(book.ratePerSecond(3, 600_000)).toBeCloseTo(100, -0.5);
    expect(book.ratePerSecond(3, 630_000)).toBeCloseTo(book.ratePerSecond(3, 600_000) / 2, 6);
  });

  it("counts tokens, and more of them for a larger rank", () => {
    expect(demandWeight(100, 0)).toBe(100);
    expect(demandWeight(100, 64)).toBeGreaterThan(demandWeight(100, 8));
    expect(demandWeight(200, 8)).toBe(2 * demandWeight(100, 8));
  });

  it("grows with every observation, and never by itself", () => {
    const events = fc.array(fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 1000 })), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(events, (gaps) => {
        const book = new DemandBook();
        let nowMs = 0;
        for (const [gapMs, weight] of gaps) {
          const before = book.ratePerSecond(7, nowMs);
          nowMs += gapMs;
          const rested = book.ratePerSecond(7, nowMs);
          expect(rested).toBeLessThanOrEqual(before);
          book.observe(7, weight, nowMs);
          expect(book.ratePerSecond(7, nowMs)).toBeGreaterThan(rested);
        }
      }),
    );
  });

  it("moves from a version to the next", () => {
    const book = new DemandBook();
    book.observe(1, 500, 0);
    const rate = book.ratePerSecond(1, 1000);
    book.inherit(2000, 1, 1000);
    expect([book.ratePerSecond(1, 1000), book.ratePerSecond(2000, 1000)]).toEqual([0, rate]);
  });

  it("of what was never asked for is nothing", () => {
    expect(new DemandBook().ratePerSecond(12, 5)).toBe(0);
  });
});
