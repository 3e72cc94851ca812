import { type Millis, OVERTAKEN_MS_MAX, SECOND, type Tier } from "#kernel";
import { DemandBook, demandWeight } from "../../demand/index.ts";
import { mixHash } from "../../hash.ts";
import {
  createOutlook,
  HomeRing,
  LOADS_PER_NODE_MAX,
  MOVES_MAX,
  type NodeOutlook,
  NodePick,
  Placement,
  prefetchPlan,
  type RoundOptions,
} from "../../placement/index.ts";
import type { AheadTier } from "../delta-loads.ts";
import { DISK, loadMs, RAM, requestsPerSecond, SLOT, stepMs, TIER_NAMES } from "../node-model.ts";
import type { Policy, SimCluster } from "../policy.ts";

const ROUND_MS: Millis = SECOND;
/** So many are compared when none of the usual places has room; see base-picks.ts. */
const ROOMY_MAX = 12;
const anyNode = (_node: number) => true;

export const oursPolicy: Policy = {
  name: "ours",
  source: "scheduler/placement, scheduler/demand, kernel/room-line: the code that production runs, with its defaults",
  unloadBufferShare: 0.02,
  behaviour: { overtakenMsMax: OVERTAKEN_MS_MAX },
  roundMs: ROUND_MS,
  start(cluster) {
    const demand = new DemandBook();
    const placement = new Placement();
    const { model, deltas } = cluster;
    const meanOutput = Math.exp(model.outputTokens.logMean);
    const roundOptions: RoundOptions = {
      nodeRate: nodeRate(cluster),
      copiesMax: cluster.nodes.length,
      movesMax: MOVES_MAX,
    };
    const outlook = createOutlook();
    let alive = cluster.alive;
    let hasRoom = anyNode;
    const view = {
      ring: ringOf(alive),
      alive: (node: number) => cluster.nodes[node]!.alive && hasRoom(node),
      holders: cluster.holders,
      targets: (delta: number) => placement.targets(delta),
      outlook: (node: number, delta: number) => lookAt(cluster, node, delta, outlook),
    };
    const pick = new NodePick(view);
    const home: number[] = [];

    function membership(): void {
      if (alive === cluster.alive) return;
      alive = cluster.alive;
      view.ring = ringOf(alive);
    }

    /** As production's routers look for one when none of the usual places has room. */
    function withRoom(): readonly number[] {
      const rows = (node: number) => cluster.nodes[node]!.rowsAhead;
      return alive
        .filter(hasRoom)
        .sort((one, other) => rows(one) - rows(other))
        .slice(0, ROOMY_MAX);
    }

    function load(delta: number, node: number, target: AheadTier): void {
      cluster.nodes[node]!.loads.raiseAhead(delta, target, cluster.nowMs);
    }

    return {
      route(asked) {
        membership();
        const { delta, promptTokens, needsSlot = false } = asked;
        hasRoom = asked.hasRoom ?? anyNode;
        const ask = { delta, promptTokens, patienceMs: model.sloMs / 4, needsSlot };
        const chosen = pick.pick({ ...ask, deltaHash: deltas.hash[delta]! }) ?? pick.pickOf(withRoom(), ask);
        hasRoom = anyNode;
        if (chosen !== undefined) demand.observe(delta, demandWeight(promptTokens + meanOutput, deltas.rank[delta]!), cluster.nowMs);
        return chosen;
      },
      /** As a router does when a name is pointed at a new delta: into the RAM of every node where the one before is fast, or of its home. */
      published(delta) {
        membership();
        const replaced = deltas.replaces[delta]!;
        const fast = replaced < 0 ? [] : alive.filter((node) => cluster.nodes[node]!.tier(replaced) <= RAM);
        const places = fast.length > 0 ? fast : home.slice(0, view.ring.candidates(deltas.hash[delta]!, 1, home));
        for (const node of places) load(delta, node, RAM);
      },
      round() {
        membership();
        const { nowMs } = cluster;
        placement.round({ ring: view.ring, nodes: alive, deltaHash: deltas.hash, demand, nowMs }, roundOptions);
        const placed = [...placement.placed()].map(([delta]) => delta);
        const tierOf = (node: number, delta: number) => TIERS[cluster.nodes[node]!.tier(delta)];
        const placesOf = (delta: number) => placement.targets(delta).filter(view.alive);
        const plan = prefetchPlan(placed, { demand, nowMs, placesOf, tierOf, perNodeMax: LOADS_PER_NODE_MAX });
        for (const { delta, node, target } of plan) load(delta, node, target === "ram" ? RAM : DISK);
      },
    };
  },
};

const TIERS: readonly (Tier | undefined)[] = TIER_NAMES.map((name) => (name === "remote" ? undefined : name));

function ringOf(nodes: readonly number[]): HomeRing {
  return new HomeRing(nodes.map((node) => ({ node, hash: mixHash(node + 1) })));
}

function nodeRate({ model, deltas }: SimCluster): number {
  const [prompt, output] = [Math.exp(model.promptTokens.logMean), Math.exp(model.outputTokens.logMean)];
  const meanRank = deltas.rank.reduce((sum, rank) => sum + rank, 0) / deltas.count;
  return requestsPerSecond(model, prompt, output, meanRank) * demandWeight(prompt + output, meanRank);
}

/** Fills `into`, which the pick reads before it asks for the next: a run asks millions of times. */
function lookAt(cluster: SimCluster, index: number, delta: number, into: ReturnType<typeof createOutlook>): NodeOutlook {
  const { model, deltas, nowMs } = cluster;
  const node = cluster.nodes[index]!;
  const { batch, loads } = node;
  const { capacityBytes, referencedBytes } = loads.slots;
  const { rows, rankSum, rankMax, slowness } = batch;
  const rank = deltas.rank[delta]!;
  const sizeBytes = deltas.sizeBytes[delta]!;
  const tier = node.tier(delta);
  const present = stepMs(model, rows, 0, rankSum, rankMax);
  const after = stepMs(model, rows + 1, 0, rankSum + (batch.hasDelta(delta) ? 0 : rank), Math.max(rank, rankMax));
  into.rowsAhead = node.rowsAhead;
  into.rowsMax = model.rowsMax;
  into.meanRowMs = batch.meanRowMs;
  into.promptTokensAhead = node.promptTokensAhead;
  into.promptTokenMs = model.promptTokenMs * slowness;
  into.stepMs = (rows === 0 ? model.stepMs : present) * slowness;
  into.addedStepMs = (after - present) * slowness;
  into.loadMs = tier === SLOT ? 0 : loads.estimateMs(delta, nowMs);
  into.isLoading = tier !== SLOT && loads.slots.get(delta) !== undefined;
  into.loadCostMs = tier === SLOT ? 0 : loadMs(model, tier, sizeBytes);
  into.hasRoom = tier === SLOT || loads.hasRoom(delta);
  into.slotsInUse = referencedBytes / capacityBytes;
  into.addedSlots = (loads.slots.get(delta)?.references ?? 0) > 0 ? 0 : sizeBytes / capacityBytes;
  into.starvedLoads = node.starvedLoads;
  return into;
}
