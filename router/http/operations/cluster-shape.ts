import type { BaseLoad, DeltaDigest, Handover, Millis, NodeView, Residency, Snapshot, Tier } from "#kernel";
import { type CatalogView, deltaName } from "../../catalog/index.ts";
import type { DeltaHeat } from "../../nodes/index.ts";

/** Nodes and what they hold, as JSON. */

/** In one answer, over all nodes and tiers: about 800 kB, asked for once a second. The rest is counted, and listed by node. */
const DELTAS_SHOWN_MAX = 4_000;
/** Of one tier of one node: more tiles than this nobody tells apart. */
const TIER_SHOWN_MAX = 64;
/** A node reports once a second: younger news than this are news. */
const SILENCE_MS: Millis = 2_000;

export interface ShapeDeps {
  readonly view: CatalogView;
  readonly heat: DeltaHeat;
}

/** How many deltas of each tier are shown by name. */
export function shownPerTier(nodes: number): number {
  return Math.max(1, Math.min(TIER_SHOWN_MAX, Math.floor(DELTAS_SHOWN_MAX / Math.max(1, nodes * 3))));
}

export function nodeShape(deps: ShapeDeps, node: NodeView, handover: Handover | undefined, now: Millis, shown: number) {
  const silentMs = now - node.reportedAt;
  return {
    ...{ id: node.id, address: node.address, state: node.state },
    // Whole seconds, and none as long as reports come in time: so that an answer stays the same while nothing changes.
    silent_s: silentMs < SILENCE_MS ? 0 : Math.floor(silentMs / 1000),
    // While it is drained: how many of its hot deltas have a place elsewhere by now.
    handover: handover ? { copies_wanted: handover.copiesWanted, copies_done: handover.copiesDone } : null,
    bases: [...node.bases].map(([digest, load]) => baseShape(digest, load)),
    tiers: tiersShape(deps, node, shown),
  };
}

function baseShape(digest: string, load: BaseLoad) {
  return {
    ...{ name: load.name, digest, tokens_per_second: Math.round(load.tokensPerSecond * 10) / 10 },
    ...{ rows_running: load.rowsRunning, rows_max: load.rowsMax, queue_depth: load.queueDepth, queue_depth_max: load.queueDepthMax },
    ...{ slots_used: load.slotsUsed, slots_max: load.slotsMax, kv_tokens_used: load.kvTokensUsed, kv_tokens_max: load.kvTokensMax },
  };
}

/** One tier, while a node's deltas are gone through. */
interface TierSum {
  count: number;
  sizeBytes: number;
  pinned: number;
  /** In use, or used of late. */
  readonly warm: { readonly digest: DeltaDigest; readonly residency: Residency; readonly heat: number }[];
  /** No more than are shown. */
  readonly cold: (readonly [DeltaDigest, Residency])[];
}

/** In one go over what may be a hundred thousand deltas: only the warm ones, which are few, are put in order. */
function tiersShape(deps: ShapeDeps, node: NodeView, shown: number) {
  const sums: Record<Tier, TierSum> = { slot: emptySum(), ram: emptySum(), disk: emptySum() };
  for (const [digest, residency] of node.deltas) {
    const sum = sums[residency.tier];
    sum.count++;
    sum.sizeBytes += residency.sizeBytes;
    if (residency.pinned) sum.pinned++;
    const heat = deps.heat.perSecond(digest);
    if (residency.references > 0 || heat > 0) sum.warm.push({ digest, residency, heat });
    else if (sum.cold.length < shown) sum.cold.push([digest, residency]);
  }
  return { slot: tierShape(deps, sums.slot, shown), ram: tierShape(deps, sums.ram, shown), disk: tierShape(deps, sums.disk, shown) };
}

function emptySum(): TierSum {
  return { count: 0, sizeBytes: 0, pinned: 0, warm: [], cold: [] };
}

/** The busiest first, then the hottest, then cold ones as they come. */
function tierShape(deps: ShapeDeps, { count, sizeBytes, pinned, warm, cold }: TierSum, shown: number) {
  warm.sort((one, other) => other.residency.references - one.residency.references || other.heat - one.heat);
  const deltas = [...warm.map(({ digest, residency }) => [digest, residency] as const), ...cold].slice(0, shown);
  return {
    ...{ count, size_bytes: sizeBytes, pinned },
    deltas: deltas.map(([digest, residency]) => heldShape(deps, digest, residency)),
  };
}

/** A delta on a node. Without a name when its record is gone, as of one that was just removed. */
export function heldShape({ view, heat }: ShapeDeps, digest: DeltaDigest, residency: Residency) {
  const delta = view.get("delta", digest);
  return {
    ...{ digest, name: delta ? deltaName(delta) : null, tenant_id: residency.tenantId, tier: residency.tier, state: residency.state },
    ...{ rank: residency.rank, size_bytes: residency.sizeBytes, references: residency.references, pinned: residency.pinned },
    heat: Math.round(heat.perSecond(digest) * 10) / 10,
  };
}

/** Every node that holds a delta. */
export function copiesShape(deps: ShapeDeps, snapshot: Snapshot, digest: DeltaDigest) {
  return [...snapshot.nodes.values()].flatMap((node) => {
    const held = node.deltas.get(digest);
    return held ? [{ node_id: node.id, node_state: node.state, ...heldShape(deps, digest, held) }] : [];
  });
}
