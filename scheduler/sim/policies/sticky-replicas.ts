import type { Millis } from "#kernel";
import type { Policy, SimCluster } from "../policy.ts";
import { createHashOrder } from "./hash-order.ts";
import { leastLoaded } from "./node-choice.ts";

/** Dynamo's defaults: a tick of 3 s, EMA with 0.3, three ticks before a copy is given up. */
const ROUND_MS: Millis = 3000;
const SMOOTHING = 0.3;
const COOL_DOWN_ROUNDS = 3;
const CANDIDATES = 16;
const GAMMA_LOAD = 1000;
const BETA_KEEP = 250;
const ALPHA_ORDER = 1;

const SOURCE = "NVIDIA Dynamo's allocator: copies in proportion to the smoothed load with hysteresis, least loaded of the copies";

type Place = (context: {
  readonly order: readonly number[];
  readonly copies: number;
  readonly kept: readonly number[];
  readonly share: number;
  readonly placedLoad: Map<number, number>;
}) => readonly number[];

const inOrder: Place = ({ order, copies }) => order.slice(0, copies);

const byCost: Place = ({ order, copies, kept, share, placedLoad }) => {
  const load = share / copies;
  const costs = order.slice(0, Math.max(CANDIDATES, copies)).map((node, index) => ({
    node,
    cost: ALPHA_ORDER * index + GAMMA_LOAD * ((placedLoad.get(node) ?? 0) + load) * order.length - (kept.includes(node) ? BETA_KEEP : 0),
  }));
  costs.sort((one, other) => one.cost - other.cost);
  return costs.slice(0, copies).map(({ node }) => node);
};

export const stickyHashPolicy: Policy = createPolicy("sticky-hash", `${SOURCE}; copies in rendezvous order (its default)`, inOrder);
export const minCostFlowPolicy: Policy = createPolicy(
  "min-cost-flow",
  `${SOURCE}; copies by cost among 16 candidates (order 1, new load 1000, keep -250), the hottest first instead of one flow over all`,
  byCost,
);

function createPolicy(name: string, source: string, place: Place): Policy {
  return {
    name,
    source,
    roundMs: ROUND_MS,
    start(cluster, random) {
      const orderOf = createHashOrder(cluster);
      const counts = new Map<number, number>();
      const smoothed = new Map<number, number>();
      const copiesOf = new Map<number, { readonly copies: number; readonly lowRounds: number }>();
      const placed = new Map<number, readonly number[]>();
      return {
        route({ delta }) {
          counts.set(delta, (counts.get(delta) ?? 0) + 1);
          const nodes = (placed.get(delta) ?? orderOf(delta).slice(0, 1)).filter((node) => cluster.nodes[node]!.alive);
          return leastLoaded(cluster, nodes.length > 0 ? nodes : orderOf(delta).slice(0, 1), random);
        },
        round() {
          const total = smooth(counts, smoothed);
          const placedLoad = new Map<number, number>();
          const byLoad = [...smoothed].sort((one, other) => other[1] - one[1]);
          for (const [delta, load] of byLoad) {
            const copies = withHysteresis(copiesOf, delta, wantedCopies(cluster, load / total));
            const share = load / total;
            const nodes = place({ order: orderOf(delta), copies, kept: placed.get(delta) ?? [], share, placedLoad });
            for (const node of nodes) placedLoad.set(node, (placedLoad.get(node) ?? 0) + share / copies);
            placed.set(delta, nodes);
          }
          counts.clear();
        },
      };
    },
  };
}

/** One slot for every delta, and of the whole cluster in proportion to the load. */
function wantedCopies(cluster: SimCluster, share: number): number {
  return Math.max(1, Math.min(cluster.alive.length, Math.ceil(share * cluster.alive.length)));
}

function smooth(counts: ReadonlyMap<number, number>, smoothed: Map<number, number>): number {
  let total = 0;
  for (const delta of counts.keys()) if (!smoothed.has(delta)) smoothed.set(delta, 0);
  for (const [delta, before] of smoothed) {
    const load = before + SMOOTHING * ((counts.get(delta) ?? 0) - before);
    if (load < 1e-3) smoothed.delete(delta);
    else smoothed.set(delta, load);
    total += load;
  }
  return total;
}

function withHysteresis(copiesOf: Map<number, { copies: number; lowRounds: number }>, delta: number, wanted: number): number {
  const { copies, lowRounds } = copiesOf.get(delta) ?? { copies: 0, lowRounds: 0 };
  const lower = wanted < copies && lowRounds + 1 < COOL_DOWN_ROUNDS;
  const next = lower ? { copies, lowRounds: lowRounds + 1 } : { copies: wanted, lowRounds: 0 };
  copiesOf.set(delta, next);
  return next.copies;
}
