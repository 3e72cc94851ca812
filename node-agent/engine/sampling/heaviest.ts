/** Below this many, putting them in order is quicker than splitting them further. */
const SORTED_MAX = 16;

/**
 * Moves the heaviest of `ids` (equal ones by id) to its front, and says how many of them it takes to be `countMax` or to
 * weigh `sumMax`, whichever is less: Hoare's quickselect, by weight. Linear on average, where sorting is not.
 * `weights` is indexed by id. Neither part is in any order afterwards.
 */
export function selectHeaviest(ids: Int32Array, weights: Float64Array, countMax: number, sumMax: number): number {
  let low = 0;
  let high = ids.length;
  let sum = 0; // Of those before `low`, which are all taken.
  while (high - low > SORTED_MAX) {
    const middle = partition(ids, weights, low, high);
    let heavierSum = 0;
    for (let index = low; index < middle; index++) heavierSum += weights[ids[index]!]!;
    if (middle >= countMax || sum + heavierSum >= sumMax) {
      high = middle;
    } else {
      sum += heavierSum;
      low = middle;
    }
  }
  ids.subarray(low, high).sort((one, other) => (precedes(weights, one, other) ? -1 : 1));
  while (low < high && low < countMax && sum < sumMax) sum += weights[ids[low++]!]!;
  return low;
}

/** Splits from `low` to before `high` around one of its ids; gives the end of the heavier part, neither part being empty. */
function partition(ids: Int32Array, weights: Float64Array, low: number, high: number): number {
  const pivot = medianOfThree(weights, ids[low]!, ids[(low + high) >> 1]!, ids[high - 1]!);
  let left = low;
  let right = high - 1;
  for (;;) {
    while (precedes(weights, ids[left]!, pivot)) left++;
    while (precedes(weights, pivot, ids[right]!)) right--;
    if (left >= right) return Math.max(left, low + 1);
    const id = ids[left]!;
    ids[left++] = ids[right]!;
    ids[right--] = id;
  }
}

function medianOfThree(weights: Float64Array, one: number, two: number, three: number): number {
  const [first, second] = precedes(weights, one, two) ? [one, two] : [two, one];
  if (precedes(weights, three, first)) return first;
  return precedes(weights, second, three) ? second : three;
}

function precedes(weights: Float64Array, one: number, other: number): boolean {
  const weight = weights[one]!;
  const otherWeight = weights[other]!;
  return weight > otherWeight || (weight === otherWeight && one < other);
}
