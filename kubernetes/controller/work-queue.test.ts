import { describe, expect, it } from "vitest";
import { VirtualClock } from "#kernel";
import { WorkQueue } from "./work-queue.ts";

/** A queue whose takes are written down as they happen. */
function watched() {
  const clock = new VirtualClock();
  const queue = new WorkQueue(clock);
  const stop = new AbortController();
  const taken: string[] = [];
  const take = () => queue.take(stop.signal).then((key) => taken.push(key));
  return { clock, queue, stop, taken, take };
}

describe("a work queue", () => {
  it("gives each key once, however often it was added, when it is due", async () => {
    const { clock, queue, taken, take } = watched();
    queue.add("later", 100);
    queue.add("now");
    queue.add("now");
    queue.add("later", 500);
    void take();
    void take();
    await clock.advance(99);
    expect(taken).toEqual(["now"]);
    await clock.advance(1);
    expect(taken).toEqual(["now", "later"]);
    expect(queue.depth).toBe(0);
  });

  it("brings a key forward that is wanted sooner", async () => {
    const { clock, queue, taken, take } = watched();
    queue.add("key", 1000);
    void take();
    await clock.advance(10);
    queue.add("key");
    await clock.advance(0);
    expect(taken).toEqual(["key"]);
  });

  it("never gives a key to two workers, and gives it again when it was added meanwhile", async () => {
    const { clock, queue, taken, take } = watched();
    queue.add("key");
    void take();
    await clock.advance(0);
    queue.add("key");
    void take();
    await clock.advance(1000);
    expect(taken).toEqual(["key"]);
    queue.done("key");
    await clock.advance(0);
    expect(taken).toEqual(["key", "key"]);
  });

  it("lets its workers go with the signal's reason", async () => {
    const { queue, stop } = watched();
    const waiting = queue.take(stop.signal);
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });
});
