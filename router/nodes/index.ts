export { type ClusterView, startClusterView } from "./cluster-view.ts";
export type { NodeClient, NodeTransport } from "./contract.ts";
export { DeltaHeat, observed } from "./delta-heat.ts";
export { openGrpcTransport } from "./grpc-transport.ts";
export { memoryTransport } from "./memory-transport.ts";
export { type DrainDeps, drainNode } from "./node-drain.ts";
export { keepResidencyHistory, ResidencyHistory } from "./residency-history.ts";
