import { createCostScore, type Millis, SECOND, type Tier } from "#kernel";
import { DemandBook, demandWeight } from "../../demand/index.ts";
import { createOutlook, HomeRing, type NodeOutlook, NodePick, Placement, prefetchPlan, type RoundOptions } from "../../placement/index.ts";
import { mixHash } from "../../rendezvous.ts";
import { loadMs, REMOTE, requestsPerSecond, type SimTier, SLOT, stepMs, TIER_NAMES } from "../node-model.ts";
import type { Policy, SimCluster } from "../policy.ts";

const ROUND_MS: Millis = SECOND;
/** Loads ahead of requests, per round: they share links with loads that someone waits for. */
const PREFETCHES_PER_NODE = 8;

/** What ours asks of nodes. */
const BEHAVIOUR = { drainAfterMs: 30 * SECOND, claimSteps: 2 };

export const oursPolicy: Policy = {
  name: "ours",
  source: "scheduler/placement, scheduler/demand, kernel/eviction: the code that production runs",
  createOrder: () => createCostScore(),
  unloadBufferShare: 0.02,
  behaviour: BEHAVIOUR,
  roundMs: ROUND_MS,
  start(cluster) {
    const demand = new DemandBook();
    const placement = new Placement();
    const { model, deltas } = cluster;
    const meanOutput = Math.exp(model.outputTokens.logMean);
    const roundOptions: RoundOptions = {
      nodeRate: nodeRate(cluster),
      copiesMax: cluster.nodes.length,
      movesMax: Math.max(8, Math.ceil(cluster.nodes.length / 2)),
    };
    const outlook = createOutlook();
    let alive = cluster.alive;
    const view = {
      ring: ringOf(alive),
      alive: (node: number) => cluster.nodes[node]!.alive,
      holders: cluster.holders,
      targets: (delta: number) => placement.targets(delta),
      outlook: (node: number, delta: number) => lookAt(cluster, node, delta, outlook),
    };
    const pick = new NodePick(view);
    const home: number[] = [];

    /** Asked for anew after a membership change, because homes have moved. */
    let moved: Iterable<number> = [];

    function membership(): void {
      if (alive === cluster.alive) return;
      alive = cluster.alive;
      view.ring = ringOf(alive);
      moved = Array.from({ length: demand.count }, (_, delta) => delta).filter((delta) => demand.ratePerSecond(delta, cluster.nowMs) > 0);
    }

    function placesOf(delta: number): readonly number[] {
      const targets = placement.targets(delta);
      if (targets.length > 0) return targets;
      view.ring.candidates(deltas.hash[delta]!, 1, home);
      return home.slice(0, 1);
    }

    function prefetch(candidates: Iterable<number>, perNodeMax: number): void {
      const tierOf = (node: number, delta: number) => TIERS[cluster.nodes[node]!.tier(delta)];
      const roomOn = (node: number, delta: number) => TIERS[cluster.nodes[node]!.loads.roomFor(delta) ?? REMOTE];
      const plan = prefetchPlan(candidates, { demand, nowMs: cluster.nowMs, placesOf, tierOf, roomOn, perNodeMax });
      for (const { delta, node, target } of plan) {
        cluster.nodes[node]!.loads.raiseAhead(delta, TIERS.indexOf(target) as SimTier, cluster.nowMs);
      }
    }

    return {
      route({ delta, promptTokens }) {
        membership();
        demand.observe(delta, demandWeight(promptTokens + meanOutput, deltas.rank[delta]!), cluster.nowMs);
        return pick.pick({ delta, deltaHash: deltas.hash[delta]!, promptTokens, patienceMs: model.sloMs / 4 })!;
      },
      published(delta) {
        membership();
        const replaced = deltas.replaces[delta]!;
        if (replaced >= 0) demand.inherit(delta, replaced, cluster.nowMs);
        prefetch([delta], 1);
      },
      round() {
        membership();
        const input = { ring: view.ring, nodes: alive, deltaHash: deltas.hash, demand, nowMs: cluster.nowMs };
        const moves = placement.round(input, roundOptions);
        prefetch([...new Set([...moves.map(({ delta }) => delta), ...moved])], PREFETCHES_PER_NODE);
        moved = [];
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
  into.loadCostMs = tier === SLOT ? 0 : loadMs(model, tier, sizeBytes);
  into.hasRoom = tier === SLOT || loads.hasRoom(delta);
  into.slotsInUse = referencedBytes / capacityBytes;
  into.addedSlots = (loads.slots.get(delta)?.references ?? 0) > 0 ? 0 : sizeBytes / capacityBytes;
  into.starvedLoads = node.starvedLoads;
  return into;
}
