import { Fault } from "#kernel";

/** Of all keys of Deltaplane in a Redis, unless another one is chosen. */
export const DEFAULT_PREFIX = "deltaplane:";

/** @throws Fault parameter_invalid */
export function checkPrefix(prefix: string): string {
  if (/[{}]/.test(prefix)) throw new Fault("parameter_invalid", "a prefix of keys has no braces", { detail: { field: "prefix" } });
  return prefix;
}

/** What Redis keeps under a key. */
export type KeyType = "hash" | "zset" | "stream" | "string";

/** A key, and what must be there: so that a fault can say which key holds something else. */
export interface RedisKey {
  readonly name: string;
  readonly type: KeyType;
}

/** The keys of the records; all in one slot of a cluster. */
export interface RecordKeys {
  readonly values: RedisKey;
  readonly order: RedisKey;
  readonly revision: RedisKey;
  readonly changes: RedisKey;
}

/** The keys of a book and of the account of the same name, which share a slot: a commit ends holds, and a hold looks at a counter. */
export interface BookKeys {
  readonly book: RedisKey;
  readonly lines: RedisKey;
  readonly groups: RedisKey;
  readonly buckets: RedisKey;
  readonly takes: RedisKey;
  readonly ends: RedisKey;
  readonly holds: RedisKey;
  readonly holdEnds: RedisKey;
  readonly held: RedisKey;
  counters(group: string): RedisKey;
  answer(key: string): RedisKey;
}

/**
 * Names of keys: `<prefix>{<tag>}:<part>`. Redis Cluster keeps all keys with the same tag on one node, and a script may
 * only touch keys of one tag.
 */
export class RedisKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get check(): RedisKey {
    return this.#key("check", "check", "string");
  }

  /** Names of all books. */
  get books(): RedisKey {
    return this.#key("books", "index", "zset");
  }

  get records(): RecordKeys {
    return {
      values: this.#key("records", "values", "hash"),
      order: this.#key("records", "order", "zset"),
      revision: this.#key("records", "revision", "string"),
      changes: this.#key("records", "changes", "stream"),
    };
  }

  /** Who is where. */
  get registry(): RedisKey {
    return this.#key("registry", "members", "hash");
  }

  lease(name: string): RedisKey {
    return this.#key(`lease:${name}`, "lease", "hash");
  }

  book(name: string): BookKeys {
    const key = (part: string, type: KeyType) => this.#key(name, part, type);
    return {
      book: key("book", "hash"),
      lines: key("lines", "stream"),
      groups: key("groups", "zset"),
      buckets: key("buckets", "hash"),
      takes: key("takes", "hash"),
      ends: key("ends", "zset"),
      holds: key("holds", "hash"),
      holdEnds: key("hold-ends", "zset"),
      held: key("held", "string"),
      counters: (group) => key(`counters:${group}`, "hash"),
      answer: (text) => key(`answer:${text}`, "hash"),
    };
  }

  /** A tag ends at the first closing brace, so that a name must have none; `%` makes the replacement unambiguous. */
  #key(tag: string, part: string, type: KeyType): RedisKey {
    return { name: `${this.#prefix}{${tag.replace(/[%{}]/g, (character) => encodeURIComponent(character))}}:${part}`, type };
  }
}
