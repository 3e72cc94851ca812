import { checkedBytes } from "./checked-bytes.ts";
import { jsonRecord } from "./json-record.ts";
import { readLines } from "./lines.ts";
import type { RecordReader, SourceRecord } from "./record.ts";

/** One JSON object per line; blank lines are no records. */
export const readJsonl: RecordReader = async function* (bytes, file) {
  for await (const lines of readLines(checkedBytes(bytes, file))) {
    yield lines.filter(({ text }) => text === undefined || text.trim() !== "").map(({ line, text }) => lineRecord(line, text));
  }
};

/** Whoever has a whole file in one list is told so, and not that its first line is wrong. */
function lineRecord(line: number, text: string | undefined): SourceRecord {
  if (line > 1 || !text?.trimStart().startsWith("[")) return jsonRecord(line, text);
  return {
    line,
    problem: "begins a list, but every line is to be one JSON object; deltaplane data prepare makes lines of a list in a .json file",
  };
}
