import { type Claim, type ClaimOutbox, type Clock, type DeltaDigest, MINUTE, type Millis } from "#kernel";

/** A request counts half after this long: what was asked for a few minutes ago is still warm to the eye. */
const HALF_LIFE_MS: Millis = MINUTE;
/** What has cooled down below this is forgotten: one token in an hour. */
const NEGLIGIBLE_PER_SECOND = 1 / 3600;
/** Deltas that are warm at one time; beyond it the one that was used longest ago goes. */
const DELTAS_MAX = 20_000;

/** How much each delta was used of late through this router, in tokens per second: for people to look at, not to decide by. */
export class DeltaHeat {
  readonly #clock: Pick<Clock, "monotonic">;
  /** In the order of last use. */
  readonly #sums = new Map<DeltaDigest, { readonly tokens: number; readonly at: Millis }>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** Takes a request into account when it has ended. */
  observe({ deltaDigest, outcome, usage }: Pick<Claim, "deltaDigest" | "outcome" | "usage">): void {
    if (deltaDigest === undefined || outcome === "running") return;
    const at = this.#clock.monotonic();
    const tokens = this.#decayed(deltaDigest, at) + usage.promptTokens + usage.completionTokens;
    this.#sums.delete(deltaDigest);
    this.#sums.set(deltaDigest, { tokens, at });
    if (this.#sums.size > DELTAS_MAX) this.#sums.delete(this.#sums.keys().next().value!);
  }

  /** A constant stream of w tokens per second converges to w. */
  perSecond(digest: DeltaDigest): number {
    const rate = (this.#decayed(digest, this.#clock.monotonic()) * Math.LN2 * 1000) / HALF_LIFE_MS;
    return rate < NEGLIGIBLE_PER_SECOND ? 0 : rate;
  }

  #decayed(digest: DeltaDigest, at: Millis): number {
    const sum = this.#sums.get(digest);
    return sum ? sum.tokens * 2 ** ((sum.at - at) / HALF_LIFE_MS) : 0;
  }
}

/** The outbox, with what goes through it observed. */
export function observed(outbox: ClaimOutbox, heat: DeltaHeat): ClaimOutbox {
  return {
    get pending() {
      return outbox.pending;
    },
    write(claim) {
      heat.observe(claim);
      return outbox.write(claim);
    },
    flush: () => outbox.flush(),
    [Symbol.asyncDispose]: () => outbox[Symbol.asyncDispose](),
  };
}
