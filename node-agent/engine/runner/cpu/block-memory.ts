import type { Bytes } from "#kernel";
import { type BaseInfo, BLOCK_TOKENS } from "#model";

/** Consecutive blocks as the graph takes them: per layer [count, kvHeads, 1, BLOCK_TOKENS, headSize]. */
export interface BlockWindow {
  readonly count: number;
  readonly keys: readonly Float32Array<ArrayBuffer>[];
  readonly values: readonly Float32Array<ArrayBuffer>[];
}

/** What a step computed for the cache, [rows, layers × (key, value) × kvHeads, 1, span, headSize], and whose part of it is meant. */
export interface NewKeyValues {
  readonly data: Float32Array;
  readonly row: number;
  readonly span: number;
}

/** Keys and values in blocks, one array per layer and kind. The system gives memory as blocks are first written. */
export class BlockMemory {
  readonly memoryBytes: Bytes;
  /** Keys and values of one block in all layers. */
  readonly blockBytes: Bytes;
  /** Keys and values of layer 0, of layer 1, …: the order in which the graph hands out new ones. */
  readonly #arrays: readonly Float32Array<ArrayBuffer>[];
  readonly #heads: number;
  readonly #headSize: number;
  /** Values per block in one array. */
  readonly #blockSize: number;
  /** The window that was asked for last. */
  #latest: (BlockWindow & { readonly first: number }) | undefined;

  constructor(base: BaseInfo, blocksMax: number) {
    this.#heads = base.kvHeadCount;
    this.#headSize = base.headSize;
    this.#blockSize = base.kvHeadCount * BLOCK_TOKENS * base.headSize;
    this.#arrays = Array.from({ length: 2 * base.layerCount }, () => new Float32Array(blocksMax * this.#blockSize));
    this.blockBytes = this.#arrays.length * this.#blockSize * Float32Array.BYTES_PER_ELEMENT;
    this.memoryBytes = this.#arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** The same one as before while the same blocks are asked for. */
  window(first: number, count: number): BlockWindow {
    if (this.#latest?.first !== first || this.#latest.count !== count) this.#latest = { first, ...this.#cut(first, count) };
    return this.#latest;
  }

  #cut(first: number, count: number): BlockWindow {
    const bound = this.#arrays.map((array) => array.subarray(first * this.#blockSize, (first + count) * this.#blockSize));
    return { count, keys: bound.filter((_, index) => index % 2 === 0), values: bound.filter((_, index) => index % 2 === 1) };
  }

  /** A block that was in use before must be cleared: what a mask hides is multiplied with 0, and 0 · NaN is NaN. */
  clear(block: number): void {
    for (const array of this.#arrays) array.fill(0, block * this.#blockSize, (block + 1) * this.#blockSize);
  }

  copy(from: number, to: number, source: BlockMemory = this): void {
    for (const [index, array] of this.#arrays.entries()) {
      array.set(source.#arrays[index]!.subarray(from * this.#blockSize, (from + 1) * this.#blockSize), to * this.#blockSize);
    }
  }

  /** Writes `count` positions of a step's result, from its position `from`, into a block at `offset`. */
  write(block: number, offset: number, added: NewKeyValues, from: number, count: number): void {
    const size = count * this.#headSize;
    let source = (added.row * this.#arrays.length * this.#heads * added.span + from) * this.#headSize;
    for (const array of this.#arrays) {
      let target = block * this.#blockSize + offset * this.#headSize;
      for (let head = 0; head < this.#heads; head++) {
        copyValues(added.data, source, array, target, size);
        source += added.span * this.#headSize;
        target += BLOCK_TOKENS * this.#headSize;
      }
    }
  }
}

/** Below this many values a plain loop is faster than the call and the view that `set` needs. */
const LOOP_VALUES_MAX = 128;

function copyValues(source: Float32Array, from: number, target: Float32Array, to: number, count: number): void {
  if (count > LOOP_VALUES_MAX) target.set(source.subarray(from, from + count), to);
  else for (let index = 0; index < count; index++) target[to + index] = source[from + index]!;
}
