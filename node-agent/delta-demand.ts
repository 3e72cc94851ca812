import { type Clock, type DeltaDigest, MINUTE, type Millis, SECOND, type Tokens } from "#kernel";

/** What one delta was asked for on this node. */
export interface Demand {
  readonly digest: DeltaDigest;
  /** Prompt and completion tokens since the node's start. */
  readonly tokens: Tokens;
  /** Of late, as a decaying mean. */
  readonly tokensPerSecond: number;
}

/** One reader's place in the changes. */
export interface DemandFeed {
  /** Of all deltas used since the last time. */
  take(): readonly Demand[];
  close(): void;
}

/** A token counts half after this long, as in the schedulers' book of demand. */
const HALF_LIFE_MS: Millis = MINUTE / 2;
/** Those used longest ago are forgotten first. */
const DELTAS_MAX = 65_536;

interface Line {
  tokens: Tokens;
  decaying: number;
  at: Millis;
}

/** Who was asked for how much on this node: what schedulers place deltas by. */
export class DeltaDemand {
  readonly #clock: Clock;
  /** By last use. */
  readonly #lines = new Map<DeltaDigest, Line>();
  readonly #feeds = new Set<Set<DeltaDigest>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  used(digest: DeltaDigest, tokens: Tokens): void {
    const now = this.#clock.monotonic();
    const line = this.#lines.get(digest) ?? { tokens: 0, decaying: 0, at: now };
    line.decaying = decayed(line, now) + tokens;
    line.at = now;
    line.tokens += tokens;
    this.#lines.delete(digest);
    this.#lines.set(digest, line);
    if (this.#lines.size > DELTAS_MAX) this.#lines.delete(this.#lines.keys().next().value!);
    for (const dirty of this.#feeds) dirty.add(digest);
  }

  all(): readonly Demand[] {
    return [...this.#lines.keys()].map((digest) => this.#demandOf(digest));
  }

  follow(): DemandFeed {
    const dirty = new Set<DeltaDigest>();
    this.#feeds.add(dirty);
    return {
      take: () => {
        const used = [...dirty].filter((digest) => this.#lines.has(digest)).map((digest) => this.#demandOf(digest));
        dirty.clear();
        return used;
      },
      close: () => void this.#feeds.delete(dirty),
    };
  }

  #demandOf(digest: DeltaDigest): Demand {
    const line = this.#lines.get(digest)!;
    const perSecond = (decayed(line, this.#clock.monotonic()) * Math.LN2 * SECOND) / HALF_LIFE_MS;
    return { digest, tokens: line.tokens, tokensPerSecond: perSecond };
  }
}

function decayed({ decaying, at }: Line, now: Millis): number {
  return decaying * 2 ** ((at - now) / HALF_LIFE_MS);
}
