import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type NodeState,
  type NodeView,
  type Residency,
  type Snapshot,
} from "#kernel";
import { ClusterPicks } from "./cluster-picks.ts";
import type { Ask, HasRoom } from "./contract.ts";

const base = asBaseDigest("b".repeat(64));
const delta = asDeltaDigest("d".repeat(64));
const IDLE: BaseLoad = {
  name: "demo-base",
  ...{ architecture: "llama", vocabularySize: 256, parameterCount: 1_000, weightType: "float32", directory: "base" },
  contextTokensMax: 2048,
  rankMax: 64,
  rowsRunning: 0,
  rowsMax: 16,
  queueDepth: 0,
  queueDepthMax: 32,
  slotsUsed: 0,
  slotsMax: 32,
  kvTokensUsed: 0,
  kvTokensMax: 65_536,
  tokensPerSecond: 0,
};
const TIMING = {
  ...{ stepMs: 10, rowMs: 0, promptTokenMs: 0, meanRowMs: 1000, promptTokensWaiting: 0, starvedLoads: 0, slotsInUse: 0 },
  ...{ slotLoadMs: 1, ramLoadMs: 20, diskLoadMs: 100, tokensPerSecondMax: 1000 },
};
const IN_SLOT: Residency = {
  tier: "slot",
  state: "ready",
  tenantId: asTenantId("acme"),
  baseDigest: base,
  rank: 8,
  sizeBytes: 1000,
  references: 0,
  pinned: false,
};

interface NodeSketch {
  readonly load?: Partial<BaseLoad>;
  readonly residency?: Partial<Residency>;
  readonly state?: NodeState;
  readonly bases?: boolean;
}

function node(id: string, sketch: NodeSketch = {}): NodeView {
  return {
    id: asNodeId(id),
    address: `${id}:7000`,
    state: sketch.state ?? "ready",
    epoch: "1",
    bases: sketch.bases === false ? new Map() : new Map([[base, { ...IDLE, ...sketch.load }]]),
    deltas: sketch.residency ? new Map([[delta, { ...IN_SLOT, ...sketch.residency }]]) : new Map(),
    reportedAt: 0,
  };
}

const cluster = (...nodes: readonly NodeView[]): Snapshot => ({ version: 1, nodes: new Map(nodes.map((view) => [view.id, view])) });
const ask = (more: Partial<Ask> = {}): Ask => ({
  tenantId: asTenantId("acme"),
  baseDigest: base,
  deltaDigest: delta,
  promptTokensEstimate: 100,
  maxTokens: 100,
  excludedNodes: new Set(),
  ...more,
});
const anyRoom: HasRoom = () => true;
const decide = (asked: Ask, snapshot: Snapshot, assumed: ReadonlyMap<string, number> = new Map(), hasRoom = anyRoom) => {
  const picks = new ClusterPicks({ assumedRows: (_, { id }) => assumed.get(id) ?? 0 });
  picks.follow(snapshot);
  return picks.pick(asked, hasRoom);
};
const chosen = (snapshot: Snapshot, asked = ask(), assumed?: ReadonlyMap<string, number>) => {
  const decision = decide(asked, snapshot, assumed);
  return decision.kind === "node" ? [decision.node.id, decision.reason] : ["none", decision.why];
};

describe("a decision", () => {
  it("goes where the delta is, and says where that is", () => {
    for (const tier of ["slot", "ram", "disk"] as const)
      expect(chosen(cluster(node("a"), node("b", { residency: { tier } }), node("c")))).toEqual(["b", tier]);
  });

  it("prefers the faster of two copies, a load in progress over a copy on disk, and anything over a copy on its way out", () => {
    const two = (one: Partial<Residency>, other: Partial<Residency>) =>
      chosen(cluster(node("a", { residency: one }), node("b", { residency: other })))[0];
    expect(two({ tier: "ram" }, { tier: "slot" })).toBe("b");
    expect(two({ tier: "disk" }, { tier: "ram" })).toBe("b");
    expect(two({ tier: "disk" }, { tier: "slot", state: "loading" })).toBe("b");
    expect(two({ tier: "slot", state: "evicting" }, { tier: "slot" })).toBe("b");
  });

  it("leaves a copy only when waiting there costs more than another load", () => {
    const meanRowMs = 100;
    const withQueue = (queueDepth: number) => {
      const load = { rowsRunning: 16, queueDepth, timing: { ...TIMING, meanRowMs } };
      return cluster(node("hot", { residency: {}, load }), node("idle", { residency: { tier: "disk" }, load: { timing: TIMING } }));
    };
    expect(chosen(withQueue(0))).toEqual(["hot", "slot"]);
    expect(chosen(withQueue(16))).toEqual(["idle", "disk"]);
  });

  it("spreads the plain base over whoever has room", () => {
    const busy = { load: { rowsRunning: 16, queueDepth: 8 } };
    expect(chosen(cluster(node("a", busy), node("b"), node("c", busy)), ask({ deltaDigest: undefined }))).toEqual(["b", "base"]);
  });

  it("counts the caller's own requests that no report shows yet", () => {
    const asked = ask({ deltaDigest: undefined });
    const snapshot = cluster(node("a"), node("b"));
    expect(chosen(snapshot, asked, new Map([["a", 20]]))[0]).toBe("b");
    expect(chosen(snapshot, asked, new Map([["b", 20]]))[0]).toBe("a");
    expect(chosen(cluster(node("a")), asked, new Map([["a", 48]]))).toEqual(["none", "queue"]);
  });

  it("tells who waits for slots elsewhere that all are in use, though rows are free", () => {
    const full = { load: { timing: { ...TIMING, slotsInUse: 32 } } };
    const snapshot = cluster(node("a", full), node("b", full));
    expect(chosen(snapshot)[1]).toBe("home");
    expect(decide(ask({ needsSlot: true }), snapshot)).toEqual({ kind: "none", why: "slot", roomElsewhere: true });
    expect(chosen(snapshot, ask({ needsSlot: true, deltaDigest: undefined }))[1]).toBe("base");
    expect(chosen(cluster(node("a", full), node("b", { ...full, residency: { references: 1 } })), ask({ needsSlot: true }))).toEqual([
      "b",
      "slot",
    ]);
  });

  it("asks the caller whether a node gets more, and says whether another one does", () => {
    const snapshot = cluster(node("a", { load: { rowsRunning: 3 } }), node("b", { load: { rowsRunning: 7, rankMax: 4 } }));
    const below =
      (rows: number): HasRoom =>
      (_, ahead) =>
        ahead < rows;
    expect(decide(ask({ deltaRank: 8 }), snapshot, undefined, below(4))).toMatchObject({ node: { id: "a" } });
    expect(decide(ask({ deltaRank: 8 }), snapshot, undefined, below(3))).toMatchObject({ why: "full", roomElsewhere: false });
    const excludedNodes = new Set([asNodeId("a")]);
    expect(decide(ask({ deltaRank: 8, excludedNodes }), snapshot, undefined, below(8))).toMatchObject({
      why: "excluded",
      roomElsewhere: true,
    });
  });

  it("goes where the last round wants a copy, when that is as good as its home", () => {
    const nodes = Array.from({ length: 8 }, (_, index) => node(`node-${index}`));
    const [home] = chosen(cluster(...nodes));
    const elsewhere = nodes.find(({ id }) => id !== home)!.id;
    const copies = new Map([[delta, [elsewhere]]]);
    const plan = { leader: "a", leaderEpoch: 1, copies, bases: new Map(), handovers: new Map() };
    expect(chosen({ ...cluster(...nodes), plan })).toEqual([elsewhere, "copy"]);
  });

  it("finds the one node of hundreds that has room, and hears at once that it has none any more, or has some again", () => {
    const assumed = new Map<string, number>();
    const full = { rowsRunning: 16, queueDepth: 32 };
    const nodes = Array.from({ length: 300 }, (_, index) => node(`node-${index}`, { load: index === 123 ? {} : full }));
    const picks = new ClusterPicks({ assumedRows: (_, { id }) => assumed.get(id) ?? 0 });
    picks.follow(cluster(...nodes));
    const pick = (more: Partial<Ask> = {}) => {
      const decision = picks.pick(ask(more), (_, rows) => rows < 16);
      return decision.kind === "node" ? decision.node.id : decision.why;
    };
    const assume = (id: string, rows: number) => {
      assumed.set(id, rows);
      picks.rowsChanged(base, asNodeId(id));
    };
    expect([pick(), pick({ deltaDigest: undefined })]).toEqual(["node-123", "node-123"]);
    expect(pick({ excludedNodes: new Set([asNodeId("node-123")]) })).toBe("queue");
    assume("node-123", 16);
    expect(pick()).toBe("full");
    assume("node-200", -40);
    expect(pick()).toBe("node-200");
    picks.follow(cluster(...nodes.with(200, node("node-200", { state: "draining" }))));
    expect(pick()).toBe("full");
  });

  it("names who else has the delta when the node must fetch it", () => {
    const busy = { rowsRunning: 16, queueDepth: 32 };
    const decision = decide(ask(), cluster(node("full", { residency: { tier: "slot" }, load: busy }), node("idle")));
    expect(decision).toMatchObject({ node: { id: "idle" }, deltaSources: ["full:7000"] });
    expect(decide(ask(), cluster(node("a", { residency: { tier: "disk" } })))).toMatchObject({ deltaSources: [] });
  });

  it("names nobody who has just failed: from there it would wait for an answer that never comes", () => {
    const snapshot = cluster(node("lost", { residency: { tier: "slot" } }), node("idle"));
    const excludedNodes = new Set([asNodeId("lost")]);
    expect(decide(ask({ excludedNodes }), snapshot)).toMatchObject({ node: { id: "idle" }, deltaSources: [] });
  });

  it("says of no node what the nearest one lacked", () => {
    expect(chosen(cluster())).toEqual(["none", "membership"]);
    expect(chosen(cluster(node("a", { bases: false })))).toEqual(["none", "base"]);
    expect(chosen(cluster(node("a", { bases: false }), node("b", { state: "draining" })))).toEqual(["none", "ready"]);
    expect(chosen(cluster(node("a")), ask({ excludedNodes: new Set([asNodeId("a")]) }))).toEqual(["none", "excluded"]);
    expect(chosen(cluster(node("a", { load: { rowsMax: 0, queueDepthMax: 0 } })))).toEqual(["none", "queue"]);
  });
});

const count = (max: number) => fc.integer({ min: 0, max });
const anyNode = fc.record({
  load: fc.record({ rowsRunning: count(16), queueDepth: count(32), slotsUsed: count(32), kvTokensUsed: count(65_536), rankMax: count(16) }),
  residency: fc.option(
    fc.record({ tier: fc.constantFrom("slot", "ram", "disk"), state: fc.constantFrom("loading", "ready", "evicting") }),
    { nil: undefined },
  ),
  state: fc.constantFrom("starting", "ready", "ready", "ready", "draining"),
  bases: fc.constantFrom(true, true, true, false),
});
const anyCluster = fc
  .array(anyNode, { maxLength: 12 })
  .map((nodes) => cluster(...nodes.map((sketch, index) => node(`node-${index}`, sketch as NodeSketch))));
const anyDelta = fc.integer().map((number) => asDeltaDigest(`delta ${number}`));

describe("decisions, whatever the cluster", () => {
  it("never choose a node that can't serve, and always choose when one can", () => {
    fc.assert(
      fc.property(anyCluster, fc.boolean(), fc.array(count(11), { maxLength: 4 }), (snapshot, plain, tried) => {
        const excludedNodes = new Set(tried.map((index) => asNodeId(`node-${index}`)));
        const asked = plain ? ask({ deltaDigest: undefined, excludedNodes }) : ask({ deltaRank: 8, excludedNodes });
        const able = [...snapshot.nodes.values()].filter((view) => {
          const load = view.bases.get(base);
          if (!load || view.state !== "ready" || excludedNodes.has(view.id)) return false;
          return (plain || load.rankMax >= 8) && load.rowsRunning + load.queueDepth < 48;
        });
        const decision = decide(asked, snapshot);
        expect(decision.kind).toBe(able.length > 0 ? "node" : "none");
        if (decision.kind === "node") expect(able).toContain(decision.node);
      }),
    );
  });

  it("are the same, whether the index followed every change or was made of the last snapshot", () => {
    fc.assert(
      fc.property(fc.array(anyCluster, { minLength: 1, maxLength: 5 }), (snapshots) => {
        const following = new ClusterPicks();
        for (const snapshot of snapshots) {
          following.pick(ask({ deltaDigest: undefined }), anyRoom); // By the one before.
          following.follow(snapshot);
        }
        const decision = following.pick(ask(), anyRoom);
        const anew = decide(ask(), snapshots.at(-1)!);
        expect(decision.kind).toBe(anew.kind);
        if (decision.kind === "node" && anew.kind === "node" && anew.reason !== "spill") expect(decision.reason).toBe(anew.reason);
      }),
    );
  });

  it("keep a cold delta's home when other nodes come and go", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { minLength: 2, maxLength: 20 }), anyDelta, (ids, deltaDigest) => {
        const nodes = ids.map((id) => node(`node-${id}`));
        const asked = ask({ deltaDigest });
        const [home, reason] = chosen(cluster(...nodes), asked);
        expect(reason).toBe("home");
        for (const gone of nodes) {
          const moved = chosen(cluster(...nodes.filter((view) => view !== gone)), asked)[0];
          if (gone.id !== home) expect(moved).toBe(home);
        }
        const joined = chosen(cluster(...nodes, node("newcomer")), asked)[0];
        expect([home, "newcomer"]).toContain(joined);
      }),
    );
  });

  it("spill a cold delta to two other nodes at most while one of the three is in time, and never from an idle home", () => {
    const loads = fc.array(fc.array(count(15), { minLength: 10, maxLength: 10 }), { minLength: 5, maxLength: 20 });
    fc.assert(
      fc.property(loads, anyDelta, (moments, deltaDigest) => {
        const asked = ask({ deltaDigest });
        const at = (rows: readonly number[]) =>
          cluster(
            ...rows.map((ahead, index) =>
              node(`node-${index}`, { load: { rowsRunning: Math.min(16, ahead), queueDepth: Math.max(0, ahead - 16) } }),
            ),
          );
        const [home] = chosen(at(Array.from({ length: 10 }, () => 0)), asked);
        const places = new Set<string | undefined>([home]);
        for (const rows of moments) {
          const [place, reason] = chosen(at(rows), asked);
          places.add(place);
          const homeRows = rows[Number(home!.slice("node-".length))]!;
          if (homeRows === 0) expect([place, reason]).toEqual([home, "home"]);
        }
        expect(places.size).toBeLessThanOrEqual(3);
      }),
    );
  });

  it("go to the one node that has the delta in a slot while it has free rows, however idle the others are", () => {
    const others = fc.array(count(47), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(others, count(15), (rows, holderRows) => {
        const crowd = rows.map((ahead, index) =>
          node(`node-${index}`, { load: { rowsRunning: Math.min(16, ahead), queueDepth: Math.max(0, ahead - 16) } }),
        );
        const holder = node("holder", { residency: {}, load: { rowsRunning: holderRows, slotsUsed: 32 } });
        expect(chosen(cluster(...crowd, holder))).toEqual(["holder", "slot"]);
      }),
    );
  });

  it("give each of many nodes about its share of cold deltas", () => {
    const snapshot = cluster(...Array.from({ length: 8 }, (_, index) => node(`node-${index}`)));
    const homes = new Map<string, number>();
    for (let number = 0; number < 2000; number++) {
      const [home] = chosen(snapshot, ask({ deltaDigest: asDeltaDigest(`delta-${number}`) }));
      homes.set(home!, (homes.get(home!) ?? 0) + 1);
    }
    expect(homes.size).toBe(8);
    for (const share of homes.values()) expect(Math.abs(share - 250)).toBeLessThan(75); // Five standard deviations; fixed names, so no chance in it.
  });
});
