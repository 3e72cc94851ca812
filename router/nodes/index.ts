export { type ClusterView, startClusterView } from "./cluster-view.ts";
export type { NodeClient, NodeTransport } from "./contract.ts";
export { openGrpcTransport } from "./grpc-transport.ts";
export { memoryTransport } from "./memory-transport.ts";
