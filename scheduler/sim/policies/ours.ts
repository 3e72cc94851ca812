import { SECOND, type Millis } from "#kernel";
import { DemandBook, demandWeight } from "../../demand/index.ts";
import { createCostScore } from "../../eviction/index.ts";
import { HomeRing, type NodeOutlook, NodePick, Placement, type RoundOptions } from "../../placement/index.ts";
import { mixHash } from "../../rendezvous.ts";
import { DISK, loadMs, RAM, requestsPerSecond, SLOT, stepMs } from "../node-model.ts";
import type { Policy, SimCluster } from "../policy.ts";

const ROUND_MS: Millis = 3 * SECOND;
/** Loads ahead of requests, per round: they share links with loads that someone waits for. */
const PREFETCHES_PER_NODE = 1;

export const oursPolicy: Policy = {
  name: "ours",
  source: "scheduler/placement, scheduler/demand, scheduler/eviction: the code that production runs",
  createOrder: () => createCostScore(),
  unloadBufferShare: 0.02,
  behaviour: { drainAfterMs: 10 * SECOND },
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
    let alive = cluster.alive;
    const view = {
      ring: ringOf(alive),
      alive: (node: number) => cluster.nodes[node]!.alive,
      holders: cluster.holders,
      targets: (delta: number) => placement.targets(delta),
      outlook: (node: number, delta: number) => outlookOf(cluster, node, delta),
    };
    const pick = new NodePick(view);
    const home: number[] = [];

    function membership(): void {
      if (alive === cluster.alive) return;
      alive = cluster.alive;
      view.ring = ringOf(alive);
    }

    function placesOf(delta: number): readonly number[] {
      const targets = placement.targets(delta);
      if (targets.length > 0) return targets;
      view.ring.candidates(deltas.hash[delta]!, 1, home);
      return home.slice(0, 1);
    }

    return {
      route({ delta, promptTokens }) {
        membership();
        demand.observe(delta, demandWeight(promptTokens + meanOutput, deltas.rank[delta]!), cluster.nowMs);
        return pick.pick({ delta, deltaHash: deltas.hash[delta]!, promptTokens, patienceMs: model.sloMs / 2 })!;
      },
      published(delta) {
        membership();
        const target = deltas.publishedAtMs[delta]! > 0 ? RAM : DISK;
        for (const node of placesOf(delta)) cluster.nodes[node]!.loads.raiseAhead(delta, target, cluster.nowMs);
      },
      round() {
        membership();
        const input = { ring: view.ring, nodes: alive, deltaHash: deltas.hash, demand, nowMs: cluster.nowMs };
        const moves = placement.round(input, roundOptions);
        for (const { delta, to } of moves.slice(0, PREFETCHES_PER_NODE * alive.length)) {
          if (to !== undefined) cluster.nodes[to]!.loads.raiseAhead(delta, RAM, cluster.nowMs);
        }
      },
    };
  },
};

function ringOf(nodes: readonly number[]): HomeRing {
  return new HomeRing(nodes.map((node) => ({ node, hash: mixHash(node + 1) })));
}

function nodeRate({ model, deltas }: SimCluster): number {
  const [prompt, output] = [Math.exp(model.promptTokens.logMean), Math.exp(model.outputTokens.logMean)];
  const meanRank = deltas.rank.reduce((sum, rank) => sum + rank, 0) / deltas.count;
  return requestsPerSecond(model, prompt, output, meanRank) * demandWeight(prompt + output, meanRank);
}

function outlookOf(cluster: SimCluster, index: number, delta: number): NodeOutlook {
  const { model, deltas, nowMs } = cluster;
  const { batch, loads, rowsAhead, promptTokensAhead, starvedLoads } = cluster.nodes[index]!;
  const rank = deltas.rank[delta]!;
  const { rows, rankSum, rankMax } = batch;
  const present = stepMs(model, rows, 0, rankSum, rankMax);
  const added = stepMs(model, rows + 1, 0, rankSum + (batch.hasDelta(delta) ? 0 : rank), Math.max(rank, rankMax)) - present;
  const tier = loads.tier(delta);
  return {
    ...{ rowsAhead, promptTokensAhead, starvedLoads },
    rowsMax: model.rowsMax,
    meanRowMs: batch.meanRowMs,
    promptTokenMs: model.promptTokenMs * batch.slowness,
    stepMs: (rows === 0 ? model.stepMs : present) * batch.slowness,
    addedStepMs: added * batch.slowness,
    slotsInUse: loads.slots.referencedBytes / loads.slots.capacityBytes,
    addedSlots: (loads.slots.get(delta)?.references ?? 0) > 0 ? 0 : deltas.sizeBytes[delta]! / loads.slots.capacityBytes,
    hasRoom: tier === SLOT || loads.hasRoom(delta),
    loadMs: loads.estimateMs(delta, nowMs),
    loadCostMs: tier === SLOT ? 0 : loadMs(model, tier, deltas.sizeBytes[delta]!),
  };
}
