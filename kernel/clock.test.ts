import { describe, expect, it } from "vitest";
import { deadlineSignal, every } from "./clock.ts";
import { systemClock } from "./system.ts";
import { VirtualClock } from "./virtual-clock.ts";

describe("the virtual clock", () => {
  it("wakes in order of due time, then of arrival, and lets what follows run before it goes on", async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    const wait = async (name: string, waitMs: number) => {
      await clock.after(waitMs);
      log.push(`${name}@${clock.monotonic()}`);
      if (name === "b") await wait("after b", 5);
    };
    void wait("c", 20);
    void wait("b", 10);
    void wait("b2", 10);
    await clock.advance(100);
    expect(log).toEqual(["b@10", "b2@10", "after b@15", "c@20"]);
    expect([clock.monotonic(), clock.now() - Date.UTC(2026, 0, 1)]).toEqual([100, 100]);
  });

  it("rejects with the signal's own reason, before and while waiting", async () => {
    for (const clock of [new VirtualClock(), systemClock]) {
      const stop = new AbortController();
      const waiting = clock.after(10_000, stop.signal);
      const why = new Error("enough");
      stop.abort(why);
      await expect(waiting).rejects.toBe(why);
      await expect(clock.after(1, stop.signal)).rejects.toBe(why);
    }
  });
});

describe("every", () => {
  it("runs a task at each period, never two at once, until it is aborted", async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const starts: number[] = [];
    const running = every(clock, 10, stop.signal, async () => {
      starts.push(clock.monotonic());
      if (starts.length === 2) await clock.after(25); // A slow task delays the next.
    });
    await clock.advance(60);
    stop.abort();
    await running;
    expect(starts).toEqual([10, 20, 55]);
  });

  it("ends with the task's error", async () => {
    const clock = new VirtualClock();
    const running = expect(
      every(clock, 10, new AbortController().signal, () => {
        throw new Error("task");
      }),
    ).rejects.toThrow("task");
    await clock.advance(10);
    await running;
  });
});

describe("a deadline signal", () => {
  it("aborts with its reason in time, or with the parent's before", async () => {
    const clock = new VirtualClock();
    const parent = new AbortController();
    using deadline = deadlineSignal(clock, 50, () => "late", parent.signal);
    using other = deadlineSignal(clock, 50, () => "late");
    await clock.advance(49);
    expect(deadline.signal.aborted).toBe(false);
    parent.abort("parent");
    expect(deadline.signal.reason).toBe("parent");
    await clock.advance(1);
    expect(other.signal.reason).toBe("late");
  });

  it("does nothing once it is disposed", async () => {
    const clock = new VirtualClock();
    const deadline = deadlineSignal(clock, 50, () => "late");
    deadline[Symbol.dispose]();
    await clock.advance(100);
    expect(deadline.signal.aborted).toBe(false);
  });
});
