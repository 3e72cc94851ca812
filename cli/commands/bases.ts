import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { writeBase } from "#blobs";
import { Fault } from "#kernel";
import { type Base, ModelServiceService } from "#proto";
import { baseLocation, openBlobs } from "../cluster/blobs.ts";
import { createDeps } from "../component.ts";
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
    .description("register a folder that the nodes can read, or s3://bucket/prefix, and load it on them")
    .option("--name <name>", "what to call it (default: the folder's name)")
    .action((directory: string, options: { name?: string }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const request = { name: options.name ?? "", directory: baseLocation(directory) };
        const { base } = await channel.unary(ModelServiceService.addBase, request, { signal });
        printRows(output, base ? [base] : [], COLUMNS);
        if (base) printMessage(`next: deltaplane run ${base.name} "Hello"`);
      }),
    );

  bases
    .command("upload <dir> <url>")
    .description("copy a folder to s3://bucket/prefix, with a manifest that nodes check it by")
    .action(async (directory: string, url: string) => {
      const stop = new AbortController();
      process.once("SIGINT", () => stop.abort(new Fault("client_gone", "interrupted")));
      await using parts = new AsyncDisposableStack();
      const spool = await mkdtemp(join(tmpdir(), "deltaplane-upload-"));
      parts.defer(() => rm(spool, { recursive: true, force: true }));
      const store = parts.use(await openBlobs(createDeps("bases"), url, spool));
      const files = await writeBase(store, "", await baseFilesIn(directory), stop.signal);
      printData(store.url);
      printMessage(`${files.length} files; next: deltaplane node-agent --base NAME=${url}`);
    });

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

/** Every file of a base's folder but hidden ones, smallest names first. @throws Fault file_missing for none */
async function baseFilesIn(directory: string) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((name) => !name.split("/").some((part) => part.startsWith(".")));
  if (names.length === 0) throw new Fault("file_missing", `${directory} has no files`, { detail: { file: directory } });
  return names.sort().map((name) => ({ name, pieces: () => createReadStream(join(directory, name)) as AsyncIterable<Uint8Array> }));
}
