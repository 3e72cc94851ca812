import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mixHash } from "../hash.ts";
import type { NodeOutlook } from "./estimate.ts";
import { HomeRing } from "./home-ring.ts";
import { NodePick, type PickAsk, type PickView } from "./node-pick.ts";

const IDLE: NodeOutlook = {
  ...{ rowsAhead: 0, rowsMax: 8, meanRowMs: 1000, promptTokensAhead: 0, promptTokenMs: 1, stepMs: 20, addedStepMs: 2 },
  ...{ loadMs: 0, isLoading: false, loadCostMs: 0, hasRoom: true, slotsInUse: 0, addedSlots: 0, starvedLoads: 0 },
};
const COLD = { loadMs: 100, loadCostMs: 100 };

interface Sketch {
  readonly outlooks?: Readonly<Record<number, Partial<NodeOutlook>>>;
  readonly gone?: readonly number[];
  readonly holders?: readonly number[];
  readonly targets?: readonly number[];
}

function viewOf(nodeCount: number, { outlooks = {}, gone = [], holders = [], targets = [] }: Sketch): PickView {
  const nodes = Array.from({ length: nodeCount }, (_, node) => ({ node, hash: mixHash(node + 1) }));
  return {
    ring: new HomeRing(nodes),
    alive: (node) => !gone.includes(node),
    holders: () => holders,
    targets: () => targets,
    outlook: (node) => ({ ...IDLE, ...(holders.includes(node) ? {} : COLD), ...outlooks[node] }),
  };
}

const ASK = { delta: 1, deltaHash: mixHash(99), promptTokens: 50, patienceMs: 1000 };
const pick = (nodeCount: number, sketch: Sketch, ask: PickAsk = ASK) => new NodePick(viewOf(nodeCount, sketch)).pick(ask);
const everywhere = (nodeCount: number, outlook: (node: number) => Partial<NodeOutlook>) =>
  Object.fromEntries(Array.from({ length: nodeCount }, (_, node) => [node, outlook(node)]));

describe("a pick", () => {
  it("goes where the delta is, though others are idle", () => {
    expect(pick(50, { holders: [7], outlooks: { 7: { promptTokensAhead: 100 } } })).toBe(7);
  });

  it("leaves it there when waiting for a row costs more than another load", () => {
    expect(pick(50, { holders: [7], outlooks: { 7: { rowsAhead: 40 } } })).not.toBe(7);
  });

  it("takes the copy that will answer first", () => {
    expect(pick(50, { holders: [7, 9], outlooks: { 7: { rowsAhead: 8 } } })).toBe(9);
    expect(pick(50, { holders: [7, 9], outlooks: { 9: { stepMs: 60 } } })).toBe(7);
  });

  it("avoids a node whose slots are all in use by others", () => {
    const home = pick(50, {})!;
    expect(pick(50, { outlooks: { [home]: { hasRoom: false, starvedLoads: 2 } } })).not.toBe(home);
  });

  it("does not leave who needs a slot to wait for one: goes where one is, or nowhere", () => {
    const inUse = everywhere(50, () => ({ hasRoom: false, addedSlots: 0.1 }));
    const needsSlot = { ...ASK, needsSlot: true };
    expect(pick(50, { outlooks: { ...inUse, 7: {} }, holders: [7] }, needsSlot)).toBe(7);
    expect(pick(50, { outlooks: { ...inUse, 7: { hasRoom: false } }, holders: [7] }, needsSlot)).toBe(7); // Rows use the delta there.
    expect(pick(50, { outlooks: inUse }, needsSlot)).toBeUndefined();
    expect(pick(50, { outlooks: inUse })).toBeDefined();
  });

  it("loads a delta on one more node sooner when all who have it are late", () => {
    const crowd = { holders: [7], outlooks: { 7: { promptTokensAhead: 150 } } };
    expect(pick(50, crowd)).toBe(7);
    expect(pick(50, crowd, { ...ASK, patienceMs: 100 })).not.toBe(7);
  });

  it("counts prompts ahead on top of a load that they may wait for too", () => {
    const home = pick(50, {})!;
    expect(pick(50, { outlooks: { [home]: { promptTokensAhead: 90 } } })).toBe(home);
    expect(pick(50, { outlooks: { [home]: { promptTokensAhead: 90, isLoading: true } } })).not.toBe(home);
  });

  it("prefers a node that batches ranks like the delta's", () => {
    expect(pick(50, { holders: [7, 9], outlooks: { 7: { addedStepMs: 12 } } })).toBe(9);
  });

  it("never takes a node that is not there, and says so when there is none", () => {
    expect(pick(3, { gone: [0, 1, 2] })).toBeUndefined();
    expect(pick(3, { gone: [0, 2], holders: [0], targets: [2] })).toBe(1);
  });
});

describe("a pick, however loaded the nodes are", () => {
  it("keeps a cold delta on three nodes while they are in time", () => {
    const loads = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(loads, { minLength: 1, maxLength: 10 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (moments, deltaHash) => {
        const places = new Set<number | undefined>();
        for (const rows of moments) {
          const outlooks = everywhere(40, (node) => ({ promptTokensAhead: rows[node]! }));
          places.add(pick(40, { outlooks }, { ...ASK, deltaHash }));
        }
        expect(places.size).toBeLessThanOrEqual(3);
      }),
    );
  });

  it("reaches beyond them when they are late, farther with every request", () => {
    const ahead = new Map<number, number>();
    const view = viewOf(40, {});
    const picks = new NodePick({ ...view, outlook: (node) => ({ ...IDLE, ...COLD, promptTokensAhead: ahead.get(node) ?? 0 }) });
    for (let time = 0; time < 400; time++) {
      const node = picks.pick(ASK)!;
      ahead.set(node, (ahead.get(node) ?? 0) + 200);
      if (time === 10) expect(ahead.size).toBe(3);
    }
    expect(ahead.size).toBeGreaterThan(20);
  });

  it("looks at few of many copies, but at all of them in turn", () => {
    const holders = Array.from({ length: 500 }, (_, node) => node);
    let looks = 0;
    const seen = new Set<number>();
    const view = viewOf(500, { holders });
    const picks = new NodePick({
      ...view,
      outlook(node, delta) {
        looks++;
        seen.add(node);
        return view.outlook(node, delta);
      },
    });
    for (let time = 0; time < 50; time++) picks.pick(ASK);
    expect(looks / 50).toBeLessThan(20);
    expect(seen.size).toBe(500);
  });
});
