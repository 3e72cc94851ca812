import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BoundedQueue } from "./bounded-queue.ts";

async function collect<T>(queue: BoundedQueue<T>): Promise<T[]> {
  return Array.fromAsync(queue);
}

describe("a bounded queue", () => {
  it("gives back what it took, in order, and never holds more than its bound", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.boolean()), fc.integer({ min: 1, max: 4 }), async (acts, depthMax) => {
        const queue = new BoundedQueue<number>(depthMax);
        const reader = queue[Symbol.asyncIterator]();
        const taken: number[] = [];
        const read: number[] = [];
        for (const [index, write] of acts.entries()) {
          if (write) {
            const room = queue.depth < depthMax;
            expect(queue.offer(index)).toBe(room);
            if (room) taken.push(index);
          } else if (queue.depth > 0) read.push((await reader.next()).value as number);
        }
        queue.finish();
        for (let next = await reader.next(); !next.done; next = await reader.next()) read.push(next.value);
        expect(read).toEqual(taken);
      }),
    ));

  it("wakes a consumer that waits", async () => {
    const queue = new BoundedQueue<string>(1);
    const reading = collect(queue);
    await Promise.resolve();
    expect(queue.offer("one")).toBe(true);
    await Promise.resolve();
    queue.finish();
    expect(await reading).toEqual(["one"]);
  });

  it("hands over what is queued before it tells of the failure, and takes nothing after", async () => {
    const queue = new BoundedQueue<string>(2);
    queue.offer("one");
    queue.fail(new Error("broken"));
    queue.finish();
    expect(queue.offer("two")).toBe(false);
    expect(queue.ended).toBe(true);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const item of queue) seen.push(item);
    })();
    await expect(reading).rejects.toThrow("broken");
    expect(seen).toEqual(["one"]);
  });
});
