import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Fault } from "#kernel";
import { BillingServiceService, ExportFormat } from "#proto";
import { type Connection, withConnection } from "../connection.ts";
import { sinceOption, untilOption } from "../instant.ts";
import { printMessage } from "../output.ts";

const FORMATS = {
  csv: ExportFormat.EXPORT_FORMAT_CSV,
  focus: ExportFormat.EXPORT_FORMAT_FOCUS,
  cloudevents: ExportFormat.EXPORT_FORMAT_CLOUDEVENTS,
  stripe: ExportFormat.EXPORT_FORMAT_STRIPE,
  lago: ExportFormat.EXPORT_FORMAT_LAGO,
} as const;

/** After this nothing new is expected of a time: as for an invoice. */
const GRACE_MS = 86_400_000;

interface ExportOptions {
  readonly format: keyof typeof FORMATS;
  readonly month?: { readonly since: number; readonly until: number };
  readonly since: number;
  readonly until: number;
  readonly tenant?: string;
  readonly out?: string;
}

export function addBillingExportCommand(billing: Command): void {
  billing
    .command("export")
    .description("charges in a format that other systems take, to stdout")
    .addOption(new Option("--format <format>").choices(Object.keys(FORMATS)).makeOptionMandatory())
    .addOption(new Option("--month <month>", "YYYY-MM, UTC").argParser(month).conflicts(["since", "until"]))
    .addOption(sinceOption())
    .addOption(untilOption())
    .option("--tenant <id>", "only this tenant's")
    .option("--out <file>", "instead of stdout")
    .action((options: ExportOptions, command: Command) => withConnection(command, (connection) => writeExport(connection, options)));
}

async function writeExport({ channel, signal }: Connection, options: ExportOptions): Promise<void> {
  const { since: sinceMs, until: untilMs } = options.month ?? options;
  if (untilMs === 0 || untilMs > Date.now() - GRACE_MS) {
    printMessage("this time is not closed: charges may still grow, and be told again under a new revision (docs/billing.md)");
  }
  const request = { format: FORMATS[options.format], sinceMs, untilMs, tenantId: options.tenant ?? "" };
  const pieces = channel.serverStream(BillingServiceService.export, request, { signal });
  const bytes = Readable.from(
    (async function* () {
      for await (const { piece } of pieces) yield piece;
    })(),
  );
  if (options.out === undefined) await toStdout(bytes);
  else await toNewFile(bytes, options.out);
}

async function toStdout(bytes: Readable): Promise<void> {
  await pipeline(bytes, process.stdout, { end: false }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error; // Who reads the pipe has seen enough.
  });
}

/** An existing file is never overwritten: a sink may have taken it already. */
async function toNewFile(bytes: Readable, file: string): Promise<void> {
  await pipeline(bytes, createWriteStream(file, { flags: "wx" })).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw cause;
    throw new Fault("resource_exists", `${file} exists`, { detail: { file }, cause });
  });
}

function month(text: string): { readonly since: number; readonly until: number } {
  const [, year, number] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text) ?? [];
  if (year === undefined) throw new InvalidArgumentError("a month is YYYY-MM");
  return { since: Date.UTC(Number(year), Number(number) - 1), until: Date.UTC(Number(year), Number(number)) };
}
