import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Bytes } from "#kernel";
import type { Json, JsonFields, TrackedRun } from "../contract.ts";
import { wireField, wireFields } from "../wire-fields.ts";
import { type Artifact, artifactDigest, clientIds } from "./artifacts.ts";
import { JOB_TYPE, runConfig, runTags } from "./run-description.ts";

/**
 * The records of a `.wandb` file: messages of `wandb_internal.proto`, written field by field. A dozen fields of one stable schema
 * ask for no generator and no copy of somebody else's 2,000 lines; the encoding itself is the library's that our own generated
 * code uses. Field numbers are beside each field.
 */

const RECORD = { num: 1, history: 2, summary: 3, artifact: 8, run: 17, exit: 18, header: 21 } as const;

/** The oldest W&B client that reads such files. */
const MIN_CONSUMER = "0.40.0";
const PRODUCER = "deltaplane";

/** One record; `num` counts from 1 in a file. */
export type OfflineRecord = (num: number) => Uint8Array;

function record(kind: Exclude<keyof typeof RECORD, "num">, message: BinaryWriter): OfflineRecord {
  return (num) =>
    new BinaryWriter()
      .tag(RECORD.num, WireType.Varint)
      .int64(num)
      .tag(RECORD[kind], WireType.LengthDelimited)
      .bytes(message.finish())
      .finish();
}

export function headerRecord(): OfflineRecord {
  const version = text(text(new BinaryWriter(), 1, PRODUCER), 2, MIN_CONSUMER);
  return record("header", message(new BinaryWriter(), 1, version));
}

export function runRecord(run: TrackedRun, where: { readonly entity: string | undefined; readonly project: string }): OfflineRecord {
  const writer = text(new BinaryWriter(), 1, run.id);
  text(writer, 2, where.entity ?? "");
  text(writer, 3, where.project);
  message(writer, 4, items(new BinaryWriter(), 1, runConfig(run)));
  text(writer, 7, JOB_TYPE);
  text(writer, 8, run.name);
  for (const tag of runTags(run)) text(writer, 10, tag);
  const seconds = Math.floor(run.startedAtMs / 1000);
  const nanos = Math.round((run.startedAtMs - seconds * 1000) * 1e6);
  message(writer, 17, new BinaryWriter().tag(1, WireType.Varint).int64(seconds).tag(2, WireType.Varint).int32(nanos));
  return record("run", writer);
}

/** `fields` with `_step`. */
export function historyRecord(fields: JsonFields): OfflineRecord {
  const step = new BinaryWriter().tag(1, WireType.Varint).int64(Number(fields["_step"]));
  return record("history", message(items(new BinaryWriter(), 1, fields), 2, step));
}

export function summaryRecord(summary: JsonFields): OfflineRecord {
  return record("summary", items(new BinaryWriter(), 1, summary));
}

export function exitRecord(exitCode: number, runtimeS: number): OfflineRecord {
  return record("exit", new BinaryWriter().tag(1, WireType.Varint).int32(exitCode).tag(2, WireType.Varint).int32(Math.round(runtimeS)));
}

/** `localPath`: a copy that W&B's client may delete when it has sent it. */
export function artifactRecord(
  run: TrackedRun,
  where: { readonly entity: string | undefined; readonly project: string },
  artifact: Artifact,
  file: { readonly digest: string; readonly sizeBytes: Bytes; readonly localPath: string },
): OfflineRecord {
  const ids = clientIds(run, artifact, file.digest);
  const input = artifact.role === "input";
  const writer = text(new BinaryWriter(), 1, run.id);
  text(writer, 2, where.project);
  text(writer, 3, where.entity ?? "");
  text(writer, 4, artifact.type);
  text(writer, 5, artifact.name);
  text(writer, 6, artifactDigest(artifact.filename, file.digest));
  text(writer, 8, JSON.stringify(artifact.metadata));
  writer.tag(9, WireType.Varint).bool(input).tag(10, WireType.Varint).bool(input); // Made by a user and used by the run, or made by the run.
  for (const alias of artifact.aliases) text(writer, 11, alias);
  const entry = text(text(new BinaryWriter(), 1, artifact.filename), 2, file.digest);
  text(entry.tag(4, WireType.Varint).int64(file.sizeBytes), 6, file.localPath).tag(8, WireType.Varint).bool(true);
  const manifest = text(new BinaryWriter().tag(1, WireType.Varint).int32(1), 2, "wandb-storage-policy-v1");
  message(writer, 12, message(manifest, 4, entry));
  writer.tag(14, WireType.Varint).bool(true); // Commit it.
  text(text(writer, 15, ids.version), 16, ids.sequence);
  return record("artifact", writer);
}

/** What a record tells to whoever goes on with the file. */
export type ReadRecord =
  | { readonly kind: "run" }
  | { readonly kind: "history"; readonly fields: JsonFields }
  | { readonly kind: "artifact"; readonly name: string }
  | { readonly kind: "exit" }
  | { readonly kind: "other" };

export function readRecord(bytes: Uint8Array): ReadRecord {
  if (wireField(bytes, RECORD.run)) return { kind: "run" };
  if (wireField(bytes, RECORD.exit)) return { kind: "exit" };
  const artifact = wireField(bytes, RECORD.artifact);
  if (artifact) return { kind: "artifact", name: textField(artifact, 5) };
  const history = wireField(bytes, RECORD.history);
  return history ? { kind: "history", fields: readItems(history) } : { kind: "other" };
}

function text(writer: BinaryWriter, field: number, value: string): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).string(value);
}

function message(writer: BinaryWriter, field: number, value: BinaryWriter): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).bytes(value.finish());
}

/** Items of a configuration, a summary or a row: a name (1) and its value as JSON (16). */
function items(writer: BinaryWriter, field: number, values: JsonFields): BinaryWriter {
  for (const [name, value] of Object.entries(values))
    message(writer, field, text(text(new BinaryWriter(), 1, name), 16, JSON.stringify(value)));
  return writer;
}

function readItems(message: Uint8Array): JsonFields {
  const values: Record<string, Json> = {};
  for (const { number, value } of wireFields(message)) {
    if (number !== 1) continue;
    values[textField(value, 1)] = JSON.parse(textField(value, 16));
  }
  return values;
}

function textField(message: Uint8Array, number: number): string {
  return Buffer.from(wireField(message, number) ?? []).toString("utf8");
}
