import { LRUCache } from "lru-cache";
import { type Clock, Fault, type Millis, type NanoUsd } from "#kernel";
import {
  type Bucket,
  drawn,
  fullInMs,
  fullLevel,
  hasRoom,
  type Level,
  left,
  levelAt,
  type MeterState,
  roomInMs,
  type TakeAsk,
} from "#state";
import { shortage } from "./tenant-limits.ts";

/** One part in so many of what was left of a budget may be spent without the store: some service, and a known end to the risk. */
const SHARE_WITHOUT_STORE = 10n;
/** Tenants of whom something is remembered; what is forgotten of a quiet one is what was left of its limits. */
const TENANTS_MAX = 10_000;
/** When one of too many requests ends is not known; this long is worth waiting. */
const LIVE_WAIT_MS: Millis = 1000;

interface Known {
  readonly levels: Map<string, { readonly bucket: Bucket; readonly level: Level }>;
  /** As the store last said; undefined when it never did. */
  budgetLeft: NanoUsd | undefined;
  /** Held or spent since. */
  spentSince: NanoUsd;
}

/**
 * Stands in for the store while that does not answer: rates by buckets of this router's own, budgets by a share of what
 * was last known to be left. Each router does so by itself, so that all together may let through more than once the
 * limit.
 */
export class LocalLimits {
  readonly #clock: Clock;
  readonly #tenants = new LRUCache<string, Known>({ max: TENANTS_MAX });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the store has said of an account. */
  learn(ask: TakeAsk, meters: readonly MeterState[], budgetLeft: NanoUsd | undefined): void {
    const known = this.#known(ask.account);
    const at = this.#clock.monotonic();
    for (const { meter, left: tokens } of meters) {
      const bucket = ask.draws.find((draw) => draw.meter === meter);
      if (bucket) known.levels.set(meter, { bucket, level: { tokens, at } });
    }
    if (budgetLeft !== undefined) known.budgetLeft = budgetLeft;
    known.spentSince = 0n;
  }

  /**
   * Takes what is asked for, all or nothing; `live` are the account's requests in progress here.
   * @throws Fault rate_exceeded, budget_spent; store_unreachable for a budget of which nothing is known
   */
  take(ask: TakeAsk, live: number): readonly MeterState[] {
    const known = this.#known(ask.account);
    const now = this.#clock.monotonic();
    if (ask.liveMax !== undefined && live >= ask.liveMax) throw shortage(ask, "live", LIVE_WAIT_MS);
    const levels = ask.draws.map((draw) => ({ draw, level: levelOf(known, draw.meter, draw, now) }));
    for (const { draw, level } of levels) {
      if (!hasRoom(level, draw.amount)) throw shortage(ask, draw.meter, roomInMs(draw, level, draw.amount));
    }
    if (ask.hold) this.#hold(known, ask.hold.amount);
    return levels.map(({ draw, level }) => {
      const after = drawn(draw, level, draw.amount);
      known.levels.set(draw.meter, { bucket: draw, level: after });
      return { meter: draw.meter, left: left(after), fullInMs: fullInMs(draw, after) };
    });
  }

  /** Corrects a take of {@link take} by what was used of it, and by what it has cost. */
  settle(ask: TakeAsk, used: Readonly<Record<string, number>>, cost: NanoUsd): void {
    const known = this.#known(ask.account);
    const now = this.#clock.monotonic();
    for (const draw of ask.draws) {
      const level = drawn(draw, levelOf(known, draw.meter, draw, now), (used[draw.meter] ?? 0) - draw.amount);
      known.levels.set(draw.meter, { bucket: draw, level });
    }
    const spent = ask.hold ? known.spentSince + cost - ask.hold.amount : 0n;
    known.spentSince = spent > 0n ? spent : 0n; // The store may have been heard of meanwhile.
  }

  #hold(known: Known, amount: NanoUsd): void {
    if (known.budgetLeft === undefined) throw unreachable();
    if (known.spentSince + amount > known.budgetLeft / SHARE_WITHOUT_STORE) throw unreachable();
    known.spentSince += amount;
  }

  #known(account: string): Known {
    const known = this.#tenants.get(account) ?? { levels: new Map(), budgetLeft: undefined, spentSince: 0n };
    this.#tenants.set(account, known);
    return known;
  }
}

function levelOf(known: Known, meter: string, bucket: Bucket, now: Millis): Level {
  const kept = known.levels.get(meter);
  return kept ? levelAt(bucket, kept.level, now) : fullLevel(bucket, now);
}

function unreachable(): Fault {
  return new Fault("store_unreachable", "the store does not answer, and what may be spent without it is spent");
}
