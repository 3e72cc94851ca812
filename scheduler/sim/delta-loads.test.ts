import { describe, expect, it } from "vitest";
import { leastRecentlyUsed, MIB } from "#kernel";
import { DeltaLoads } from "./delta-loads.ts";
import { EventQueue } from "./event-queue.ts";
import { DISK, loadMs, NODE_MODELS, RAM, REMOTE, SLOT } from "./node-model.ts";

const model = NODE_MODELS["cpu-124m"]!;
const SIZE = 10 * MIB;
const COUNT = 20;

/** One node's tiers, with room for three deltas in slots, six in RAM and twelve on disk. */
function start(unloadBufferShare = 0) {
  const queue = new EventQueue();
  const inSlot: [delta: number, atMs: number][] = [];
  const loads = new DeltaLoads({
    ...{ model, unloadBufferShare, createOrder: leastRecentlyUsed },
    deltas: {
      count: COUNT,
      rank: new Int32Array(COUNT).fill(8),
      sizeBytes: new Float64Array(COUNT).fill(SIZE),
      hash: new Uint32Array(COUNT),
      publishedAtMs: new Float64Array(COUNT),
      replaces: new Int32Array(COUNT).fill(-1),
    },
    bytes: { slot: 3 * SIZE, ram: 6 * SIZE, disk: 12 * SIZE },
    schedule: (atMs, delta) => queue.push(atMs, 0, 0, delta),
    inSlot: (delta, atMs) => inSlot.push([delta, atMs]),
    slotTaken: () => undefined,
    slotLeft: () => undefined,
  });
  const settle = (untilMs = Number.POSITIVE_INFINITY) => {
    while (queue.nextAtMs <= untilMs && queue.pop()) loads.arrived(queue.subject, queue.atMs);
  };
  return { loads, inSlot, settle };
}

describe("loads", () => {
  it("take the time of every link on the way, as estimated, and less the second time", () => {
    const { loads, inSlot, settle } = start();
    expect(loads.estimateMs(1, 0)).toBe(loadMs(model, REMOTE, SIZE));
    loads.wantSlot(1, 0);
    settle();
    expect(inSlot).toEqual([[1, loadMs(model, REMOTE, SIZE)]]);
    expect(loads.tier(1)).toBe(SLOT);
    for (const other of [2, 3, 4]) {
      loads.wantSlot(other, 10_000);
      settle();
    }
    expect(loads.tier(1)).toBe(RAM);
    expect(loads.estimateMs(1, 50_000)).toBe(loadMs(model, RAM, SIZE));
  });

  it("wait for one another on a link, not for loads that are on another", () => {
    const { loads, inSlot, settle } = start();
    loads.raise(1, RAM, 0);
    settle();
    loads.wantSlot(2, 10_000);
    loads.wantSlot(3, 10_000);
    loads.wantSlot(1, 10_001);
    settle();
    const [first, second, third] = inSlot;
    expect(first).toEqual([1, 10_001 + loadMs(model, RAM, SIZE)]);
    expect([second![0], third![0]]).toEqual([2, 3]);
    expect(third![1] - second![1]).toBeGreaterThan(50);
  });

  it("of one delta are one: who wants it higher raises its target", () => {
    const { loads, inSlot, settle } = start();
    loads.raise(1, DISK, 0);
    loads.raise(1, RAM, 1);
    loads.wantSlot(1, 2);
    settle();
    expect(inSlot).toHaveLength(1);
    expect(loads.fetchedBytes).toBe(SIZE);
  });

  it("that nobody waits for begin one at a time, when the link from the store is idle", () => {
    const { loads, inSlot, settle } = start();
    for (const delta of [1, 2, 3, 4]) loads.raiseAhead(delta, DISK, 0);
    loads.wantSlot(9, 1);
    settle();
    const oneFetchMs = loadMs(model, REMOTE, SIZE) - loadMs(model, DISK, SIZE);
    expect(inSlot[0]![1]).toBeLessThanOrEqual(oneFetchMs + loadMs(model, REMOTE, SIZE) + 1);
    expect([1, 2, 3, 4].map((delta) => loads.tier(delta))).toEqual([DISK, DISK, DISK, DISK]);
  });

  it("find a buffer of free bytes, kept by evicting ahead", () => {
    const { loads, settle } = start(1 / 3);
    for (const delta of [1, 2]) {
      loads.wantSlot(delta, 0);
      settle();
    }
    loads.wantSlot(3, 10_000);
    expect(loads.slots.usedBytes).toBe(2 * SIZE);
  });

  it("are refused when rows use all slots, and lost with the process, but for the disk", () => {
    const { loads, settle } = start();
    for (const delta of [1, 2, 3]) loads.slots.refer(loads.wantSlot(delta, 0)!);
    settle();
    expect(loads.hasRoom(4)).toBe(false);
    expect(loads.wantSlot(4, 10_000)).toBeUndefined();
    loads.clear();
    expect([1, 4].map((delta) => loads.tier(delta))).toEqual([DISK, REMOTE]);
    expect(loads.slots.usedBytes).toBe(0);
  });
});
