import type { Command } from "commander";
import { AdminServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { printMessage } from "../output.ts";

export function addDrainCommand(program: Command): void {
  program
    .command("drain <node>")
    .description("take a node out of service; returns when its running work is done")
    .action((nodeId: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, signal }) => {
        await adminChannel.unary(AdminServiceService.drainNode, { nodeId }, { signal });
        printMessage(`${nodeId} is drained`);
      }),
    );
}
