import type { Command } from "commander";
import { AdminServiceService, type BaseLoad, type ClusterNode, NodeState } from "#proto";
import { withConnection } from "../connection.ts";
import { engineName } from "../engine-name.ts";
import { type Column, formatBytes, printData, printMessage, printRows } from "../output.ts";

interface HostedBase {
  readonly node: ClusterNode;
  readonly base: BaseLoad | undefined;
}

const STATES: Readonly<Record<number, string>> = {
  [NodeState.NODE_STATE_STARTING]: "starting",
  [NodeState.NODE_STATE_READY]: "ready",
  [NodeState.NODE_STATE_DRAINING]: "draining",
};

const COLUMNS: readonly Column<HostedBase>[] = [
  { title: "node", value: ({ node }) => node.view?.id ?? "" },
  { title: "address", value: ({ node }) => node.view?.address ?? "" },
  { title: "state", value: ({ node }) => STATES[node.view?.state ?? 0] ?? "" },
  { title: "base", value: ({ base }) => base?.name ?? "-" },
  { title: "rows", value: ({ base }) => (base ? `${base.rowsRunning}/${base.rowsMax}` : "-"), align: "right" },
  { title: "queue", value: ({ base }) => (base ? `${base.queueDepth}/${base.queueDepthMax}` : "-"), align: "right" },
  { title: "slots", value: ({ base }) => (base ? `${base.slotsUsed}/${base.slotsMax}` : "-"), align: "right" },
  { title: "kv tokens", value: ({ base }) => (base ? `${base.kvTokensUsed}/${base.kvTokensMax}` : "-"), align: "right" },
  { title: "engine", value: ({ base }) => engineName(base) },
  { title: "memory", value: ({ base }) => memoryOf(base), align: "right" },
  { title: "tokens/s", value: ({ base }) => base?.tokensPerSecond.toFixed(0) ?? "-", align: "right" },
  { title: "heard", value: ({ node }) => `${(node.reportAgeMs / 1000).toFixed(1)} s ago`, align: "right" },
];

export function addStatusCommand(program: Command): void {
  program
    .command("status")
    .description("the cluster: nodes, load, health")
    .action((_options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const cluster = await adminChannel.unary(AdminServiceService.getCluster, {}, { signal });
        if (output === "json") {
          printData(JSON.stringify(cluster, null, 2));
          return;
        }
        const rows = cluster.nodes.flatMap((node): HostedBase[] => {
          const bases = node.view?.bases ?? [];
          return bases.length === 0 ? [{ node, base: undefined }] : bases.map((base) => ({ node, base }));
        });
        printRows(output, rows, COLUMNS);
        printMessage(cluster.leader === "" ? "no scheduler leads" : `${cluster.leader} leads (epoch ${cluster.leaderEpoch})`);
        for (const { baseName, nodesWanted, demand } of cluster.baseTargets)
          printMessage(`${baseName}: ${demand.toFixed(0)} tokens/s asked for, ${nodesWanted} nodes wanted`);
        printMessage(
          `${cluster.requestsRunning} requests running, ${cluster.claimsPending} claims on their way to the ledger, version ${cluster.version}`,
        );
      }),
    );
}

/** Of this engine, and what all of its node may hold there. */
function memoryOf(base: BaseLoad | undefined): string {
  if (!base?.engine) return "-";
  const { memoryBytes, memoryBytesMax } = base.engine;
  return memoryBytesMax === 0 ? formatBytes(memoryBytes) : `${formatBytes(memoryBytes)}/${formatBytes(memoryBytesMax)}`;
}
