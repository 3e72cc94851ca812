import { BLOCK_TOKENS, type TokenBlocks } from "./token-blocks.ts";

/**
 * Names tokens from the largest logit to the smallest, equal ones by id, one at a time: a heap of blocks by their
 * largest unnamed logit. The first k of a vocabulary cost k scans of one block, never a sort of the whole.
 */
export class TokenRanking {
  readonly #blocks: TokenBlocks;
  /** Block numbers; the one with the largest head is at 0. */
  readonly #heap: Int32Array;
  #heapSize = 0;
  /** Of each block, the largest logit not named yet, and the lowest id that has it. */
  readonly #heads: Float32Array;
  readonly #headIds: Int32Array;

  constructor(blocks: TokenBlocks) {
    this.#blocks = blocks;
    this.#heap = new Int32Array(blocks.count);
    this.#heads = new Float32Array(blocks.count);
    this.#headIds = new Int32Array(blocks.count);
  }

  /** Starts again, over what `blocks` now summarises. */
  start(): void {
    this.#heads.set(this.#blocks.maxima);
    this.#headIds.fill(-1); // Found when the block comes up: most never do.
    this.#heapSize = this.#blocks.count;
    for (let place = 0; place < this.#heapSize; place++) this.#heap[place] = place;
    for (let place = (this.#heapSize >> 1) - 1; place >= 0; place--) this.#sink(place);
  }

  /** The id of the next token; undefined when all have been named. */
  next(): number | undefined {
    if (this.#heapSize === 0) return undefined;
    const block = this.#heap[0]!;
    const head = this.#heads[block]!;
    const known = this.#headIds[block]!;
    const id = known >= 0 ? known : this.#blocks.logits.indexOf(head, block * BLOCK_TOKENS);
    if (!this.#advance(block, head, id)) this.#heap[0] = this.#heap[--this.#heapSize]!;
    this.#sink(0);
    return id;
  }

  /** Finds the block's successor of the token `id` with logit `head`. False when there is none. */
  #advance(block: number, head: number, id: number): boolean {
    const { logits } = this.#blocks;
    const start = block * BLOCK_TOKENS;
    const end = Math.min(logits.length, start + BLOCK_TOKENS);
    let best = Number.NEGATIVE_INFINITY;
    let bestId = -1;
    for (let candidate = start; candidate < end; candidate++) {
      const logit = logits[candidate]!;
      const unnamed = logit < head || (logit === head && candidate > id);
      if (unnamed && (bestId < 0 || logit > best)) {
        best = logit;
        bestId = candidate;
      }
    }
    this.#heads[block] = best;
    this.#headIds[block] = bestId;
    return bestId >= 0;
  }

  #sink(start: number): void {
    let place = start;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= this.#heapSize) return;
      const right = left + 1;
      const child = right < this.#heapSize && this.#precedes(this.#heap[right]!, this.#heap[left]!) ? right : left;
      const parent = this.#heap[place]!;
      if (!this.#precedes(this.#heap[child]!, parent)) return;
      this.#heap[place] = this.#heap[child]!;
      this.#heap[child] = parent;
      place = child;
    }
  }

  /** Larger head first; of equal heads the lower block, whose ids are lower. */
  #precedes(one: number, other: number): boolean {
    const head = this.#heads[one]!;
    const otherHead = this.#heads[other]!;
    return head > otherHead || (head === otherHead && one < other);
  }
}
