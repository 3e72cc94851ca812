import type { Random, Tokens } from "#kernel";
import type { Example } from "./example.ts";

/** Part of a batch that is computed at once: texts side by side, filled up on the right to the longest of them. */
export interface Microbatch {
  readonly rows: number;
  readonly span: number;
  /** [rows × span], row-major. */
  readonly tokenIds: BigInt64Array;
  /** [w]: the places whose next token is learned. */
  readonly wanted: BigInt64Array;
  /** [w] */
  readonly targets: BigInt64Array;
  /** [w]: they add up to 1 over all microbatches of a batch, so that losses and gradients simply add up. */
  readonly weights: Float32Array;
}

/** How many batches' worth of examples are sorted by length together: enough for little filling, few enough to stay mixed. */
const SORTED_BATCHES = 32;

/**
 * The order in which an epoch visits the examples: shuffled, then within each stretch sorted by length, so that a batch
 * holds texts of about the same length; batches are shuffled again. A function of the seed and the epoch alone.
 */
export function planEpoch(lengths: readonly Tokens[], batchSize: number, random: Random): readonly (readonly number[])[] {
  const order = shuffle([...lengths.keys()], random);
  const batches: number[][] = [];
  for (let start = 0; start < order.length; start += batchSize * SORTED_BATCHES) {
    const stretch = order.slice(start, start + batchSize * SORTED_BATCHES).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
    for (let at = 0; at < stretch.length; at += batchSize) batches.push(stretch.slice(at, at + batchSize));
  }
  return shuffle(batches, random);
}

/** Fisher and Yates. */
function shuffle<T>(items: T[], random: Random): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}

/** Splits a batch into parts of at most `tokensMax` places each (a longer text stands alone), longest texts first. */
export function packBatch(examples: readonly Example[], tokensMax: Tokens): readonly Microbatch[] {
  const longestFirst = examples.toSorted((a, b) => b.tokenIds.length - a.tokenIds.length);
  const total = examples.reduce((sum, { weights }) => sum + weights.reduce((own, weight, index) => own + (index > 0 ? weight : 0), 0), 0);
  const parts: Microbatch[] = [];
  for (let start = 0; start < longestFirst.length; ) {
    // Places before the last token suffice: nothing is predicted from it.
    const span = Math.max(longestFirst[start]!.tokenIds.length - 1, 1);
    const rows = Math.max(1, Math.min(longestFirst.length - start, Math.floor(tokensMax / span)));
    parts.push(pack(longestFirst.slice(start, start + rows), span, total));
    start += rows;
  }
  return parts;
}

function pack(examples: readonly Example[], span: number, total: number): Microbatch {
  const tokenIds = new BigInt64Array(examples.length * span);
  const wanted: bigint[] = [];
  const targets: bigint[] = [];
  const weights: number[] = [];
  for (const [row, example] of examples.entries()) {
    for (let place = 0; place + 1 < example.tokenIds.length; place++) {
      tokenIds[row * span + place] = BigInt(example.tokenIds[place]!);
      const weight = example.weights[place + 1]!;
      if (weight === 0) continue;
      wanted.push(BigInt(row * span + place));
      targets.push(BigInt(example.tokenIds[place + 1]!));
      weights.push(weight / total);
    }
  }
  return {
    rows: examples.length,
    span,
    tokenIds,
    wanted: BigInt64Array.from(wanted),
    targets: BigInt64Array.from(targets),
    weights: Float32Array.from(weights),
  };
}
