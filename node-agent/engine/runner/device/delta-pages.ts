import { assert } from "#kernel";
import { PAGE_RANKS } from "#model";
import type { Slot } from "../../contract.ts";
import type { BoundDeltas } from "../cpu/delta-tables.ts";

/** The deltas of a step, in chunks of equal size, each put together from pages. */
export interface BoundPages extends Pick<BoundDeltas, "chunkRanks" | "chunkCount" | "places"> {
  /** [chunkCount, chunkRanks / PAGE_RANKS] */
  readonly pages: readonly number[];
}

/** Nobody's: fills up chunks. */
const BLANK = 0;

/** Which pages of the tables belong to which delta. */
export class DeltaPages {
  /** The blank one included. */
  readonly count: number;
  readonly #slotsMax: number;
  readonly #residents = new Map<Slot, readonly number[]>();
  readonly #free: number[];

  constructor(slotsMax: number, pagesMax: number) {
    this.count = pagesMax + 1;
    this.#slotsMax = slotsMax;
    this.#free = Array.from({ length: pagesMax }, (_, index) => pagesMax - index);
  }

  /** Pages for a delta of this rank. Undefined when no slot or not enough of them are free; then nothing has changed. */
  take(rank: number): Slot | undefined {
    const count = Math.ceil(rank / PAGE_RANKS);
    if (this.#residents.size >= this.#slotsMax || this.#free.length < count) return undefined;
    let slot: Slot = 0;
    while (this.#residents.has(slot)) slot++;
    this.#residents.set(slot, this.#free.splice(-count));
    return slot;
  }

  giveBack(slot: Slot): void {
    this.#free.push(...this.of(slot));
    this.#residents.delete(slot);
  }

  of(slot: Slot): readonly number[] {
    const pages = this.#residents.get(slot);
    assert(pages, `slot ${slot} is attached`);
    return pages;
  }

  /** Chunks as large as the largest of these deltas; smaller ones share a chunk, the largest placed first. */
  bind(slots: ReadonlySet<Slot>): BoundPages {
    const largestFirst = [...slots].map((slot) => [slot, this.of(slot)] as const).sort(([, one], [, other]) => other.length - one.length);
    const size = largestFirst[0]![1].length;
    const chunks: number[][] = [];
    const places = new Map<Slot, { readonly chunk: number; readonly from: number; readonly to: number }>();
    for (const [slot, pages] of largestFirst) {
      let chunk = chunks.findIndex((taken) => taken.length + pages.length <= size);
      if (chunk < 0) chunk = chunks.push([]) - 1;
      const from = chunks[chunk]!.length * PAGE_RANKS;
      chunks[chunk]!.push(...pages);
      places.set(slot, { chunk, from, to: from + pages.length * PAGE_RANKS });
    }
    const pages = chunks.flatMap((taken) => [...taken, ...new Array<number>(size - taken.length).fill(BLANK)]);
    return { chunkRanks: size * PAGE_RANKS, chunkCount: chunks.length, places, pages };
  }
}
