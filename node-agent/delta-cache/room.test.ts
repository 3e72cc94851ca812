import { describe, expect, it } from "vitest";
import { asDeltaDigest } from "#kernel";
import { type Occupancy, planRoom } from "./room.ts";

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
