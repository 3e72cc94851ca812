import type { RedisConnection } from "./connection.ts";
import type { RedisKey } from "./keys.ts";

/** Names that are read at once. */
const PAGE_NAMES_MAX = 5_000;

/** All members of a sorted set in which all scores are 0, in order of their bytes. */
export async function sortedNames(connection: RedisConnection, key: RedisKey): Promise<string[]> {
  const names: string[] = [];
  let begin = "-";
  for (;;) {
    const page = (await connection.command("ZRANGE", key, begin, "+", "BYLEX", "LIMIT", 0, PAGE_NAMES_MAX)) as string[];
    names.push(...page);
    if (page.length < PAGE_NAMES_MAX) return names;
    begin = `(${page.at(-1)!}`;
  }
}
