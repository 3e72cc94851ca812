import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Bucket, drawn, forgottenInMs, fullInMs, fullLevel, hasRoom, type Level, left, levelAt, roomInMs } from "./bucket.ts";

const buckets = fc.record({ limit: fc.integer({ min: 1, max: 10_000_000 }), windowMs: fc.integer({ min: 1, max: 86_400_000 }) });

/** A bucket, and a level that some draws, refills and corrections led to. */
const states = fc
  .tuple(buckets, fc.array(fc.tuple(fc.double({ min: -0.5, max: 2, noNaN: true }), fc.integer({ min: 0, max: 200_000 })), { maxLength: 6 }))
  .map(([bucket, steps]) => {
    let level = fullLevel(bucket, 0);
    for (const [share, waitMs] of steps) {
      level = drawn(bucket, levelAt(bucket, level, level.at + waitMs), Math.round(share * bucket.limit));
    }
    return { bucket, level };
  });

describe("a bucket", () => {
  const bucket: Bucket = { limit: 10, windowMs: 1000 };

  it("refills by its limit in a window, to the limit and no further", () => {
    const empty: Level = { tokens: 0, at: 0 };
    expect(levelAt(bucket, empty, 250)).toEqual({ tokens: 2.5, at: 250 });
    expect(levelAt(bucket, empty, 1000)).toEqual({ tokens: 10, at: 1000 });
    expect(levelAt(bucket, empty, 5000)).toEqual({ tokens: 10, at: 5000 });
    expect(left(levelAt(bucket, empty, 250))).toBe(2);
  });

  it("gets nothing from a clock that goes back, and refills from there on", () => {
    const back = levelAt(bucket, { tokens: 3, at: 5000 }, 1000);
    expect(back).toEqual({ tokens: 3, at: 1000 });
    expect(levelAt(bucket, back, 1100)).toEqual({ tokens: 4, at: 1100 });
  });

  it("that holds nothing never has room, and is full", () => {
    const nothing: Bucket = { limit: 0, windowMs: 1000 };
    const level = levelAt(nothing, fullLevel(nothing, 0), 5000);
    expect(hasRoom(level, 1)).toBe(false);
    expect(roomInMs(nothing, level, 1)).toBeUndefined();
    expect(fullInMs(nothing, level)).toBe(0);
  });

  it("is never above its limit, whatever is given back", () => {
    fc.assert(fc.property(states, ({ bucket, level }) => level.tokens <= bucket.limit));
  });

  it("has room when it said so, to the millisecond that rounding may cost", () => {
    fc.assert(
      fc.property(states, fc.double({ min: 0, max: 1, noNaN: true }), ({ bucket, level }, share) => {
        const amount = Math.round(share * bucket.limit);
        fc.pre(!hasRoom(level, amount));
        const waitMs = roomInMs(bucket, level, amount);
        expect(waitMs).toBeGreaterThan(0);
        expect(hasRoom(levelAt(bucket, level, level.at + waitMs! - 2), amount)).toBe(false);
        expect(hasRoom(levelAt(bucket, level, level.at + waitMs! + 1), amount)).toBe(true);
      }),
    );
  });

  it("is exactly full when it may be forgotten, also under a limit that was raised", () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 1, max: 10 }), ({ bucket, level }, times) => {
        const later = level.at + forgottenInMs(bucket, level);
        const raised = { ...bucket, limit: bucket.limit * times };
        expect(levelAt(bucket, level, later)).toEqual(fullLevel(bucket, later));
        expect(levelAt(raised, level, later)).toEqual(fullLevel(raised, later));
      }),
    );
  });
});
