import { useSignal } from "@preact/signals";
import { Badge, Button, Empty, Notice, Page, Panel, Remote } from "../../components/index.ts";
import { goTo, route } from "../../routing/index.ts";
import { ClusterStats } from "./cluster-stats.tsx";
import { DeltaDialog } from "./delta-dialog.tsx";
import { DeltaSearch } from "./delta-search.tsx";
import { Legend } from "./legend.tsx";
import { type LiveCluster, useLiveCluster } from "./live-cluster.ts";
import { NodeDialog } from "./node-dialog.tsx";
import { NodeTile } from "./node-tile.tsx";
import "./cluster.css";

export default function ClusterView() {
  const paused = useSignal(false);
  const live = useLiveCluster(paused);
  const broken = live.state.value.failure !== undefined;
  const [kind, id] = route.value.rest;
  const close = () => goTo("cluster");
  return (
    <Page
      title="Cluster"
      lead="Nodes, and the deltas that stand on each of their tiers, as this router sees them."
      actions={
        <>
          <Badge kind={broken ? "bad" : paused.value ? "plain" : "good"}>
            {broken ? "not connected" : paused.value ? "paused" : "live"}
          </Badge>
          <Button
            icon={paused.value ? "play" : "pause"}
            onPress={() => {
              paused.value = !paused.value;
            }}
          >
            {paused.value ? "Go on" : "Pause"}
          </Button>
        </>
      }
    >
      <Remote of={live} what="the cluster">
        {(value) => <Nodes live={value} />}
      </Remote>
      <DeltaSearch />
      {kind === "delta" && id !== undefined && <DeltaDialog key={id} id={id} onClose={close} />}
      {kind === "node" && id !== undefined && <NodeDialog key={id} id={id} onClose={close} />}
    </Page>
  );
}

function Nodes({ live: { cluster, speeds } }: { readonly live: LiveCluster }) {
  const fullest = (tier: "ram" | "disk") => Math.max(1, ...cluster.nodes.map((node) => node.tiers[tier].size_bytes));
  const sizes = { ram: fullest("ram"), disk: fullest("disk") };
  return (
    <>
      <Panel>
        <ClusterStats cluster={cluster} />
      </Panel>
      {cluster.scheduler_silent_s !== 0 && (
        <Notice kind="warn">
          {cluster.scheduler_silent_s === null
            ? "No scheduler was heard of yet."
            : `No scheduler was heard of for ${cluster.scheduler_silent_s} s: what is shown is as old, and requests go on by it.`}
        </Notice>
      )}
      {cluster.nodes.length === 0 ? (
        <Empty title="No node is in the cluster." icon="cluster">
          A node agent that was just started reports within seconds.
        </Empty>
      ) : (
        <>
          <Legend />
          <div class="nodes">
            {cluster.nodes.map((node) => (
              <NodeTile key={node.id} node={node} speeds={speeds.get(node.id) ?? []} fullest={sizes} />
            ))}
          </div>
          {cluster.has_more && (
            <Notice>
              The first {cluster.nodes.length} of {cluster.nodes_total} nodes are shown.
            </Notice>
          )}
        </>
      )}
    </>
  );
}
