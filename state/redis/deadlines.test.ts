import { expect, it } from "vitest";
import { VirtualClock } from "#kernel";
import { Deadlines } from "./deadlines.ts";

const late = () => new Error("late");

it("a call that takes too long ends, one that does not gives what it comes to", async () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, 800);
  const slow = deadlines.within(new Promise(() => {}), late);
  slow.catch(() => undefined);
  const quick = deadlines.within(
    clock.after(600).then(() => "in time"),
    late,
  );
  expect(deadlines.size).toBe(2);
  await clock.advance(800);
  expect(await quick).toBe("in time");
  await expect(slow).rejects.toThrow("late");
  expect(deadlines.size).toBe(0);
});

it("a call that comes later has its own time, and idle waits for all of them", async () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, 800);
  const first = deadlines.within(new Promise(() => {}), late);
  await clock.advance(500);
  const second = deadlines.within(new Promise(() => {}), late);
  const ended: string[] = [];
  first.catch(() => ended.push("first"));
  second.catch(() => ended.push("second"));
  deadlines.idle().then(() => ended.push("idle"));
  await clock.advance(500);
  expect(ended).toEqual(["first"]);
  await clock.advance(500);
  expect(ended.sort()).toEqual(["first", "idle", "second"]);
  await deadlines.idle();
});
