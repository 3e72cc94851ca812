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

  it("is urgent in a burst, long before the usual rate tells, and only then", () => {
    const book = new DemandBook();
    for (let atMs = 0; atMs < 1000; atMs += 50) book.observe(1, 100, atMs);
    expect(book.ratePerSecond(1, 1000)).toBeLessThan(50);
    expect(book.urgentRatePerSecond(1, 1000)).toBeGreaterThan(180);
    expect(book.urgentRatePerSecond(1, 10_000)).toBe(book.ratePerSecond(1, 10_000));
  });

  it("is never less urgent than usual, nor for having been asked more", () => {
    const observation = fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(
        fc.array(observation, { minLength: 1, maxLength: 20 }),
        fc.nat(),
        fc.integer({ min: 0, max: 40_000 }),
        (all, left, laterMs) => {
          const inOrder = [...all].sort((one, other) => one[0] - other[0]);
          const bookOf = (observations: readonly (readonly [number, number])[]) => {
            const book = new DemandBook();
            for (const [atMs, weight] of observations) book.observe(1, weight, atMs);
            return book;
          };
          const nowMs = 20_000 + laterMs;
          const [more, less] = [bookOf(inOrder), bookOf(inOrder.toSpliced(left % inOrder.length, 1))];
          expect(more.urgentRatePerSecond(1, nowMs)).toBeGreaterThanOrEqual(more.ratePerSecond(1, nowMs));
          expect(more.urgentRatePerSecond(1, nowMs) * (1 + 1e-9)).toBeGreaterThanOrEqual(less.urgentRatePerSecond(1, nowMs));
        },
      ),
    );
  });

  it("of what was never asked for is nothing", () => {
    expect(new DemandBook().ratePerSecond(12, 5)).toBe(0);
  });
});
