import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import path from "node:path";
import { Fault } from "#kernel";
import { readCsv, readTsv } from "./delimited-reader.ts";
import { readJson } from "./json-reader.ts";
import { readJsonl } from "./jsonl-reader.ts";
import { RECORDS_MAX, type RecordReader, type SourceRecord } from "./record.ts";
import { readTxt } from "./txt-reader.ts";
import { readXlsx } from "./xlsx-reader.ts";

const READERS = { JSONL: readJsonl, JSON: readJson, CSV: readCsv, TSV: readTsv, XLSX: readXlsx, TXT: readTxt } as const satisfies Record<
  string,
  RecordReader
>;

export type DataFormat = keyof typeof READERS;

/** A data file on disk, to be read as often as needed. */
export interface DataFile {
  readonly path: string;
  /** As found by looking into it. */
  readonly format: DataFormat;
  /** As its name says. */
  readonly namedFormat: DataFormat;
  /**
   * All records in order, from the beginning. Faults: file_malformed, with the line; message_too_large; version_conflict
   * when the file is no longer the one that was opened.
   */
  records(): AsyncGenerator<readonly SourceRecord[]>;
}

/** @throws Fault file_missing, file_malformed (no regular file), parameter_invalid for a name without a known ending */
export async function openDataFile(file: string): Promise<DataFile> {
  const namedFormat = formatOf(file);
  const opened = await statusOf(file);
  const format = namedFormat === "JSON" || namedFormat === "JSONL" ? await jsonFormat(file, namedFormat) : namedFormat;
  return {
    path: file,
    format,
    namedFormat,
    async *records() {
      let count = 0;
      for await (const batch of READERS[format](createReadStream(file), path.basename(file))) {
        count += batch.length;
        if (count > RECORDS_MAX) {
          throw new Fault("message_too_large", `${file} has more than ${RECORDS_MAX} records: split it`, { detail: { file } });
        }
        yield batch;
      }
      const now = await statusOf(file);
      if (now.size !== opened.size || now.mtimeMs !== opened.mtimeMs) {
        throw new Fault("version_conflict", `${file} was changed while it was being read; try again`, { detail: { file } });
      }
    },
  };
}

function formatOf(file: string): DataFormat {
  const ending = path.extname(file).slice(1).toUpperCase();
  if (Object.hasOwn(READERS, ending)) return ending as DataFormat;
  throw new Fault("parameter_invalid", `${file}: name the file by its format: ${Object.keys(READERS).join(", ").toLowerCase()}`, {
    detail: { field: "file", file },
  });
}

async function statusOf(file: string): Promise<{ readonly size: number; readonly mtimeMs: number }> {
  const status = await stat(file).catch((cause: unknown) => {
    throw new Fault("file_missing", `${file} cannot be read`, { detail: { file }, cause });
  });
  if (!status.isFile()) throw new Fault("file_malformed", `${file} is not a regular file`, { detail: { file } });
  return status;
}

/** How far to look for the first character that is not blank. */
const BEGINNING_BYTES = 4096;

/** People confuse the two: an array begins with a bracket, lines of objects with a brace. */
async function jsonFormat(file: string, named: DataFormat): Promise<DataFormat> {
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0);
  const [first] = buffer
    .toString("utf8", 0, bytesRead)
    .replace(/^\uFEFF/, "")
    .trimStart();
  if (first === "[") return "JSON";
  if (first === "{") return "JSONL";
  return named;
}
