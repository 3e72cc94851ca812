import {
  type BaseDigest,
  type Bytes,
  type Clock,
  type CreateEvictionOrder,
  type DeltaDigest,
  Fault,
  GIB,
  isFault,
  leastRecentlyUsed,
  MIB,
} from "#kernel";
import type { BaseInfo, DeltaInspection, DeltaReference, LoadedDelta } from "#model";
import type { Engine, Slot } from "../engine/contract.ts";
import type { Arrival, DeltaLease, DeltaOrigin, TierLease, TierLimits, TierObserver, TierStatus } from "./contract.ts";
import { noteUse, type StoredDelta, scanFolders } from "./delta-folder.ts";
import type { DeltaLoader } from "./delta-loader.ts";
import { createDiskSource } from "./disk-source.ts";
import { createFailureMemory, type FailureMemory, type FailureMemoryOptions } from "./failure-memory.ts";
import { LoadTimes } from "./load-times.ts";
import { createRamSource, isBadContent } from "./ram-source.ts";
import { ResidencyBook } from "./residency-book.ts";
import { type FetchFromPeer, SharedOrigin } from "./shared-origin.ts";
import { createSlotSource } from "./slot-source.ts";
import { Tier } from "./tier.ts";

/** Deltas in memory, unless told otherwise. */
export const RAM_BYTES_MAX: Bytes = GIB;

export interface DeltaCacheOptions {
  readonly directory: string;
  /** Default 1 GiB: a thousand deltas of a small base, a few dozen of a large one. */
  readonly ramBytesMax?: Bytes;
  /** Default 16 GiB: disk is cheap, and a fetch costs the router's bandwidth. */
  readonly diskBytesMax?: Bytes;
  /** Default 256 MiB: the largest delta that is fetched, and what is set aside while one is. */
  readonly fetchBytesMax?: Bytes;
  readonly failures?: FailureMemoryOptions;
  /** Of each tier. Default: least recently used leaves first. */
  readonly eviction?: CreateEvictionOrder;
}

export interface DeltaCacheDeps {
  readonly clock: Clock;
  readonly origin: DeltaOrigin;
  readonly loader: DeltaLoader;
  /** Default: other nodes are not asked. */
  readonly fetchFromPeer?: FetchFromPeer;
  readonly observer?: TierObserver;
}

/** Two at a time: one reads while the other converts; more only compete for the disk and the engine's cores. */
const RAM_LOADS_MAX = 2;
/** One of 64 slots: the next load then waits for one boundary of steps, to come in, and not for another one before, on which somebody leaves. */
const SLOTS_SPARE_SHARE = 0.02;
/** Network waits overlap well. */
const FETCHES_MAX = 4;
/** Of a node: distinct deltas that may wait for a load. Past it a request is better off on another node. */
const WAITING_MAX = 256;
const RAM_ENTRIES_MAX = 16_384;
const DISK_ENTRIES_MAX = 65_536;
/** Pinned deltas may take half of the RAM: the other half must keep moving for everybody else. */
const PINNED_SHARE_MAX = 0.5;

/** How much of one engine the deltas may take. */
export interface SlotLimits {
  readonly slotsMax: number;
  /** Sum of the ranks of all attached deltas. */
  readonly tableRanksMax: number;
}

/** The slots of one engine, from its start to its end. */
export interface DeltaSlots {
  /**
   * Brings the delta into a slot and holds it there.
   *
   * @throws Fault capacity_exhausted when too many deltas wait; delta_unavailable or the delta's own fault when it can't be loaded.
   */
  acquire(reference: DeltaReference, signal: AbortSignal): Promise<DeltaLease>;
  readonly status: TierStatus;
  /** The engine is gone: all slots are void, who waits gets `reason`. */
  close(reason: unknown): void;
}

/**
 * All deltas of one node: engine slots over RAM over disk over the origin. RAM and disk are shared by all bases; each
 * engine has slots of its own.
 */
export class DeltaCache implements AsyncDisposable {
  readonly residency = new ResidencyBook();
  readonly loadTimes = new LoadTimes();
  readonly #clock: Clock;
  readonly #loader: DeltaLoader;
  readonly #observer: TierObserver;
  readonly #origin: SharedOrigin;
  readonly #eviction: CreateEvictionOrder;
  readonly #bases = new Map<BaseDigest, BaseInfo>();
  readonly #disk: Tier<StoredDelta>;
  readonly #ram: Tier<LoadedDelta>;
  readonly #slots = new Set<Tier<Slot>>();
  readonly #pins = new Map<DeltaDigest, TierLease<LoadedDelta>>();
  readonly #failures: FailureMemory;
  readonly #pinnedBytesMax: Bytes;

  constructor(deps: DeltaCacheDeps, options: DeltaCacheOptions, stored: readonly StoredDelta[]) {
    const diskBytesMax = options.diskBytesMax ?? 16 * GIB;
    const ramBytesMax = options.ramBytesMax ?? RAM_BYTES_MAX;
    const fetchBytesMax = Math.min(options.fetchBytesMax ?? 256 * MIB, diskBytesMax);
    this.#clock = deps.clock;
    this.#loader = deps.loader;
    this.#failures = createFailureMemory(deps.clock, options.failures);
    this.#pinnedBytesMax = ramBytesMax * PINNED_SHARE_MAX;
    this.#observer = (event) => {
      this.residency.observe(event);
      this.loadTimes.observe(event);
      if (event.tier === "disk" && event.kind === "hit") void noteUse(options.directory, event.reference, deps.clock.now());
      deps.observer?.(event);
    };
    this.#eviction = options.eviction ?? leastRecentlyUsed;
    this.#origin = new SharedOrigin(deps.origin, deps.fetchFromPeer ?? noPeers);
    const diskSource = createDiskSource(this.#origin, options.directory, fetchBytesMax);
    this.#disk = new Tier("disk", deps.clock, diskSource, this.#limits(diskBytesMax, DISK_ENTRIES_MAX, FETCHES_MAX), this.#observer);
    const ramSource = createRamSource(this.#disk, deps.loader, this.#bases, (digest, facts) => this.residency.learn(digest, facts));
    this.#ram = new Tier("ram", deps.clock, ramSource, this.#limits(ramBytesMax, RAM_ENTRIES_MAX, RAM_LOADS_MAX), this.#observer);
    for (const delta of stored) this.#disk.adopt(delta.reference, delta, delta.sizeBytes);
  }

  get status(): { readonly ram: TierStatus; readonly disk: TierStatus } {
    return { ram: this.#ram.status, disk: this.#disk.status };
  }

  /** Deltas of this base can be loaded from now on. */
  addBase(base: BaseInfo): void {
    this.#bases.set(base.digest, base);
  }

  openSlots(engine: Pick<Engine, "attach" | "detach">, { slotsMax, tableRanksMax }: SlotLimits): DeltaSlots {
    const source = createSlotSource(this.#ram, engine);
    const limits = { ...this.#limits(tableRanksMax, slotsMax, RAM_LOADS_MAX), spareShare: SLOTS_SPARE_SHARE };
    const tier = new Tier("slot", this.#clock, source, limits, this.#observer);
    this.#slots.add(tier);
    return {
      acquire: (reference, signal) => this.#acquire(tier, reference, signal),
      get status() {
        return tier.status;
      },
      close: (reason) => {
        this.#slots.delete(tier);
        tier.close(reason);
      },
    };
  }

  /** Other nodes, `host:port`, that may have the delta: asked before the store when it has to be fetched. */
  hint(digest: DeltaDigest, sources: readonly string[]): void {
    if (!this.#disk.has(digest)) this.#origin.hint(digest, sources);
  }

  /** Brings a delta into a tier, and leaves its pin as it is. */
  async raise(reference: DeltaReference, target: "ram" | "disk", signal: AbortSignal): Promise<void> {
    const tier: Tier<unknown> = target === "ram" ? this.#ram : this.#disk;
    (await this.#remembering(reference, () => tier.acquire(reference, signal))).release();
  }

  /** Drops a delta from slots and RAM once nothing uses it; pinned ones stay. */
  lower(digest: DeltaDigest): void {
    if (this.#pins.has(digest)) return;
    for (const tier of [...this.#slots, this.#ram]) tier.forget(digest);
  }

  /**
   * The delta's files, for another node: held until released.
   * @throws Fault delta_unavailable when it is neither on disk nor on its way from the store
   */
  lend(reference: DeltaReference, signal: AbortSignal): Promise<TierLease<StoredDelta>> {
    const { digest } = reference;
    if (this.#disk.has(digest) || this.#origin.comesFromStore(digest)) return this.#disk.acquire(reference, signal);
    throw new Fault("delta_unavailable", "the delta is not on this node");
  }

  /** Brings a delta into RAM and keeps it there while pinned. Called again with `pinned` false it unpins. */
  async warm(reference: DeltaReference, pinned: boolean, signal: AbortSignal): Promise<void> {
    const lease = await this.#remembering(reference, () => this.#ram.acquire(reference, signal));
    if (pinned && !this.#pins.has(reference.digest)) this.#pin(reference, lease);
    else lease.release();
    if (!pinned) this.#unpin(reference.digest);
  }

  /** Fetches a new delta and checks all of it against its base. It stays on disk; when it is bad, nothing of it does. */
  async inspect(reference: DeltaReference, signal: AbortSignal): Promise<DeltaInspection> {
    const base = this.#bases.get(reference.baseDigest);
    if (!base) throw new Fault("delta_base_mismatch", "the delta's base is not on this node");
    this.#failures.forget(reference.digest); // It may just have been uploaded.
    for (;;) {
      const stored = await this.#disk.acquire(reference, signal);
      try {
        return await this.#loader.inspect(stored.value.directory, reference, base);
      } catch (error) {
        if (!isFault(error) || !isBadContent(error)) throw error;
        stored.release("corrupt");
        if (stored.fresh) throw error; // Else an old copy may be damaged: the next one comes from the origin.
      } finally {
        stored.release();
      }
    }
  }

  /** Drops a delta from every tier once nothing uses it. */
  forget(digest: DeltaDigest): void {
    this.#unpin(digest);
    this.#failures.forget(digest);
    for (const tier of [...this.#slots, this.#ram, this.#disk]) tier.forget(digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new Fault("shutting_down", "the node is shutting down");
    for (const tier of [...this.#slots, this.#ram, this.#disk]) tier.close(reason);
    await this.#loader[Symbol.asyncDispose]();
  }

  async #acquire(tier: Tier<Slot>, reference: DeltaReference, signal: AbortSignal): Promise<DeltaLease> {
    const arrival = this.#arrival(tier, reference.digest);
    const lease = await this.#remembering(reference, () => tier.acquire(reference, signal));
    return { slot: lease.value, arrival, release: () => lease.release() };
  }

  #arrival(slots: Tier<Slot>, digest: DeltaDigest): Arrival {
    const tier = [slots, this.#ram, this.#disk].find((each) => each.has(digest));
    return tier?.name ?? "origin";
  }

  async #remembering<T>(reference: DeltaReference, acquire: () => Promise<T>): Promise<T> {
    this.#failures.check(reference.digest);
    try {
      return await acquire();
    } catch (error) {
      this.#failures.note(reference.digest, error);
      throw error;
    }
  }

  #pin(reference: DeltaReference, lease: TierLease<LoadedDelta>): void {
    let pinnedBytes = lease.value.sizeBytes;
    for (const pin of this.#pins.values()) pinnedBytes += pin.value.sizeBytes;
    if (pinnedBytes > this.#pinnedBytesMax) {
      lease.release();
      throw new Fault("capacity_exhausted", `pinned deltas may take ${this.#pinnedBytesMax} bytes of this node's memory`, {
        retry: { kind: "never" },
      });
    }
    this.#pins.set(reference.digest, lease);
    this.residency.setPinned(reference.digest, true);
  }

  #limits(capacity: number, entriesMax: number, loadsMax: number): TierLimits {
    return { capacity, entriesMax, loadsMax, waitingMax: WAITING_MAX, eviction: this.#eviction };
  }

  #unpin(digest: DeltaDigest): void {
    const pin = this.#pins.get(digest);
    if (!pin) return;
    this.#pins.delete(digest);
    this.residency.setPinned(digest, false);
    pin.release();
  }
}

/** Opens the cache over what an earlier life left on disk; what is there is verified when it is read. */
export async function openDeltaCache(deps: DeltaCacheDeps, options: DeltaCacheOptions): Promise<DeltaCache> {
  return new DeltaCache(deps, options, await scanFolders(options.directory));
}

const noPeers: FetchFromPeer = async () => {
  throw new Fault("delta_unavailable", "other nodes are not asked");
};
