import {
  asDeltaDigest,
  asNodeId,
  type BaseDigest,
  type BaseLoad,
  type DeltaDigest,
  DIGEST_PATTERN,
  Fault,
  GIB,
  type NodeId,
  type NodeState,
  type Residency,
} from "#kernel";
import { baseLoadFromMessage, type DeltaDemand, nodeStateFromMessage, type ReportRequest, residencyFromMessage } from "#proto";

/** What a node tells of itself, checked: nothing in it is impossible. Whether it is in order is for membership.ts to say. */
export interface NodeReport {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly epoch: string;
  readonly sequence: number;
  readonly state: NodeState;
  readonly bases: ReadonlyMap<BaseDigest, BaseLoad>;
  /** Whether `deltas` are all, or those that changed. */
  readonly full: boolean;
  readonly deltas: ReadonlyMap<DeltaDigest, Residency>;
  readonly removed: readonly DeltaDigest[];
  readonly demand: readonly ReportedDemand[];
}

/** What a delta was asked for on the node; see the wire. */
export interface ReportedDemand {
  readonly digest: DeltaDigest;
  readonly tokens: number;
  readonly tokensPerSecond: number;
}

/** A pod's name is one, and so is any host name. */
const NODE_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;
const ADDRESS_PATTERN = /^\S{1,300}:\d{1,5}$/;
const EPOCH_PATTERN = /^[\x21-\x7e]{1,64}$/;
const BASES_MAX = 64;
const NAME_LENGTH_MAX = 256;
/** A folder's path is the longest text of a report. */
const TEXT_LENGTH_MAX = 4096;
/** Far beyond any delta; a number above it is a mistake. */
const DELTA_BYTES_MAX = 64 * GIB;
const RANK_MAX = 4096;

type Count = "rowsRunning" | "rowsMax" | "queueDepth" | "queueDepthMax" | "slotsUsed" | "slotsMax" | "kvTokensUsed" | "kvTokensMax";

/** The counts of a load, each with what it can't exceed. */
const LIMITS: readonly (readonly [Count, Count])[] = [
  ["rowsRunning", "rowsMax"],
  ["queueDepth", "queueDepthMax"],
  ["slotsUsed", "slotsMax"],
  ["kvTokensUsed", "kvTokensMax"],
];

/** @throws Fault message_malformed, with the field, for anything that can't be true of a node. */
export function readReport(message: ReportRequest): NodeReport {
  require(NODE_ID_PATTERN.test(message.nodeId), "node_id", message.nodeId);
  require(ADDRESS_PATTERN.test(message.address), "address", message.address);
  require(EPOCH_PATTERN.test(message.epoch), "epoch", message.epoch);
  require(message.bases.length <= BASES_MAX, "bases", message.bases.length);
  for (const digest of message.removedDigests) require(DIGEST_PATTERN.test(digest), "removed_digests", digest);
  const bases = new Map(message.bases.map(baseLoadFromMessage));
  const deltas = new Map(message.deltas.map(residencyFromMessage));
  for (const each of message.demand) checkDemand(each);
  for (const [digest, load] of bases) checkLoad(digest, load);
  for (const [digest, residency] of deltas) checkResidency(digest, residency);
  return {
    nodeId: asNodeId(message.nodeId),
    address: message.address,
    epoch: message.epoch,
    sequence: message.sequence,
    state: nodeStateFromMessage(message.state),
    bases,
    full: message.full,
    deltas,
    removed: message.removedDigests as DeltaDigest[],
    demand: message.demand.map(({ digest, ...counts }) => ({ digest: asDeltaDigest(digest), ...counts })),
  };
}

function checkLoad(digest: BaseDigest, load: BaseLoad): void {
  require(DIGEST_PATTERN.test(digest), "bases.digest", digest);
  const { timing = {}, engine = {}, ...counts } = load;
  for (const [field, value] of Object.entries({ ...counts, ...timing, ...engine })) {
    if (typeof value === "string") require(value.length <= TEXT_LENGTH_MAX, `bases.${field}`, value.length);
    else require(Number.isFinite(value) && value >= 0, `bases.${field}`, value);
  }
  for (const [count, max] of LIMITS) require(load[count] <= load[max], `bases.${count}`, `${load[count]} of ${load[max]}`);
}

function checkDemand({ digest, tokens, tokensPerSecond }: DeltaDemand): void {
  require(DIGEST_PATTERN.test(digest), "demand.digest", digest);
  require(tokens >= 0 && Number.isFinite(tokensPerSecond) && tokensPerSecond >= 0, "demand.tokens_per_second", tokensPerSecond);
}

function checkResidency(digest: DeltaDigest, residency: Residency): void {
  require(DIGEST_PATTERN.test(digest), "deltas.digest", digest);
  require(DIGEST_PATTERN.test(residency.baseDigest), "deltas.base_digest", residency.baseDigest);
  require(residency.tenantId !== "" && residency.tenantId.length <= NAME_LENGTH_MAX, "deltas.tenant_id", residency.tenantId);
  require(residency.rank <= RANK_MAX, "deltas.rank", residency.rank);
  require(residency.sizeBytes <= DELTA_BYTES_MAX, "deltas.size_bytes", residency.sizeBytes);
}

function require(condition: boolean, field: string, value: unknown): void {
  if (condition) return;
  const shown = String(value).slice(0, 80);
  throw new Fault("message_malformed", `report: ${field} can't be ${JSON.stringify(shown)}`, { detail: { field } });
}
