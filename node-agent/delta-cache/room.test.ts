import { describe, expect, it } from "vitest";
import { asDeltaDigest } from "#kernel";
import { type Occupancy, planRoom, planSpare } from "./room.ts";

const now: Occupancy = { capacity: 100, used: 90, entries: 3, entriesMax: 4, leavingSize: 0, leavingEntries: 0 };
const [oldest, newest] = [asDeltaDigest("oldest"), asDeltaDigest("newest")];
const idle = [
  [oldest, 20],
  [newest, 30],
] as const;

describe("planRoom", () => {
  it("takes what fits", () => expect(planRoom(now, 10, idle)).toEqual({ kind: "fits" }));
  it("evicts as few as needed, the least recently used first", () => {
    expect(planRoom(now, 11, idle)).toEqual({ kind: "evict", victims: [oldest] });
    expect(planRoom(now, 60, idle)).toEqual({ kind: "evict", victims: [oldest, newest] });
  });
  it("evicts nothing when it would not be enough", () => expect(planRoom(now, 61, idle)).toEqual({ kind: "wait" }));
  it("counts on what is leaving already", () =>
    expect(planRoom({ ...now, leavingSize: 20, leavingEntries: 1 }, 30, idle)).toEqual({ kind: "evict", victims: [] }));
  it("makes room for the number as well as for the size", () =>
    expect(planRoom({ ...now, used: 0, entries: 4 }, 1, idle)).toEqual({ kind: "evict", victims: [oldest] }));
  it("knows what can never fit", () => expect(planRoom(now, 101, idle)).toEqual({ kind: "never" }));
});

describe("planSpare", () => {
  const full: Occupancy = { ...now, used: 100, entries: 50, entriesMax: 50 };
  it("evicts until the share is free", () => {
    expect(planSpare(full, 0.02, idle)).toEqual([oldest]);
    expect(planSpare(full, 0.04, idle)).toEqual([oldest, newest]);
    expect(planSpare({ ...full, entries: 49 }, 0.02, idle)).toEqual([oldest]); // Of the size.
  });
  it("leaves everybody when it is free already, or will be", () => {
    expect(planSpare({ ...full, used: 90, entries: 49 }, 0.02, idle)).toEqual([]);
    expect(planSpare({ ...full, leavingEntries: 1, leavingSize: 2 }, 0.02, idle)).toEqual([]);
  });
  it("evicts nobody for less than an entry, nor when not all of it can be had", () => {
    expect(planSpare(full, 0.01, idle)).toEqual([]);
    expect(planSpare(full, 0.1, idle)).toEqual([]);
  });
});
