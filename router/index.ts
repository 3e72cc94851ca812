export type * from "./contract.ts";
export { createAdminKey, type KeyDeps, type RandomSecret } from "./keys/index.ts";
export { type ClusterView, memoryTransport, type NodeClient, type NodeTransport } from "./nodes/index.ts";
export { type RouterDeps, type RouterOptions, type RunningRouter, startRouter } from "./router.ts";
