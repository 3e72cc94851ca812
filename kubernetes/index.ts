export { openKubernetesApi } from "./api/cluster-api.ts";
export type * from "./api/contract.ts";
export type { DeltaSource, OpenDeltaSource } from "./controller/contract.ts";
export { startController } from "./controller/controller.ts";
export { createEndpointDiscovery, type ServicePort } from "./discovery/endpoint-discovery.ts";
export { createKubernetesLeases } from "./election/kubernetes-leases.ts";
export { runWhileLeading } from "./election/while-leading.ts";
export { createKubernetesMetrics, type KubernetesMetrics } from "./metrics.ts";
export type { MirrorDeps } from "./mirror/resource-mirror.ts";
