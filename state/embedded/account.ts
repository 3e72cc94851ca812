import type { Millis } from "#kernel";
import { type Bucket, forgottenInMs, fullLevel, type Level, levelAt } from "../bucket.ts";
import type { Draw, Take } from "../contract.ts";

export interface LiveTake {
  readonly draws: readonly Draw[];
  /** What the first asker was told. */
  readonly answer: Take;
  readonly endsAt: Millis;
}

export interface Hold {
  readonly amount: bigint;
  readonly endsAt: Millis;
}

/** One account's live takes, holds and bucket levels. */
export class Account {
  readonly takes = new Map<string, LiveTake>();
  readonly #holds = new Map<string, Hold>();
  readonly #levels = new Map<string, Level & { readonly forgottenAt: Millis }>();
  #held = 0n;
  /** Nothing ends before: so that the usual operation does not look at every take. */
  #nextEnd = Number.POSITIVE_INFINITY;

  /** The sum of all holds. */
  get held(): bigint {
    return this.#held;
  }

  heldBy(id: string): bigint {
    return this.#holds.get(id)?.amount ?? 0n;
  }

  /** A hold of the same id is replaced. */
  hold(id: string, hold: Hold): void {
    this.endHold(id);
    this.#holds.set(id, hold);
    this.#held += hold.amount;
    this.#nextEnd = Math.min(this.#nextEnd, hold.endsAt);
  }

  endHold(id: string): void {
    this.#held -= this.heldBy(id);
    this.#holds.delete(id);
  }

  begin(id: string, take: LiveTake): void {
    this.takes.set(id, take);
    this.#nextEnd = Math.min(this.#nextEnd, take.endsAt);
  }

  /** A meter's level at `now`, full when it is not known. */
  level(meter: string, bucket: Bucket, now: Millis): Level {
    const level = this.#levels.get(meter);
    return level ? levelAt(bucket, level, now) : fullLevel(bucket, now);
  }

  setLevel(meter: string, bucket: Bucket, level: Level): void {
    this.#levels.set(meter, { ...level, forgottenAt: level.at + forgottenInMs(bucket, level) });
  }

  /** Ends what has outlived its time. */
  expire(now: Millis): void {
    if (now < this.#nextEnd) return;
    for (const [id, take] of this.takes) if (take.endsAt <= now) this.takes.delete(id);
    for (const [id, hold] of this.#holds) if (hold.endsAt <= now) this.endHold(id);
    const ends = [...this.takes.values(), ...this.#holds.values()].map(({ endsAt }) => endsAt);
    this.#nextEnd = ends.reduce((first, end) => Math.min(first, end), Number.POSITIVE_INFINITY);
  }

  /** Forgets what says nothing any more. Whether nothing is left. */
  shrink(now: Millis): boolean {
    this.expire(now);
    for (const [meter, { forgottenAt }] of this.#levels) if (forgottenAt <= now) this.#levels.delete(meter);
    return this.takes.size + this.#holds.size + this.#levels.size === 0;
  }
}
