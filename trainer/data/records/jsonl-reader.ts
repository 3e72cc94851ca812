import { checkedBytes } from "./checked-bytes.ts";
import { jsonRecord } from "./json-record.ts";
import { readLines } from "./lines.ts";
import type { RecordReader } from "./record.ts";

/** One JSON object per line; blank lines are no records. */
export const readJsonl: RecordReader = async function* (bytes, file) {
  for await (const lines of readLines(checkedBytes(bytes, file))) {
    yield lines.filter(({ text }) => text === undefined || text.trim() !== "").map(({ line, text }) => jsonRecord(line, text));
  }
};
