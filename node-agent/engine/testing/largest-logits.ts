import type { TopLogits } from "../runner/contract.ts";

/** What a device would answer, by sorting everything. `sumError` is added to the logarithm of the sum. */
export function largestLogits(all: Float32Array, count: number, sumError = 0): TopLogits {
  const ids = Int32Array.from([...all.keys()].sort((one, other) => all[other]! - all[one]! || one - other).slice(0, count));
  const sum = all.reduce((total, logit) => total + Math.exp(logit - all[ids[0]!]!), 0);
  return {
    ids,
    logits: Float32Array.from(ids, (id) => all[id]!),
    logSumExp: all[ids[0]!]! + Math.log(sum) + sumError,
    dense: async () => all,
  };
}
