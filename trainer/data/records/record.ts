import { Fault, MIB } from "#kernel";
import type { JsonObject } from "#model";

/** One record of a data file as it was read, or why it could not be. */
export type SourceRecord = ReadableRecord | UnreadableRecord;

export interface ReadableRecord {
  /** One-based, of the record's first line; in a spreadsheet, its row. */
  readonly line: number;
  readonly fields: JsonObject;
}

export interface UnreadableRecord {
  readonly line: number;
  readonly problem: string;
}

/** Reads one format. Batches are as large as the pieces in which the bytes come. */
export type RecordReader = (bytes: AsyncIterable<Uint8Array>, file: string) => AsyncIterable<readonly SourceRecord[]>;

/** No context is as long, and the codec takes no more; a longer record is read over without being held. */
export const RECORD_BYTES_MAX = 4 * MIB;

/** What is kept about each row (fingerprints, lengths) then stays below 400 MB. */
export const RECORDS_MAX = 10_000_000;

/** How many lines a message names before it only counts. */
export const LINES_SHOWN = 10;

/** A fault about a line of a data file. */
export function lineFault(file: string, line: number, why: string, cause?: unknown): Fault {
  return new Fault("file_malformed", `${file}, line ${line}: ${why}`, {
    detail: { file, line },
    ...(cause === undefined ? {} : { cause }),
  });
}
