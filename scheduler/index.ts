export { ClusterPicks, type ClusterPicksOptions } from "./cluster-picks.ts";
export * from "./contract.ts";
export * from "./demand/index.ts";
export { hashText } from "./hash.ts";
export { rowsAhead } from "./load.ts";
export * from "./placement/index.ts";
export { usableTier } from "./residency.ts";
export { type Ahead, anyRoom, roomFor, SLOT_WAIT_MS_MAX } from "./row-room.ts";
