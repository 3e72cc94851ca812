import type { Command } from "commander";
import { every, type Millis, SECOND, systemClock } from "#kernel";
import { AdminServiceService, type ClusterNode, type GrpcChannel } from "#proto";
import { withConnection } from "../connection.ts";
import { printMessage } from "../output.ts";

/** Of what is told while one waits. */
const PROGRESS_MS: Millis = SECOND;

export function addDrainCommand(program: Command): void {
  program
    .command("drain <node>")
    .description("take a node out of service: its hot deltas are copied first; returns when its running work is done")
    .action((nodeId: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, signal }) => {
        const over = new AbortController();
        const telling = tellProgress(adminChannel, nodeId, AbortSignal.any([signal, over.signal]));
        try {
          await adminChannel.unary(AdminServiceService.drainNode, { nodeId }, { signal });
        } finally {
          over.abort();
          await telling;
        }
        printMessage(`${nodeId} is drained; deltaplane undrain ${nodeId} takes it back`);
      }),
    );
}

export function addUndrainCommand(program: Command): void {
  program
    .command("undrain <node>")
    .description("take a node that was drained back into service")
    .action((nodeId: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, signal }) => {
        await adminChannel.unary(AdminServiceService.undrainNode, { nodeId }, { signal });
        printMessage(`${nodeId} takes requests again`);
      }),
    );
}

/** Says what there is still to do, whenever that has changed. What goes wrong here the drain itself will say. */
async function tellProgress(channel: GrpcChannel, nodeId: string, signal: AbortSignal): Promise<void> {
  let last = "";
  await every(systemClock, PROGRESS_MS, signal, async () => {
    const { nodes } = await channel.unary(AdminServiceService.getCluster, {}, { signal });
    const node = nodes.find(({ view }) => view?.id === nodeId);
    const now = node ? progressOf(node) : "gone";
    if (now !== last) printMessage(`${nodeId}: ${now}`);
    last = now;
  }).catch(() => undefined);
}

function progressOf({ handover, view }: ClusterNode): string {
  if (handover && handover.copiesDone < handover.copiesWanted)
    return `${handover.copiesDone} of ${handover.copiesWanted} hot deltas are copied`;
  const rows = (view?.bases ?? []).reduce((sum, { rowsRunning, queueDepth }) => sum + rowsRunning + queueDepth, 0);
  return `${rows} rows are running`;
}
