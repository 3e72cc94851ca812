import { type Clock, every, HOUR, type KeyId, type Log, MINUTE, type Millis, toFault } from "#kernel";
import type { Catalog } from "../catalog/index.ts";

/** What a router tells of its own; a finer answer would say when exactly somebody works. */
const GRAIN_MS: Millis = MINUTE;
/** A key that is used all day costs one write an hour, and what another router knows is at most this old. */
const WRITE_MS: Millis = HOUR;
/** In one round: a busy router writes for a moment a minute, never all the time. */
const WRITES_PER_ROUND_MAX = 500;

/** When each key was last used: here to the minute, elsewhere to the hour. */
export class KeyUses {
  readonly #catalog: Catalog;
  /** At most one for each key that exists. */
  readonly #seen = new Map<KeyId, Millis>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  used(id: KeyId, now: Millis): void {
    this.#seen.set(id, now - (now % GRAIN_MS));
  }

  /** Undefined: never, as far as is known here. */
  lastAt(id: KeyId): Millis | undefined {
    const at = Math.max(this.#seen.get(id) ?? 0, this.#written(id));
    return at === 0 ? undefined : at;
  }

  /** Writes down what the store knows nothing of, or nothing so new. */
  async write(): Promise<void> {
    const due = [...this.#seen].filter(([id, at]) => at - this.#written(id) >= WRITE_MS);
    for (const [id, at] of due.slice(0, WRITES_PER_ROUND_MAX)) await this.#catalog.set("use", id, { at });
  }

  #written(id: KeyId): Millis {
    return this.#catalog.view.get("use", id)?.at ?? 0;
  }
}

/** Writes the uses down, once a minute, until `stopping`. What was seen since the last time is lost with the router. */
export function keepKeyUses(
  uses: KeyUses,
  deps: { readonly clock: Clock; readonly log: Log; readonly stopping: AbortSignal },
): Promise<void> {
  return every(deps.clock, GRAIN_MS, deps.stopping, async () => {
    try {
      await uses.write();
    } catch (error) {
      deps.log.warn({ err: toFault(error) }, "when keys were used could not be written down; trying again in a minute");
    }
  });
}
