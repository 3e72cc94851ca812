import { resolve } from "node:path";
import type { Command } from "commander";
import { Fault } from "#kernel";
import { type Base, ModelServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, printData, printMessage, printRows } from "../output.ts";

const COLUMNS: readonly Column<Base>[] = [
  { title: "name", value: (base) => base.name },
  { title: "architecture", value: (base) => base.architecture },
  { title: "parameters", value: (base) => `${(base.parameterCount / 1e6).toFixed(1)} M`, align: "right" },
  { title: "weights", value: (base) => base.weightType },
  { title: "context", value: (base) => base.contextTokensMax, align: "right" },
  { title: "digest", value: (base) => base.digest.slice(0, 12) },
];

export function addBasesCommand(program: Command): void {
  const bases = program.command("bases").description("base models: Hugging Face folders");

  bases
    .command("add <dir>")
    .description("register a folder that the nodes can read, and load it on them")
    .option("--name <name>", "what to call it (default: the folder's name)")
    .action((directory: string, options: { name?: string }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const request = { name: options.name ?? "", directory: resolve(directory) };
        const { base } = await channel.unary(ModelServiceService.addBase, request, { signal });
        printRows(output, base ? [base] : [], COLUMNS);
        if (base) printMessage(`next: deltaplane run ${base.name} "Hello"`);
      }),
    );

  bases.command("ls").action((_options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { bases: listed } = await channel.unary(ModelServiceService.listBases, {}, { signal });
      printRows(output, listed, COLUMNS);
    }),
  );

  bases.command("show <name>").action((name: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, signal }) => {
      const { bases: listed } = await channel.unary(ModelServiceService.listBases, {}, { signal });
      const base = listed.find((candidate) => candidate.name === name);
      if (!base) throw new Fault("resource_unknown", `no base ${name}`, { detail: { resource: name } });
      printData(JSON.stringify(base, null, 2));
    }),
  );

  bases.command("rm <name>").action((name: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, signal }) => {
      await channel.unary(ModelServiceService.removeBase, { name }, { signal });
      printMessage(`removed ${name}`);
    }),
  );
}
