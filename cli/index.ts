export { type EmbeddedCluster, type EmbeddedClusterOptions, startEmbeddedCluster } from "./cluster/embedded-cluster.ts";
export { openHome } from "./cluster/home.ts";
export { startMetricsServer } from "./cluster/metrics-server.ts";
export { type ComponentDeps, createDeps } from "./component.ts";
export { deviceName, lookAround } from "./devices/engine-place.ts";
export { pushParts } from "./push-delta.ts";
