import { Fault, seededRandom } from "#kernel";

/** Which records of a file are trained on, and which are measured on. Indices from 0, ascending. */
export interface SubsetChoice {
  /** By size, ascending; each contains the smaller ones. */
  readonly subsets: ReadonlyMap<number, readonly number[]>;
  /** Empty where they come from a file of their own. */
  readonly heldOut: readonly number[];
}

export interface SubsetWish {
  /** Undefined: an eighth, a quarter, a half and all of what there is. */
  readonly sizes: readonly number[] | undefined;
  readonly seed: number;
  /** Whether records are held out; not needed with a validation file. */
  readonly holdsOut: boolean;
}

/** A fifth, so that most is trained on; a share of more than 500 records is known to about ±2 % anyway. */
const HELD_OUT_SHARE = 0.2;
const HELD_OUT_MAX = 500;
const DEFAULT_SHARES = [1 / 8, 1 / 4, 1 / 2, 1] as const;

/**
 * Chooses by the seed alone: one order of all records, of which the first are held out and the next are trained on. So a
 * sweep of other sizes measures on the same records and shares the subsets of sizes that it has in common.
 *
 * @throws Fault parameter_invalid for a size of more records than there are
 */
export function chooseSubsets(records: number, { sizes, seed, holdsOut }: SubsetWish): SubsetChoice {
  const heldOutCount = holdsOut ? Math.min(HELD_OUT_MAX, Math.max(1, Math.floor(records * HELD_OUT_SHARE))) : 0;
  const available = records - heldOutCount;
  if (available < 1) throw invalidSizes(`the training file has ${records} records: too few to hold some out`);
  const wanted = sizes ?? DEFAULT_SHARES.map((share) => Math.max(1, Math.floor(share * available)));
  const ascending = [...new Set(wanted)].sort((one, other) => one - other);
  const largest = ascending.at(-1)!;
  if (largest > available) {
    const apart = heldOutCount > 0 ? ` when ${heldOutCount} of ${records} are held out (--valid measures on a file of its own)` : "";
    throw invalidSizes(`--sizes ${largest}: there are ${available} records to train on${apart}`);
  }
  const order = shuffled(records, seed);
  const part = (begin: number, end: number) => Array.from(order.subarray(begin, end).toSorted());
  return {
    heldOut: part(0, heldOutCount),
    subsets: new Map(ascending.map((size) => [size, part(heldOutCount, heldOutCount + size)])),
  };
}

/** Fisher and Yates. */
function shuffled(count: number, seed: number): Uint32Array {
  const random = seededRandom(seed).fork("sweep");
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

function invalidSizes(message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field: "sizes" } });
}
