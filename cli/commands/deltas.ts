import type { Command } from "commander";
import { type Delta, ModelServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatBytes, formatTime, printData, printMessage, printRows } from "../output.ts";
import { pullDelta } from "../pull-delta.ts";
import { pushParts } from "../push-delta.ts";

const COLUMNS: readonly Column<Delta>[] = [
  { title: "name", value: (delta) => delta.name },
  { title: "base", value: (delta) => delta.base },
  { title: "rank", value: (delta) => delta.rank, align: "right" },
  { title: "size", value: (delta) => formatBytes(delta.sizeBytes), align: "right" },
  { title: "pinned", value: (delta) => (delta.pinned ? "yes" : "") },
  { title: "created", value: (delta) => formatTime(delta.createdAtMs) },
];

export function addDeltasCommand(program: Command): void {
  const deltas = program.command("deltas").description("weight deltas: PEFT folders");

  deltas
    .command("push <dir>")
    .description("upload a PEFT folder; its model can be called as soon as this returns")
    .requiredOption("--base <name>", "the base it was trained on")
    .requiredOption("--name <name>", "its alias becomes <tenant>/<name>")
    .option("--tenant <id>", "on whose behalf (admin key only)")
    .action((directory: string, options: { base: string; name: string; tenant?: string }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const header = { base: options.base, name: options.name, tenantId: options.tenant ?? "" };
        const { delta, alias } = await channel.clientStream(ModelServiceService.pushDelta, pushParts(directory, header), { signal });
        printRows(output, delta ? [delta] : [], COLUMNS);
        printMessage(`next: deltaplane run ${alias} "…"`);
      }),
    );

  deltas
    .command("ls")
    .option("--tenant <id>", "only this tenant's (admin key only)")
    .action((options: { tenant?: string }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { deltas: listed } = await channel.unary(ModelServiceService.listDeltas, { tenantId: options.tenant ?? "" }, { signal });
        printRows(output, listed, COLUMNS);
      }),
    );

  deltas.command("show <name>").action((name: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, signal }) => {
      const { delta } = await channel.unary(ModelServiceService.getDelta, { name }, { signal });
      printData(JSON.stringify(delta, null, 2));
    }),
  );

  deltas
    .command("pull <name> [dir]")
    .description("download a delta as a PEFT folder; by default into one of its name")
    .action((name: string, directory: string | undefined, _options: unknown, command: Command) =>
      withConnection(command, async ({ channel, signal }) => {
        const into = directory ?? name.replaceAll(/[^\w.-]+/g, "-");
        await pullDelta(channel.serverStream(ModelServiceService.pullDelta, { name }, { signal }), into);
        printData(into);
        printMessage(`next: PeftModel.from_pretrained(base, ${JSON.stringify(into)})`);
      }),
    );

  deltas
    .command("pin <name>")
    .description("keep a delta in memory on its home node")
    .option("--off", "let it be evicted again")
    .action((name: string, options: { off?: boolean }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { delta } = await channel.unary(ModelServiceService.pinDelta, { name, pinned: !options.off }, { signal });
        printRows(output, delta ? [delta] : [], COLUMNS);
      }),
    );

  deltas.command("rm <name>").action((name: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, signal }) => {
      await channel.unary(ModelServiceService.removeDelta, { name }, { signal });
      printMessage(`removed ${name}`);
    }),
  );
}
