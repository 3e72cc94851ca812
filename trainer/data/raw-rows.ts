import type { DataFile } from "./records/data-file.ts";
import type { DataKind, RawRow } from "./rows.ts";
import type { Rows } from "./settle.ts";

/** The records of a file, numbered. */
export interface RawRows {
  readonly file: DataFile;
  /** What the first readable record looks like. */
  readonly kind: DataKind;
  readonly rows: Rows<RawRow>;
  /** How many records the last reading found. */
  readonly count: number;
}

export async function openRawRows(file: DataFile): Promise<RawRows> {
  let count = 0;
  return {
    file,
    kind: await kindOf(file),
    async *rows() {
      let ordinal = 0;
      for await (const batch of file.records()) {
        yield batch.map((record): RawRow => ({ fields: {}, ...record, ordinal: ordinal++ }));
      }
      count = ordinal;
    },
    get count() {
      return count;
    },
  };
}

async function kindOf(file: DataFile): Promise<DataKind> {
  for await (const batch of file.records()) {
    const readable = batch.find((record) => "fields" in record);
    if (readable) return Object.keys(readable.fields).some((name) => name.trim().toLowerCase() === "messages") ? "chat" : "completion";
  }
  return "completion";
}
