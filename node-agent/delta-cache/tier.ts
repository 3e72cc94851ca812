import {
  assert,
  type Clock,
  type DeltaDigest,
  Fault,
  InvariantError,
  leastRecentlyUsed,
  type Millis,
  RoomLine,
  type Tier as TierName,
} from "#kernel";
import type { DeltaReference } from "#model";
import {
  type PreparedLoad,
  StaleCopy,
  type TierEvent,
  type TierLease,
  type TierLimits,
  type TierObserver,
  type TierSource,
  type TierStatus,
} from "./contract.ts";
import { LoadGate } from "./load-gate.ts";
import { type Loaded, ReadyEntries } from "./ready-entries.ts";
import { type Occupancy, planRoom, planSpare } from "./room.ts";
import { type Entry, type LoadingEntry, type ReadyEntry, unlessAborted, type Wish, waitForLoad } from "./tier-entry.ts";

/** One retry: a copy that is damaged again right after it was fetched is not a stale copy any more. */
const PREPARES_MAX = 2;

/**
 * One tier of the delta cache: entries under a capacity, in an order of eviction, with one shared load per delta.
 *
 * Invariants: an entry that is held is never evicted; the sum of all sizes (ready, granted to a load, leaving) never
 * exceeds the capacity, nor their number the maximum; at most one load runs per delta; everyone who asks is answered.
 */
export class Tier<V> {
  readonly name: TierName;
  readonly #clock: Clock;
  readonly #source: TierSource<V>;
  readonly #limits: TierLimits;
  readonly #observer: TierObserver;
  readonly #gate: LoadGate;
  readonly #entries = new Map<DeltaDigest, Entry<V>>();
  readonly #ready: ReadyEntries<V>;
  /** Loads that wait for room. */
  readonly #wanting = new RoomLine<Wish<V>>();
  #used = 0;
  #granted = 0;
  #loading = 0;
  #leaving = 0;
  #leavingSize = 0;
  #held = 0;
  /** Sum of the sizes of those entries. */
  #heldSize = 0;
  #closed: { readonly reason: unknown } | undefined;

  constructor(name: TierName, clock: Clock, source: TierSource<V>, limits: TierLimits, observer: TierObserver) {
    this.name = name;
    this.#clock = clock;
    this.#source = source;
    this.#limits = limits;
    this.#observer = observer;
    this.#gate = new LoadGate(limits.loadsMax);
    this.#ready = new ReadyEntries(clock, limits.eviction ?? leastRecentlyUsed);
  }

  get status(): TierStatus {
    const { capacity } = this.#limits;
    return { entries: this.#occupied, used: this.#used, capacity, held: this.#held, starved: this.#wanting.size };
  }

  /** Whether the delta could be had at once. Changes nothing. */
  has(digest: DeltaDigest): boolean {
    const entry = this.#entries.get(digest);
    return entry?.kind === "ready" && entry.fate !== "corrupt";
  }

  /** Takes over an entry that exists already, as the most recently used. False when there is no room. */
  adopt(reference: DeltaReference, value: V, size: number): boolean {
    if (this.#used + size > this.#limits.capacity || this.#occupied >= this.#limits.entriesMax) return false;
    assert(!this.#entries.has(reference.digest), "an entry is adopted once");
    this.#used += size;
    this.#entries.set(reference.digest, this.#ready.add(reference, { value, size, ownMs: 0 }, "kept"));
    this.#tell({ kind: "ready", size, loadMs: 0 }, reference);
    return true;
  }

  /**
   * Lends the entry, loading it first when need be. All who wait for one delta share its load; who leaves does not end it.
   *
   * @throws Fault capacity_exhausted when too many loads wait already; what the source throws; the signal's reason.
   */
  async acquire(reference: DeltaReference, signal: AbortSignal): Promise<TierLease<V>> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) throw this.#closed.reason;
      const entry = this.#entries.get(reference.digest);
      if (!entry) {
        this.#tell({ kind: "miss" }, reference);
        return waitForLoad(this.#begin(reference), signal);
      }
      if (entry.kind === "loading") {
        this.#tell({ kind: "miss" }, reference);
        entry.unwanted = false;
        return waitForLoad(entry, signal);
      }
      if (entry.kind === "ready" && entry.fate !== "corrupt") {
        if (!this.#mayHold(entry)) {
          this.#evict(entry); // It goes to the end of the line.
          continue;
        }
        this.#tell({ kind: "hit" }, reference);
        entry.fate = "kept";
        return this.#lend(entry, false);
      }
      await unlessAborted(entry.gone.promise, signal);
    }
  }

  /** Evicts the delta once nobody uses it; whoever asks for it before keeps it. */
  forget(digest: DeltaDigest): void {
    const entry = this.#entries.get(digest);
    if (entry?.kind === "loading") entry.unwanted = true;
    if (entry?.kind !== "ready") return;
    if (entry.fate === "kept") entry.fate = "unwanted";
    if (entry.references === 0) this.#evict(entry);
  }

  /** All entries are void from now on and are not dropped one by one. Who waits gets `reason`. Idempotent. */
  close(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = { reason };
    for (const entry of [...this.#entries.values()]) {
      if (entry.kind === "loading") {
        entry.abort.abort(reason);
        this.#refuseAll(entry, reason);
      }
      this.#tell({ kind: "gone" }, entry.reference);
      if (entry.kind !== "loading") entry.gone.resolve();
    }
    this.#entries.clear();
    this.#ready.clear();
  }

  get #occupied(): number {
    return this.#ready.size + this.#granted + this.#leaving;
  }

  #begin(reference: DeltaReference): LoadingEntry<V> {
    if (this.#loading >= this.#limits.loadsMax + this.#limits.waitingMax)
      throw new Fault("capacity_exhausted", `too many deltas are waiting for the ${this.name} tier`);
    const entry: LoadingEntry<V> = {
      kind: "loading",
      reference,
      waiters: new Set(),
      abort: new AbortController(),
      phase: "waiting",
      size: 0,
      unwanted: false,
    };
    this.#entries.set(reference.digest, entry);
    this.#loading += 1;
    this.#tell({ kind: "loading" }, reference);
    void this.#load(entry);
    return entry;
  }

  /** The one load of an entry, from the gate to the answer. Its outcome goes to the waiters; only a broken invariant is thrown. */
  async #load(entry: LoadingEntry<V>): Promise<void> {
    const startedAt = this.#clock.monotonic();
    try {
      const loaded = await this.#loadFresh(entry);
      if (!this.#closed) this.#becomeReady(entry, loaded, this.#clock.monotonic() - startedAt);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      if (!this.#closed) this.#fail(entry, error);
    } finally {
      this.#loading -= 1;
    }
  }

  async #loadFresh(entry: LoadingEntry<V>): Promise<Loaded<V>> {
    for (let prepares = 1; ; prepares++) {
      const prepared = await this.#source.prepare(entry.reference, entry.abort.signal);
      try {
        return await this.#run(entry, prepared);
      } catch (error) {
        if (!(error instanceof StaleCopy) || prepares >= PREPARES_MAX) throw error instanceof StaleCopy ? error.cause : error;
        this.#giveBack(entry);
      } finally {
        prepared.release();
      }
    }
  }

  /** The load itself, in turn and with room for it. Who must wait for room does so outside the gate: others have theirs. */
  async #run(entry: LoadingEntry<V>, prepared: PreparedLoad<V>): Promise<Loaded<V>> {
    using gate = await this.#gate.enter(entry.abort.signal);
    const reserved = this.#reserve(entry, prepared);
    if (entry.phase === "waiting") await gate.outside(reserved);
    entry.phase = "running";
    const startedAt = this.#clock.monotonic();
    const loaded = await this.#withinReserve(entry, await prepared.load());
    return { ...loaded, ownMs: this.#clock.monotonic() - startedAt };
  }

  /** What turned out larger than announced is not kept: the sum of all sizes is a promise. */
  async #withinReserve(entry: LoadingEntry<V>, loaded: { value: V; size: number }): Promise<{ value: V; size: number }> {
    if (loaded.size <= entry.size) return loaded;
    await this.#source.drop(entry.reference, loaded.value);
    throw new Fault("bug", `a ${this.name} entry of ${loaded.size} was announced as ${entry.size}`);
  }

  #reserve(entry: LoadingEntry<V>, prepared: PreparedLoad<V>): Promise<void> {
    const signal = entry.abort.signal;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => () => {
        signal.removeEventListener("abort", abort);
        this.#wanting.delete(wish);
        then();
      };
      const abort = () => {
        settle(() => reject(signal.reason))();
        this.#grantRoom(); // The next in line may be smaller.
      };
      const wish = {
        entry,
        size: prepared.size,
        sinceMs: this.#clock.monotonic(),
        grant: settle(resolve),
        refuse: (error: unknown) => settle(() => reject(error))(),
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#wanting.add(wish);
      this.#grantRoom();
    });
  }

  /** Called whenever room may have come free, or someone new wants it. */
  #grantRoom(): void {
    for (const wish of this.#wanting) {
      const plan = planRoom(this.#occupancy, wish.size, this.#ready.idle());
      if (plan.kind === "never") {
        const limit = `the ${this.name} tier holds ${this.#limits.capacity}`;
        wish.refuse(new Fault("capacity_exhausted", `the delta needs ${wish.size}, ${limit}`, { retry: { kind: "never" } }));
        continue;
      }
      if (plan.kind === "evict") {
        for (const digest of plan.victims) this.#evict(this.#ready.get(digest)!);
        return; // It is the next to whom this comes.
      }
      if (plan.kind === "wait") {
        if (this.#wanting.isOverdue(wish, this.#clock.monotonic())) return;
        continue; // Those after it may be small enough.
      }
      wish.entry.phase = "granted";
      wish.entry.size = wish.size;
      this.#used += wish.size;
      this.#granted += 1;
      wish.grant();
    }
  }

  /** Whether an entry may be held beside what is kept for a load that has waited for too long. */
  #mayHold({ references, size }: ReadyEntry<V>): boolean {
    const keptSize = references > 0 ? 0 : this.#wanting.keptSize(this.#clock.monotonic());
    if (keptSize === 0) return true;
    return this.#heldSize + size + keptSize <= this.#limits.capacity && this.#held + 2 <= this.#limits.entriesMax;
  }

  get #occupancy(): Occupancy {
    const { capacity, entriesMax } = this.#limits;
    const leaving = { leavingSize: this.#leavingSize, leavingEntries: this.#leaving };
    return { capacity, entriesMax, used: this.#used, entries: this.#occupied, ...leaving };
  }

  /** Whoever waits comes first: they evict for themselves. */
  #keepSpare(): void {
    const { spareShare } = this.#limits;
    if (!spareShare || this.#wanting.size > 0) return;
    for (const digest of planSpare(this.#occupancy, spareShare, this.#ready.idle())) this.#evict(this.#ready.get(digest)!);
  }

  #giveBack(entry: LoadingEntry<V>): void {
    if (entry.phase === "waiting") return;
    this.#used -= entry.size;
    this.#granted -= 1;
    entry.size = 0;
    entry.phase = "waiting";
    this.#grantRoom();
  }

  #becomeReady(entry: LoadingEntry<V>, loaded: Loaded<V>, loadMs: Millis): void {
    this.#used -= entry.size - loaded.size;
    this.#granted -= 1;
    const fate = entry.unwanted ? "unwanted" : "kept";
    const ready = this.#ready.add(entry.reference, loaded, fate);
    this.#entries.set(entry.reference.digest, ready);
    this.#tell({ kind: "ready", size: loaded.size, loadMs, ownMs: loaded.ownMs }, entry.reference);
    for (const waiter of entry.waiters) waiter.answer(this.#lend(ready, true));
    if (ready.references === 0 && fate === "unwanted") this.#evict(ready);
    this.#grantRoom();
    this.#keepSpare();
  }

  #fail(entry: LoadingEntry<V>, error: unknown): void {
    this.#entries.delete(entry.reference.digest);
    this.#tell({ kind: "failed", error }, entry.reference);
    this.#refuseAll(entry, error);
    this.#giveBack(entry);
  }

  #refuseAll(entry: LoadingEntry<V>, error: unknown): void {
    for (const waiter of entry.waiters) waiter.refuse(error);
    entry.waiters.clear();
  }

  #lend(entry: ReadyEntry<V>, fresh: boolean): TierLease<V> {
    if (!fresh) this.#ready.use(entry);
    if (entry.references === 0) {
      this.#held += 1;
      this.#heldSize += entry.size;
    }
    entry.references += 1;
    this.#tell({ kind: "references", references: entry.references }, entry.reference);
    let held = true;
    return {
      value: entry.value,
      fresh,
      release: (as) => {
        if (!held) return;
        held = false;
        this.#takeBack(entry, as);
      },
    };
  }

  #takeBack(entry: ReadyEntry<V>, as: "corrupt" | undefined): void {
    entry.references -= 1;
    assert(entry.references >= 0, "a lease is released once");
    if (entry.references === 0) {
      this.#held -= 1;
      this.#heldSize -= entry.size;
    }
    if (this.#closed) return;
    if (as === "corrupt") entry.fate = "corrupt";
    this.#tell({ kind: "references", references: entry.references }, entry.reference);
    if (entry.references === 0 && entry.fate !== "kept") this.#evict(entry);
    this.#grantRoom();
    this.#keepSpare();
  }

  #evict(entry: ReadyEntry<V>): void {
    assert(entry.references === 0, "what is in use is not evicted");
    const { reference, size, gone } = entry;
    this.#ready.evict(entry);
    this.#leaving += 1;
    this.#leavingSize += size;
    this.#entries.set(reference.digest, { kind: "evicting", reference, gone });
    this.#tell({ kind: "evicting" }, reference);
    void this.#drop(entry);
  }

  /** Never rejects. */
  async #drop(entry: ReadyEntry<V>): Promise<void> {
    const { reference, size } = entry;
    const error = await this.#source.drop(reference, entry.value).then(
      () => undefined,
      (thrown: unknown) => ({ thrown }),
    );
    if (this.#closed) return;
    this.#leavingSize -= size;
    this.#leaving -= 1;
    this.#entries.delete(reference.digest);
    entry.gone.resolve();
    if (error) {
      this.#tell({ kind: "stuck", error: error.thrown }, reference);
      return; // What could not be freed is still there: it stays counted in `used`.
    }
    this.#used -= size;
    this.#tell({ kind: "gone" }, reference);
    this.#grantRoom();
  }

  #tell(event: DistributiveOmit<TierEvent, "tier" | "reference">, reference: DeltaReference): void {
    this.#observer({ ...event, tier: this.name, reference } as TierEvent);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
