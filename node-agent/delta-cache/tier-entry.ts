import type { CacheEntry, RoomWish } from "#kernel";
import type { DeltaReference } from "#model";
import type { TierLease } from "./contract.ts";

/** One delta in one tier. Each state names its duty on the way out. */
export type Entry<V> = LoadingEntry<V> | ReadyEntry<V> | EvictingEntry;

/** Exit duty: answer every waiter, with a lease or with the error. */
export interface LoadingEntry<V> {
  readonly kind: "loading";
  readonly reference: DeltaReference;
  readonly waiters: Set<Waiter<V>>;
  /** Ends the load while it only waits; one that runs may finish, it is useful to the next who asks. */
  readonly abort: AbortController;
  /** `granted`: it has its room, and waits for its turn to load. */
  phase: "waiting" | "granted" | "running";
  /** Room reserved so far: 0 until granted. */
  size: number;
  /** Whether to evict it as soon as nobody waits for it or holds it. */
  unwanted: boolean;
}

/** Exit duty: none holds it (`references` is 0). */
export interface ReadyEntry<V> {
  readonly kind: "ready";
  readonly reference: DeltaReference;
  readonly value: V;
  readonly size: number;
  /** What the tier's order of eviction knows of it. */
  readonly rank: CacheEntry;
  references: number;
  /** `unwanted` goes when released, unless somebody asks again; `corrupt` goes in any case and is lent to nobody. */
  fate: "kept" | "unwanted" | "corrupt";
  /** Resolves once it is evicted and its room is free. */
  readonly gone: PromiseWithResolvers<void>;
}

/** Exit duty: give its room back and resolve `gone`. */
export interface EvictingEntry {
  readonly kind: "evicting";
  readonly reference: DeltaReference;
  readonly gone: PromiseWithResolvers<void>;
}

export interface Waiter<V> {
  answer(lease: TierLease<V>): void;
  refuse(error: unknown): void;
}

/** A load that waits for room. */
export interface Wish<V> extends RoomWish {
  readonly entry: LoadingEntry<V>;
  grant(): void;
  refuse(error: unknown): void;
}

/** Waits with all others for the load's answer. Who leaves last ends a load that does not run yet. */
export function waitForLoad<V>(entry: LoadingEntry<V>, signal: AbortSignal): Promise<TierLease<V>> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      entry.waiters.delete(waiter);
      if (entry.waiters.size === 0 && entry.phase !== "running") entry.abort.abort(signal.reason);
      reject(signal.reason);
    };
    const waiter: Waiter<V> = {
      answer: (lease) => {
        signal.removeEventListener("abort", leave);
        resolve(lease);
      },
      refuse: (error) => {
        signal.removeEventListener("abort", leave);
        reject(error);
      },
    };
    entry.waiters.add(waiter);
    signal.addEventListener("abort", leave, { once: true });
  });
}

/** A promise that settles like `promise`, or rejects with the signal's reason when that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
