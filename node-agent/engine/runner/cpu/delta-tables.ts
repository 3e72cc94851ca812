import { assert, type Bytes } from "#kernel";
import type { BaseInfo, DeltaLayer, LinearSite, LoadedDelta } from "#model";
import type { Slot } from "../../contract.ts";

/** One attached delta: `width` consecutive ranks of every table, from `start`, a multiple of `width`. */
interface Resident {
  readonly width: number;
  start: number;
}

/** A range of ranks in chunks of equal size, and in which of them each of the given slots lies. */
export interface BoundDeltas {
  readonly firstRank: number;
  readonly chunkRanks: number;
  readonly chunkCount: number;
  /** By slot: its chunk, and its ranks within the chunk. */
  readonly places: ReadonlyMap<Slot, { readonly chunk: number; readonly from: number; readonly to: number }>;
}

/** The two tables of one linear layer: A is [ranks, inputSize], B is [ranks, outputSize]. */
export interface SiteTables {
  readonly site: LinearSite;
  readonly a: Float32Array<ArrayBuffer>;
  readonly b: Float32Array<ArrayBuffer>;
}

/** Small deltas take this many ranks, so that chunks stay whole vectors. */
const WIDTH_MIN = 8;

/** How many ranks of the tables a delta of this rank takes: the sum over all attached deltas is at most `tableRanksMax`. */
export function tableRanks(rank: number): number {
  return Math.max(WIDTH_MIN, 2 ** Math.ceil(Math.log2(rank)));
}

/** How many times the ranks it needs a step may bind before moving a delta pays. */
const SPREAD_MAX = 1.25;

/**
 * The A and B of all attached deltas, stacked by rank, one pair of tables per linear layer. Every delta has the same
 * ranks in all tables, padded to a power of two and aligned to it, so that cutting the tables into chunks of the largest
 * active delta never cuts one apart. Steps bind consecutive ranks without a copy; active deltas therefore move together,
 * one per step.
 */
export class DeltaTables {
  readonly memoryBytes: Bytes;
  readonly tables: readonly SiteTables[];
  readonly #slotsMax: number;
  readonly #residents = new Map<Slot, Resident>();
  /** Which slot has each rank; undefined for a free one. */
  readonly #owners: (Slot | undefined)[];

  constructor(base: BaseInfo, slotsMax: number, ranksMax: number) {
    this.#slotsMax = slotsMax;
    this.#owners = new Array<Slot | undefined>(ranksMax).fill(undefined);
    // The last chunk of a step may reach past the last rank: room for a whole number of the largest chunks.
    const chunkMax = 2 ** Math.floor(Math.log2(ranksMax));
    const ranks = Math.ceil(ranksMax / chunkMax) * chunkMax;
    // Written once now: the system hands out pages at the first write, which would else be part of some delta's attach.
    this.tables = base.linears.map((site) => ({
      site,
      a: new Float32Array(ranks * site.inputSize).fill(0),
      b: new Float32Array(ranks * site.outputSize).fill(0),
    }));
    this.memoryBytes = this.tables.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);
  }

  /** One copy per table. Undefined when no slot or not enough ranks are free; then nothing has changed. */
  attach(delta: LoadedDelta): Slot | undefined {
    const width = tableRanks(delta.rank);
    if (this.#residents.size >= this.#slotsMax || this.#freeRanks() < width) return undefined;
    const start = this.#findFree(width) ?? this.#pack(width);
    let slot: Slot = 0;
    while (this.#residents.has(slot)) slot++;
    const layers = new Map(delta.layers.map((layer) => [layer.site, layer]));
    for (const table of this.tables) write(table, start, width, layers.get(table.site.site));
    this.#residents.set(slot, { width, start });
    this.#owners.fill(slot, start, start + width);
    return slot;
  }

  detach(slot: Slot): void {
    const { start, width } = this.#resident(slot);
    this.#owners.fill(undefined, start, start + width);
    this.#residents.delete(slot);
  }

  /** Whether a range over these slots would hold little else. */
  isTogether(slots: ReadonlySet<Slot>): boolean {
    const active = [...slots].map((slot) => [slot, this.#resident(slot)] as const);
    const chunkRanks = Math.max(...active.map(([, { width }]) => width));
    return chunkRange(active, chunkRanks).count <= SPREAD_MAX * active.length;
  }

  /** The smallest range of whole chunks over these slots, one or more, after moving at most one of them closer. */
  bind(slots: ReadonlySet<Slot>, mayMove: boolean): BoundDeltas {
    const active = [...slots].map((slot) => [slot, this.#resident(slot)] as const);
    const neededRanks = active.reduce((sum, [, { width }]) => sum + width, 0);
    const chunkRanks = Math.max(...active.map(([, { width }]) => width));
    let range = chunkRange(active, chunkRanks);
    if (mayMove && range.count * chunkRanks > SPREAD_MAX * neededRanks) {
      this.#moveForward(slots);
      range = chunkRange(active, chunkRanks);
    }
    const firstRank = range.first * chunkRanks;
    const places = new Map(
      active.map(([slot, { start, width }]) => {
        const from = (start - firstRank) % chunkRanks;
        return [slot, { chunk: Math.floor((start - firstRank) / chunkRanks), from, to: from + width }] as const;
      }),
    );
    return { firstRank, chunkRanks, chunkCount: range.count, places };
  }

  /** Moves the last active delta to the first place of its width without an active one, in exchange for what is there. */
  #moveForward(active: ReadonlySet<Slot>): void {
    const [slot, moving] = [...active]
      .map((slot) => [slot, this.#resident(slot)] as const)
      .reduce((last, next) => (next[1].start > last[1].start ? next : last));
    const { start: from, width } = moving;
    for (let to = 0; to < from; to += width) {
      const there = new Set(this.#owners.slice(to, to + width));
      if ([...there].some((owner) => owner !== undefined && (active.has(owner) || this.#resident(owner).width > width))) continue;
      this.#exchange(slot, to);
      return;
    }
  }

  /**
   * Moves everything together, with a free range of `width` in between, and gives its start: the widest first, then the range, then
   * what is narrower, so that every start is a multiple of its width without a gap. Needed only where ranks are mixed.
   */
  #pack(width: number): number {
    const widestFirst = [...this.#residents].sort(([, one], [, other]) => other.width - one.width || one.start - other.start);
    let end = 0;
    let freed: number | undefined;
    for (const [slot, resident] of widestFirst) {
      if (freed === undefined && resident.width < width) {
        freed = end;
        end += width;
      }
      if (resident.start !== end) this.#exchange(slot, end);
      end += resident.width;
    }
    return freed ?? end;
  }

  /** Moves a slot to `to`, a multiple of its width, in exchange for the narrower slots and the free ranks that are there. */
  #exchange(slot: Slot, to: number): void {
    const moving = this.#resident(slot);
    const { start: from, width } = moving;
    const displaced = this.#owners.slice(to, to + width);
    for (const table of this.tables) exchange(table, from, to, width);
    for (const owner of new Set(displaced)) if (owner !== undefined) this.#resident(owner).start += from - to;
    this.#owners.fill(slot, to, to + width);
    for (const [index, owner] of displaced.entries()) this.#owners[from + index] = owner;
    moving.start = to;
  }

  #freeRanks(): number {
    return this.#owners.reduce((free, owner) => free + (owner === undefined ? 1 : 0), 0);
  }

  #findFree(width: number): number | undefined {
    for (let start = 0; start + width <= this.#owners.length; start += width) {
      if (this.#owners.slice(start, start + width).every((owner) => owner === undefined)) return start;
    }
    return undefined;
  }

  #resident(slot: Slot): Resident {
    const resident = this.#residents.get(slot);
    assert(resident, `slot ${slot} is attached`);
    return resident;
  }
}

function chunkRange(
  active: readonly (readonly [Slot, Resident])[],
  chunkRanks: number,
): { readonly first: number; readonly count: number } {
  const chunks = active.map(([, { start }]) => Math.floor(start / chunkRanks));
  const first = Math.min(...chunks);
  return { first, count: Math.max(...chunks) - first + 1 };
}

/** What a delta leaves out, a layer or the ranks up to its width, is zero. */
function write({ site, a, b }: SiteTables, start: number, width: number, layer: DeltaLayer | undefined): void {
  const rank = layer?.rank ?? 0;
  if (layer) {
    a.set(layer.a, start * site.inputSize);
    b.set(layer.b, start * site.outputSize);
  }
  a.fill(0, (start + rank) * site.inputSize, (start + width) * site.inputSize);
  b.fill(0, (start + rank) * site.outputSize, (start + width) * site.outputSize);
}

function exchange({ site, a, b }: SiteTables, one: number, other: number, width: number): void {
  for (const [table, size] of [
    [a, site.inputSize],
    [b, site.outputSize],
  ] as const) {
    const kept = table.slice(other * size, (other + width) * size);
    table.copyWithin(other * size, one * size, (one + width) * size);
    table.set(kept, one * size);
  }
}
