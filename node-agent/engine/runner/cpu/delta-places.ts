import type { Slot } from "../../contract.ts";
import type { BoundDeltas } from "./delta-tables.ts";

/** How the tokens of a batch are sorted into the chunks of the delta tables; see DELTA_INPUTS of the graph. */
export interface DeltaPlaces {
  /** Places in each chunk. */
  readonly placeCount: number;
  /** [chunks, places] */
  readonly places: BigInt64Array;
  /** [chunks, places, ranks] */
  readonly select: Uint8Array;
  /** [tokens] */
  readonly origins: BigInt64Array;
}

/**
 * Gives every token a place in the chunk of its delta. Tokens of the plain base share one place at which nothing is
 * selected, in the chunk with the fewest tokens. Places without a token compute token 0 for nobody.
 */
export function placeTokens(
  slots: readonly (Slot | undefined)[],
  span: number,
  bound: Pick<BoundDeltas, "chunkRanks" | "chunkCount" | "places">,
): DeltaPlaces {
  const counts = new Array<number>(bound.chunkCount).fill(0);
  for (const slot of slots) if (slot !== undefined) counts[bound.places.get(slot)!.chunk]! += span;
  const emptiest = counts.indexOf(Math.min(...counts));
  const plainPlace = counts[emptiest]!;
  if (slots.includes(undefined)) counts[emptiest]!++;

  const placeCount = Math.max(...counts);
  const places = new BigInt64Array(bound.chunkCount * placeCount);
  const select = new Uint8Array(places.length * bound.chunkRanks);
  const origins = new BigInt64Array(slots.length * span);
  const filled = new Array<number>(bound.chunkCount).fill(0);
  for (const [row, slot] of slots.entries()) {
    const place = slot === undefined ? undefined : bound.places.get(slot)!;
    for (let token = row * span; token < (row + 1) * span; token++) {
      if (!place) {
        origins[token] = BigInt(emptiest * placeCount + plainPlace);
        continue;
      }
      const at = place.chunk * placeCount + filled[place.chunk]!++;
      places[at] = BigInt(token);
      origins[token] = BigInt(at);
      select.fill(1, at * bound.chunkRanks + place.from, at * bound.chunkRanks + place.to);
    }
  }
  return { placeCount, places, select, origins };
}

/**
 * The order of the rows in which every bound chunk has one delta and equally many of them, chunk by chunk: what the graph calls an even
 * step. Undefined where there is none.
 */
export function evenOrder(
  slots: readonly (Slot | undefined)[],
  { chunkCount, chunkRanks, places }: Pick<BoundDeltas, "chunkRanks" | "chunkCount" | "places">,
): readonly number[] | undefined {
  const rowsByChunk = Array.from({ length: chunkCount }, (): number[] => []);
  for (const [row, slot] of slots.entries()) {
    const place = slot === undefined ? undefined : places.get(slot)!;
    if (!place || place.to - place.from < chunkRanks) return undefined;
    rowsByChunk[place.chunk]!.push(row);
  }
  const rowCount = slots.length / chunkCount;
  return rowsByChunk.every((rows) => rows.length === rowCount) ? rowsByChunk.flat() : undefined;
}
