import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type BaseTiming,
  type DeltaDigest,
  type NodeState,
  type NodeView,
  type Residency,
  type Tier,
} from "#kernel";
import { ClusterIndex } from "./cluster-index.ts";
import { NodePick } from "./node-pick.ts";

const BASE = asBaseDigest("base");
const IDLE: BaseLoad = {
  ...{ name: "base", architecture: "llama", vocabularySize: 1, parameterCount: 1, weightType: "float32", directory: "" },
  ...{ contextTokensMax: 2048, rankMax: 64, rowsRunning: 0, rowsMax: 8, queueDepth: 0, queueDepthMax: 32 },
  ...{ slotsUsed: 0, slotsMax: 4, kvTokensUsed: 0, kvTokensMax: 1000, tokensPerSecond: 0 },
};

/** A small base on an idle machine. */
const SPEED: BaseTiming = {
  ...{ stepMs: 0.5, rowMs: 0.05, promptTokenMs: 0.05, meanRowMs: 10, promptTokensWaiting: 0, starvedLoads: 0, slotsInUse: 0 },
  ...{ slotLoadMs: 0.5, ramLoadMs: 2, diskLoadMs: 10, tokensPerSecondMax: 1000 },
};

const digest = (delta: number) => asDeltaDigest(`delta-${delta}`);

function residency(tier: Tier, references = 0): Residency {
  const what = { tier, state: "ready", tenantId: asTenantId("acme"), baseDigest: BASE, rank: 8 } as const;
  return { ...what, sizeBytes: 100, references, pinned: false };
}

function node(name: number, deltas: ReadonlyMap<DeltaDigest, Residency> = new Map(), state: NodeState = "ready", load = {}): NodeView {
  return {
    ...{ id: asNodeId(`node-${name}`), address: "", epoch: "1", reportedAt: 0, state, deltas },
    bases: new Map([[BASE, { ...IDLE, ...load }]]),
  };
}

const createIndex = () => new ClusterIndex({ baseDigest: BASE });

function choose(index: ClusterIndex, delta: number): string | undefined {
  const number = index.numberOf(digest(delta));
  const chosen = new NodePick(index).pick({ delta: number, deltaHash: index.hashOf(number), promptTokens: 10, patienceMs: 1000 });
  return chosen === undefined ? undefined : index.nodeAt(chosen).id;
}

describe("a cluster by number", () => {
  it("finds the node that has the delta in a slot, and follows it", () => {
    const index = createIndex();
    for (let name = 0; name < 30; name++) index.setNode(node(name));
    const home = choose(index, 1);
    index.setNode(node(17, new Map([[digest(1), residency("slot")]])));
    expect(choose(index, 1)).toBe("node-17");
    index.setNode(node(17));
    expect(choose(index, 1)).toBe(home);
  });

  it("counts what was sent since a report, until the next", () => {
    const index = createIndex();
    const holding = new Map([[digest(1), residency("slot")]]);
    index.setNode(node(0, holding));
    index.setNode(node(1, holding));
    const first = choose(index, 1);
    const number = Number(first!.slice("node-".length));
    index.assume(number, 500);
    expect(choose(index, 1)).not.toBe(first);
    index.setNode(node(number, holding));
    index.assume(1 - number, 1);
    expect(choose(index, 1)).toBe(first);
  });

  it("takes a node that has measured nothing yet to be like the others: neither shunned nor sought", () => {
    for (const stepMs of [0.5, 500]) {
      const index = createIndex();
      const timing = { ...SPEED, stepMs, rowMs: stepMs / 10 };
      index.setNode(node(0, new Map(), "ready", { timing }));
      index.setNode(node(1, new Map(), "ready", { timing: { ...timing, stepMs: 3 * stepMs } }));
      index.setNode(node(2));
      expect(index.timingOf(2)).toMatchObject({ stepMs: 2 * stepMs, rowMs: stepMs / 10, slotLoadMs: 0.5, diskLoadMs: 10 });
      index.setNode(node(3, new Map(), "ready", { timing: { ...timing, slotLoadMs: 0 } })); // It has run, and loaded nothing.
      expect(index.timingOf(3)).toMatchObject({ stepMs, slotLoadMs: 0.5 });
      for (const name of ["node-0", "node-1", "node-3"]) index.removeNode(asNodeId(name));
      expect(index.timingOf(2).stepMs).toBe(20); // Nobody knows any more.
    }
  });

  it("asks each delta at its home among nodes of which only one has run yet, however fast that one is", () => {
    const index = createIndex();
    for (let name = 0; name < 4; name++) index.setNode(node(name));
    const homes = Array.from({ length: 40 }, (_, delta) => choose(index, delta));
    index.setNode(node(0, new Map(), "ready", { timing: SPEED }));
    expect(Array.from({ length: 40 }, (_, delta) => choose(index, delta))).toEqual(homes);
  });

  it("sends nobody to a node that drains, is gone, or does not serve the base", () => {
    const index = createIndex();
    const holding = new Map([[digest(1), residency("slot")]]);
    index.setNode(node(0, holding, "draining"));
    index.setNode({ ...node(1, holding), bases: new Map() });
    index.setNode(node(2, holding));
    expect(choose(index, 1)).toBe("node-2");
    index.removeNode(asNodeId("node-2"));
    expect(choose(index, 1)).toBeUndefined();
  });

  it("sends to the same node, whether a glance tells who need not be looked at closer or everybody is", () => {
    const anyLoad = fc.record({ rowsRunning: fc.integer({ min: 0, max: 8 }), queueDepth: fc.integer({ min: 0, max: 4 }) });
    const anyHolding = fc.option(fc.tuple(fc.constantFrom<Tier>("slot", "ram", "disk"), fc.integer({ min: 0, max: 1 })));
    fc.assert(
      fc.property(fc.array(fc.tuple(anyLoad, anyHolding), { minLength: 1, maxLength: 30 }), (nodes) => {
        const index = createIndex();
        for (const [name, [load, holding]] of nodes.entries()) {
          index.setNode(node(name, new Map(holding ? [[digest(1), residency(...holding)]] : []), "ready", load));
        }
        const { ring } = index;
        const alive = (number: number) => index.alive(number);
        const [holders, targets] = [(delta: number) => index.holders(delta), () => []];
        const closely = { ring, alive, holders, targets, outlook: (number: number, delta: number) => index.outlook(number, delta) };
        const delta = index.numberOf(digest(1));
        const ask = { delta, deltaHash: index.hashOf(delta), promptTokens: 10, patienceMs: 100 };
        expect(new NodePick(index).pick(ask)).toBe(new NodePick(closely).pick(ask));
      }),
    );
  });

  it("knows the holders of every delta after any reports, as a look at all nodes would", () => {
    const anyResidencies = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom<Tier>("slot", "ram", "disk")), {
      selector: ([delta]) => delta,
      maxLength: 6,
    });
    const anyReport = fc.record({ name: fc.integer({ min: 0, max: 5 }), deltas: fc.option(anyResidencies) });
    fc.assert(
      fc.property(fc.array(anyReport, { maxLength: 40 }), (reports) => {
        const index = createIndex();
        const latest = new Map<number, NodeView>();
        for (const { name, deltas } of reports) {
          if (!deltas) {
            index.removeNode(asNodeId(`node-${name}`));
            latest.delete(name);
            continue;
          }
          const view = node(name, new Map(deltas.map(([delta, tier]) => [digest(delta), residency(tier)])));
          index.setNode(view);
          latest.set(name, view);
        }
        for (let delta = 0; delta < 10; delta++) {
          const holders = index.holders(index.numberOf(digest(delta))).map((number) => index.nodeAt(number).id);
          const expected = [...latest.values()].filter((view) => view.deltas.get(digest(delta))?.tier === "slot").map(({ id }) => id);
          expect([...holders].sort()).toEqual([...expected].sort());
        }
      }),
    );
  });
});
