import { Fault } from "#kernel";

/**
 * Measured at 50,257 tokens: each block costs the pass a few mispredicted branches, so that with 256 the pass takes half
 * as long as with 64; larger blocks gain little and make looking into one dearer.
 */
export const BLOCK_TOKENS = 256;

/**
 * A vocabulary of logits summarised by the maximum of each block of neighbouring ids: one pass over the logits, after
 * which most questions are answered by looking at few blocks.
 */
export class TokenBlocks {
  readonly count: number;
  /** The largest logit of each block. */
  readonly maxima: Float32Array;
  logits: Float32Array;
  /** The largest logit of all. */
  largest = 0;

  constructor(vocabularySize: number) {
    this.count = Math.ceil(vocabularySize / BLOCK_TOKENS);
    this.maxima = new Float32Array(this.count);
    this.logits = this.maxima;
  }

  /** Throws Fault `bug` when a logit is NaN or plus infinity: there is no distribution to draw from. */
  summarise(logits: Float32Array): void {
    this.logits = logits;
    this.largest = Number.NEGATIVE_INFINITY;
    for (let block = 0, start = 0; block < this.count; block++, start += BLOCK_TOKENS) {
      const maximum = logits[largestIn(logits, start, Math.min(logits.length, start + BLOCK_TOKENS))]!;
      this.maxima[block] = maximum;
      if (maximum > this.largest) this.largest = maximum;
    }
    if (!Number.isFinite(this.largest)) throw notFinite(logits, logits.indexOf(this.largest));
  }
}

/** The id of the largest logit, of equal ones the lowest. Throws Fault `bug` when a logit is NaN or plus infinity. */
export function largestToken(logits: Float32Array): number {
  const id = largestIn(logits, 0, logits.length);
  if (!Number.isFinite(logits[id]!)) throw notFinite(logits, id);
  return id;
}

/** The first index of the largest value from `start` to before `end`. Throws Fault `bug` for NaN. */
function largestIn(logits: Float32Array, start: number, end: number): number {
  let largest = logits[start]!;
  let largestId = start;
  if (Number.isNaN(largest)) throw notFinite(logits, start);
  const lastFour = end - 4;
  for (let id = start + 1; id < end; id++) {
    // Most are passed over, four at a time; reading behind the last one would make each comparison several times as dear. False for NaN.
    if (
      id <= lastFour &&
      logits[id]! <= largest &&
      logits[id + 1]! <= largest &&
      logits[id + 2]! <= largest &&
      logits[id + 3]! <= largest
    ) {
      id += 3;
      continue;
    }
    const logit = logits[id]!;
    if (logit <= largest) continue; // False for NaN as well, so that one comparison serves both.
    if (Number.isNaN(logit)) throw notFinite(logits, id);
    largest = logit;
    largestId = id;
  }
  return largestId;
}

function notFinite(logits: Float32Array, id: number): Fault {
  return new Fault("bug", `the model computed the logit ${logits[id]} for token ${id}: no token can be chosen from that`);
}
