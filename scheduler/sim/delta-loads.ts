import type { Bytes, EvictionOrder, Millis } from "#kernel";
import type { DeltaCatalog } from "./delta-catalog.ts";
import { DISK, type Link, linkMs, loadMs, type NodeModel, RAM, REMOTE, type SimTier, SLOT } from "./node-model.ts";
import { type SimEntry, TierCache } from "./tier-cache.ts";

/** One delta on its way up; whoever wants it higher while it moves raises the target. */
interface Load {
  readonly delta: number;
  /** Where it is. */
  at: SimTier;
  target: SimTier;
  readonly startedAtMs: Millis;
}

/** Slots are taken by requests only. */
export type AheadTier = typeof RAM | typeof DISK;

export interface TierBytes {
  readonly slot: Bytes;
  readonly ram: Bytes;
  readonly disk: Bytes;
}

export interface LoadsDeps {
  readonly model: NodeModel;
  readonly deltas: DeltaCatalog;
  readonly bytes: TierBytes;
  readonly createOrder: () => EvictionOrder;
  /** Share of the slots' bytes that is kept free, so that a load need not wait for an eviction. */
  readonly unloadBufferShare: number;
  /** Calls {@link DeltaLoads.arrived} at that time. */
  readonly schedule: (atMs: Millis, delta: number) => void;
  readonly inSlot: (delta: number, atMs: Millis) => void;
  readonly slotTaken: (delta: number) => void;
  readonly slotLeft: (delta: number) => void;
}

/** The tiers of one node, and the loads between them: one per delta at a time, each link one after the other. */
export class DeltaLoads {
  readonly #deps: LoadsDeps;
  readonly slots: TierCache;
  #ram: TierCache;
  readonly #disk: TierCache;
  readonly #loads = new Map<number, Load>();
  /** By the tier a link leads from: when it is free. */
  readonly #linkFreeAtMs = [0, 0, 0, 0];
  /** Slows the link from the object store. */
  storeSlowness = 1;
  /** Loads that nobody waits for: begun one by one while the link from the store is idle. */
  #ahead: { readonly delta: number; readonly target: AheadTier }[] = [];
  /** Into slots, for requests or ahead of them. */
  loadCount = 0;
  loadedBytes = 0;
  /** Over the link from the object store, to whatever tier. */
  fetchedBytes = 0;

  constructor(deps: LoadsDeps) {
    const { bytes, createOrder } = deps;
    this.#deps = deps;
    this.slots = new TierCache(bytes.slot, createOrder(), deps.slotLeft);
    this.#ram = new TierCache(bytes.ram, createOrder());
    this.#disk = new TierCache(bytes.disk, createOrder());
  }

  /** Where a request finds the delta; one that is on its way counts as where it is now. */
  tier(delta: number): SimTier {
    const load = this.#loads.get(delta);
    if (load) return load.at;
    if (this.slots.entries.has(delta)) return SLOT;
    if (this.#ram.entries.has(delta)) return RAM;
    return this.#disk.entries.has(delta) ? DISK : REMOTE;
  }

  /** Until the delta would be in its slot if wanted now, with what is already on the links. */
  estimateMs(delta: number, nowMs: Millis): Millis {
    const from = this.tier(delta);
    if (from === SLOT) return 0;
    const { model, deltas } = this.#deps;
    const sizeBytes = deltas.sizeBytes[delta]!;
    const load = this.#loads.get(delta);
    if (load) return Math.max(0, loadMs(model, from, sizeBytes) - (nowMs - load.startedAtMs));
    const busyMs = Math.max(0, this.#linkFreeAtMs[from]! - nowMs);
    return busyMs + loadMs(model, from, sizeBytes);
  }

  /** Takes a place in the slots and begins the load. Undefined when deltas in use leave no room. */
  wantSlot(delta: number, nowMs: Millis): SimEntry | undefined {
    const { model, deltas } = this.#deps;
    const known = this.slots.get(delta);
    if (known) return known;
    const sizeBytes = deltas.sizeBytes[delta]!;
    const hadRoom = this.slots.capacityBytes - this.slots.usedBytes >= sizeBytes;
    const entry = this.slots.admit(delta, sizeBytes, loadMs(model, RAM, sizeBytes), nowMs); // What leaves a slot is still in RAM.
    if (!entry) return undefined;
    this.#deps.slotTaken(delta);
    this.loadCount++;
    this.loadedBytes += sizeBytes;
    this.#keepBuffer(sizeBytes, nowMs);
    this.raise(delta, SLOT, nowMs + (hadRoom ? 0 : model.unloadMs));
    return entry;
  }

  /** Brings a delta up to `target` unless it is there, or on its way: also ahead of any request. */
  raise(delta: number, target: SimTier, nowMs: Millis): void {
    const load = this.#loads.get(delta);
    if (load) {
      load.target = Math.min(load.target, target) as SimTier;
      return;
    }
    const at = this.#below(delta);
    if (at <= target) return;
    const started: Load = { delta, at, target, startedAtMs: nowMs };
    this.#loads.set(delta, started);
    this.#move(started, nowMs);
  }

  /** Brings a delta up to `target` when nothing else is on the link from the store. */
  raiseAhead(delta: number, target: AheadTier, nowMs: Millis): void {
    if (!this.#ahead.some((load) => load.delta === delta && load.target === target)) this.#ahead.push({ delta, target });
    this.#beginAhead(nowMs);
  }

  /** Whether a delta that takes a slot now finds one, free or by evicting who is idle. */
  hasRoom(delta: number): boolean {
    const { capacityBytes, referencedBytes } = this.slots;
    return capacityBytes - referencedBytes >= this.#deps.deltas.sizeBytes[delta]!;
  }

  /** A load has come one tier further. */
  arrived(delta: number, nowMs: Millis): void {
    const load = this.#loads.get(delta);
    if (!load) return; // The node failed meanwhile.
    load.at = (load.at - 1) as SimTier;
    this.#arrive(load, nowMs);
    this.#beginAhead(nowMs);
  }

  #arrive(load: Load, nowMs: Millis): void {
    const { delta } = load;
    if (load.at !== SLOT) this.#keep(load.at === RAM ? this.#ram : this.#disk, delta, load.at, nowMs);
    if (load.at > load.target) {
      this.#move(load, nowMs);
      return;
    }
    this.#loads.delete(delta);
    if (load.at !== SLOT) return;
    const entry = this.slots.get(delta)!;
    entry.readyAtMs = nowMs;
    this.#deps.inSlot(delta, nowMs);
  }

  /** A restart: what is on disk stays. */
  clear(): void {
    this.#loads.clear();
    this.#linkFreeAtMs.fill(0);
    this.#ahead = [];
    this.slots.clear();
    this.#ram = new TierCache(this.#deps.bytes.ram, this.#deps.createOrder());
  }

  #beginAhead(nowMs: Millis): void {
    while (this.#ahead.length > 0 && this.#linkFreeAtMs[REMOTE]! <= nowMs) {
      const { delta, target } = this.#ahead.shift()!;
      this.raise(delta, target, nowMs);
    }
  }

  #below(delta: number): SimTier {
    const ram = this.#ram.get(delta);
    if (ram) return RAM;
    return this.#disk.get(delta) ? DISK : REMOTE;
  }

  #move(load: Load, nowMs: Millis): void {
    const { model, deltas, schedule } = this.#deps;
    const link: Link = load.at === REMOTE ? model.links.disk : load.at === DISK ? model.links.ram : model.links.slot;
    this.#touch(load, nowMs);
    const slowness = load.at === REMOTE ? this.storeSlowness : 1;
    if (load.at === REMOTE) this.fetchedBytes += deltas.sizeBytes[load.delta]!;
    const startMs = Math.max(nowMs, this.#linkFreeAtMs[load.at]!);
    const endMs = startMs + slowness * linkMs(link, deltas.sizeBytes[load.delta]!);
    this.#linkFreeAtMs[load.at] = endMs;
    schedule(endMs, load.delta);
  }

  #touch({ at, delta }: Load, nowMs: Millis): void {
    const tier = at === RAM ? this.#ram : this.#disk;
    const entry = tier.get(delta);
    if (entry) tier.used(entry, nowMs);
  }

  #keep(tier: TierCache, delta: number, at: SimTier, nowMs: Millis): void {
    const { model, deltas } = this.#deps;
    const known = tier.get(delta);
    if (known) return;
    const sizeBytes = deltas.sizeBytes[delta]!;
    const again = (at + 1) as SimTier;
    const entry = tier.admit(delta, sizeBytes, loadMs(model, again, sizeBytes) - loadMs(model, at, sizeBytes), nowMs);
    if (entry) entry.readyAtMs = nowMs;
  }

  /** Less than a delta is no use to the next. */
  #keepBuffer(sizeBytes: Bytes, nowMs: Millis): void {
    const bufferBytes = this.#deps.unloadBufferShare * this.slots.capacityBytes;
    if (bufferBytes >= sizeBytes) this.slots.free(bufferBytes, nowMs);
  }
}
