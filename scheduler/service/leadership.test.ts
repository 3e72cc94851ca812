import { afterEach, beforeEach, expect, test } from "vitest";
import { Fault, VirtualClock } from "#kernel";
import { type Leases, openEmbeddedStore, type StateStore } from "#state";
import { type Leadership, startLeadership } from "./leadership.ts";

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

let clock: VirtualClock;
let store: StateStore;
beforeEach(async () => {
  clock = new VirtualClock();
  store = await openEmbeddedStore(":memory:", { clock });
});
afterEach(() => store[Symbol.asyncDispose]());

function start(holder: string, leases: Leases = store.leases): Leadership {
  return startLeadership({ clock, log: SILENT, leases }, { holder, onChange: () => undefined });
}

test("one leads, the other knows who, and takes over within five seconds when it falls silent", async () => {
  let reachable = true;
  const first = start("a", {
    acquire: (...ask) => (reachable ? store.leases.acquire(...ask) : Promise.reject(new Fault("store_unreachable", "cut off"))),
    release: (...ask) => store.leases.release(...ask),
  });
  await clock.advance(1);
  await using second = start("b");
  await clock.advance(10_000);
  expect([first.epoch, second.epoch, second.leader]).toEqual([1, undefined, "a"]);
  reachable = false;
  await clock.advance(5000);
  expect([first.epoch, second.epoch, second.leader]).toEqual([undefined, 2, "b"]);
  reachable = true;
  await clock.advance(1000);
  expect([first.epoch, first.leader]).toEqual([undefined, "b"]);
  await first[Symbol.asyncDispose]();
});

test("at no time do two lead, however the store answers", async () => {
  const cut = new Set<string>();
  const leasesOf = (holder: string): Leases => ({
    acquire: (...ask) => (cut.has(holder) ? Promise.reject(new Fault("store_unreachable", "cut off")) : store.leases.acquire(...ask)),
    release: async () => undefined,
  });
  const all = ["a", "b", "c"].map((holder) => start(holder, leasesOf(holder)));
  for (let step = 0; step < 400; step++) {
    const holder = "abc"[(step * 7) % 3]!;
    if (step % 13 === 0) cut.add(holder);
    if (step % 17 === 0) cut.clear();
    await clock.advance(100);
    expect(all.filter(({ epoch }) => epoch !== undefined).length).toBeLessThanOrEqual(1);
  }
  for (const each of all) await each[Symbol.asyncDispose]();
});

test("who goes in order leaves the lease to the next at once", async () => {
  const first = start("a");
  await clock.advance(1);
  await using second = start("b");
  await clock.advance(1000);
  await first[Symbol.asyncDispose]();
  await clock.advance(600);
  expect(second.epoch).toBe(2);
});
