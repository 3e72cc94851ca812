import { count, Stat, Stats, shortCount } from "../../components/index.ts";
import { speedOf } from "./live-cluster.ts";
import type { BaseLoad, Cluster } from "./shapes.ts";

export function ClusterStats({ cluster }: { readonly cluster: Cluster }) {
  const { nodes } = cluster;
  const sum = (value: (base: BaseLoad) => number) => nodes.flatMap(({ bases }) => bases).reduce((all, base) => all + value(base), 0);
  const ready = nodes.filter(({ state }) => state === "ready").length;
  const speed = nodes.reduce((all, node) => all + speedOf(node), 0);
  return (
    <Stats>
      <Stat label="Nodes ready" value={count(ready)} note={`of ${count(cluster.nodes_total)}`} />
      <Stat label="Tokens per second" value={shortCount(Math.round(speed))} />
      <Stat label="Rows running" value={count(sum((base) => base.rows_running))} note={`of ${count(sum((base) => base.rows_max))}`} />
      <Stat label="In queues" value={count(sum((base) => base.queue_depth))} />
      <Stat label="Slots filled" value={count(sum((base) => base.slots_used))} note={`of ${count(sum((base) => base.slots_max))}`} />
      <Stat label="Requests at this router" value={count(cluster.requests_running)} />
      <Stat label="Claims to be posted" value={count(cluster.claims_pending)} />
    </Stats>
  );
}
