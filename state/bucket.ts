import type { Millis } from "#kernel";

/**
 * A token bucket: it holds `limit`, and refills evenly, from empty to full in `windowMs`. Every store computes with these
 * functions or, in Lua, with the same operations on doubles in the same order, so that all stores give the same answers.
 */
export interface Bucket {
  readonly limit: number;
  readonly windowMs: Millis;
}

/**
 * What a bucket held at a time. Below zero when more was used than was drawn. A bucket that nobody knows is full. It is
 * written when something is drawn or given back, never when it was only looked at: each refill rounds. In a store of
 * texts it needs all 17 digits.
 */
export interface Level {
  readonly tokens: number;
  readonly at: Millis;
}

export function fullLevel(bucket: Bucket, now: Millis): Level {
  return { tokens: bucket.limit, at: now };
}

/**
 * The level at `now`. A clock that went back refills nothing; a limit that was lowered since cuts what is there.
 *
 * Lua: `math.min(limit, tokens + math.max(0, now - at) * limit / windowMs)`
 */
export function levelAt(bucket: Bucket, level: Level, now: Millis): Level {
  const refilled = level.tokens + (Math.max(0, now - level.at) * bucket.limit) / bucket.windowMs;
  return { tokens: Math.min(bucket.limit, refilled), at: now };
}

/** A level of now from which `amount` is taken: it fits when it is at most what is there. */
export function hasRoom(level: Level, amount: number): boolean {
  return amount <= level.tokens;
}

/** `amount` out of a level of now, or into it when negative: never above the limit. */
export function drawn(bucket: Bucket, level: Level, amount: number): Level {
  return { tokens: Math.min(bucket.limit, level.tokens - amount), at: level.at };
}

/** Until `amount`, for which there is no room in a level of now, fits; undefined when it never will. */
export function roomInMs(bucket: Bucket, level: Level, amount: number): Millis | undefined {
  if (amount > bucket.limit || bucket.limit === 0) return undefined;
  return Math.ceil(((amount - level.tokens) * bucket.windowMs) / bucket.limit);
}

/** Until a level of now is full again; 0 for a bucket that holds nothing. */
export function fullInMs(bucket: Bucket, level: Level): Millis {
  return bucket.limit === 0 ? 0 : Math.ceil(((bucket.limit - level.tokens) * bucket.windowMs) / bucket.limit);
}

/** What is left in whole tokens; below zero when overdrawn. */
export function left(level: Level): number {
  return Math.floor(level.tokens);
}

/** After this, a level of now may be forgotten: it would be full, with a window to spare for rounding and for a raised limit. */
export function forgottenInMs(bucket: Bucket, level: Level): Millis {
  return fullInMs(bucket, level) + bucket.windowMs;
}
