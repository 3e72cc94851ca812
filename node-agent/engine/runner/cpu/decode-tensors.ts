import type { BoundDeltas } from "./delta-tables.ts";
import type { BoundBlocks } from "./kv-cache.ts";
import { type BatchRow, type Feeds, rewriteFeeds } from "./step-feeds.ts";

/** All that the tensors of a batch are made of: its rows, each padded to `span` tokens, and what the cache and the tables bind for them. */
export interface BoundBatch {
  readonly rows: readonly BatchRow[];
  readonly span: number;
  readonly blocks: BoundBlocks;
  readonly deltas: BoundDeltas | undefined;
  /** Whether every chunk of the deltas has equally many of the rows, one after another. */
  readonly isEven: boolean;
}

/**
 * The tensors of the last batch that gave each row its next token. The next batch mostly has the same rows over the same blocks; then it
 * differs in tokens, positions and what they see, and those are written into the same tensors. Making two dozen tensors takes a fortieth
 * of the shortest steps.
 */
export class DecodeTensors {
  #last: { readonly batch: BoundBatch; readonly feeds: Feeds } | undefined;

  /** Valid until the next call. `make` makes the feeds where the last ones don't fit. */
  of(batch: BoundBatch, make: () => Feeds): Feeds {
    if (!isPlain(batch)) return make();
    if (this.#last && sharesTensors(this.#last.batch, batch)) rewriteFeeds(this.#last.feeds, batch.rows, batch.span);
    else this.#last = { batch, feeds: make() };
    return this.#last.feeds;
  }
}

/** Whether every row computes one token and wants its logits. */
function isPlain({ rows, span }: BoundBatch): boolean {
  return span === 1 && rows.every(({ logits }) => logits !== "none");
}

/** Of two plain batches. */
function sharesTensors(one: BoundBatch, other: BoundBatch): boolean {
  return (
    one.rows.length === other.rows.length &&
    one.blocks.window === other.blocks.window &&
    one.blocks.rows.every((blocks, row) => isEqual(blocks, other.blocks.rows[row]!)) &&
    one.rows.every(({ slot }, row) => slot === other.rows[row]!.slot) &&
    haveSamePlaces(one.deltas, other.deltas)
  );
}

function haveSamePlaces(one: BoundDeltas | undefined, other: BoundDeltas | undefined): boolean {
  if (!one || !other) return one === other;
  if (one.firstRank !== other.firstRank || one.chunkRanks !== other.chunkRanks || one.chunkCount !== other.chunkCount) return false;
  return one.places.entries().every(([slot, place]) => {
    const { chunk, from } = other.places.get(slot)!; // The rows have the same slots.
    return chunk === place.chunk && from === place.from;
  });
}

function isEqual(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
