import { Fault } from "#kernel";
import type { Versioned } from "../contract.ts";
import type { RedisConnection } from "./connection.ts";
import type { RecordKeys } from "./keys.ts";

/** Records of one page: some hundred kilobytes as a rule, and a moment of the server's time. */
const PAGE_RECORDS_MAX = 500;
/** Sorts after every character that a key can hold. */
const LAST_CHARACTER = "\u{10ffff}";

export interface RecordPage {
  /** The last version that was given when the page was read. */
  readonly revision: number;
  readonly records: readonly Versioned[];
}

/** All records under a prefix, in order of keys. Each page is of one moment, the next one of a later. At least one page. */
export async function* listPages(connection: RedisConnection, keys: RecordKeys, prefix: string): AsyncGenerator<RecordPage> {
  const end = prefix === "" ? "+" : `(${prefix}${LAST_CHARACTER}`;
  let begin = prefix === "" ? "-" : `[${prefix}`;
  for (;;) {
    const reply = await connection.run("records-page", [keys.values, keys.order, keys.revision], [begin, end, PAGE_RECORDS_MAX]);
    const [revision, ...flat] = reply as string[];
    const records: Versioned[] = [];
    for (let at = 0; at < flat.length; at += 2) records.push(readRecord(flat[at]!, flat[at + 1]!, keys));
    yield { revision: Number(revision), records };
    if (records.length < PAGE_RECORDS_MAX) return;
    begin = `(${records.at(-1)!.key}`;
  }
}

/** "<version> <json>". @throws Fault checksum_mismatch for anything else */
export function readRecord(key: string, text: string, { values }: RecordKeys): Versioned {
  const space = text.indexOf(" ");
  const version = Number(text.slice(0, space));
  try {
    if (space < 1 || !Number.isSafeInteger(version)) throw new Error("it begins with no version");
    return { key, value: JSON.parse(text.slice(space + 1)), version };
  } catch (cause) {
    throw new Fault("checksum_mismatch", `the record ${key} in ${values.name} is damaged: ${(cause as Error).message}`, { cause });
  }
}
