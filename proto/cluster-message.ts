import {
  asBaseDigest,
  asDeltaDigest,
  asTenantId,
  type BaseDigest,
  type BaseLoad,
  type DeltaDigest,
  Fault,
  type NodeState,
  type Residency,
  type Tier,
} from "#kernel";
import {
  type BaseLoad as BaseLoadMessage,
  type DeltaResidency,
  NodeState as NodeStateMessage,
  ResidencyState,
  Tier as TierMessage,
} from "./generated/deltaplane/v1/cluster.ts";

/** What nodes report, on the wire and in the snapshot's words. Unknown enum values are refused: they are not ours to guess. */

const TIERS: Readonly<Record<Tier, TierMessage>> = {
  slot: TierMessage.TIER_SLOT,
  ram: TierMessage.TIER_RAM,
  disk: TierMessage.TIER_DISK,
};
const RESIDENCY_STATES: Readonly<Record<Residency["state"], ResidencyState>> = {
  loading: ResidencyState.RESIDENCY_STATE_LOADING,
  ready: ResidencyState.RESIDENCY_STATE_READY,
  evicting: ResidencyState.RESIDENCY_STATE_EVICTING,
};
const NODE_STATES: Readonly<Record<NodeState, NodeStateMessage>> = {
  starting: NodeStateMessage.NODE_STATE_STARTING,
  ready: NodeStateMessage.NODE_STATE_READY,
  draining: NodeStateMessage.NODE_STATE_DRAINING,
};

export const tierToMessage = (tier: Tier): TierMessage => TIERS[tier];
export const tierFromMessage = (tier: TierMessage): Tier => wordFor(TIERS, tier, "tier");
export const nodeStateToMessage = (state: NodeState): NodeStateMessage => NODE_STATES[state];
export const nodeStateFromMessage = (state: NodeStateMessage): NodeState => wordFor(NODE_STATES, state, "state");

export function residencyToMessage(digest: DeltaDigest, residency: Residency): DeltaResidency {
  return { digest, ...residency, tier: TIERS[residency.tier], state: RESIDENCY_STATES[residency.state] };
}

export function residencyFromMessage(message: DeltaResidency): readonly [DeltaDigest, Residency] {
  const { digest, ...rest } = message;
  return [
    asDeltaDigest(digest),
    {
      ...rest,
      tenantId: asTenantId(rest.tenantId),
      baseDigest: asBaseDigest(rest.baseDigest),
      tier: wordFor(TIERS, rest.tier, "tier"),
      state: wordFor(RESIDENCY_STATES, rest.state, "state"),
    },
  ];
}

export function baseLoadToMessage(digest: BaseDigest, load: BaseLoad): BaseLoadMessage {
  return { digest, ...load, timing: load.timing, engine: load.engine };
}

export function baseLoadFromMessage(message: BaseLoadMessage): readonly [BaseDigest, BaseLoad] {
  const { digest, ...load } = message;
  return [asBaseDigest(digest), load];
}

function wordFor<Word extends string>(table: Readonly<Record<Word, number>>, value: number, field: string): Word {
  const word = (Object.keys(table) as Word[]).find((key) => table[key] === value);
  if (!word) throw new Fault("message_malformed", `unknown ${field} ${value}`, { detail: { field } });
  return word;
}
