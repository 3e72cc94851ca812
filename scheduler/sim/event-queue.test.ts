import fc from "fast-check";
import { expect, it } from "vitest";
import { EventQueue } from "./event-queue.ts";

it("gives events by time, those of one time in the order they came", () => {
  const times = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3000 });
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 5 }), (atMs, popEvery) => {
      const queue = new EventQueue();
      const waiting: { atMs: number; order: number }[] = [];
      const popBoth = () => {
        waiting.sort((one, other) => one.atMs - other.atMs || one.order - other.order);
        const expected = waiting.shift();
        expect(queue.pop()).toBe(expected !== undefined);
        if (expected) expect([queue.atMs, queue.subject, queue.kind, queue.node]).toEqual([expected.atMs, expected.order, 3, 4]);
      };
      for (const [order, at] of atMs.entries()) {
        queue.push(at, 3, 4, order);
        waiting.push({ atMs: at, order });
        if (order % popEvery === 0) popBoth();
      }
      while (waiting.length > 0) popBoth();
      popBoth();
      expect(queue.nextAtMs).toBe(Number.POSITIVE_INFINITY);
    }),
    { numRuns: 20 },
  );
});
