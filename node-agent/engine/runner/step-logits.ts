import { assert } from "#kernel";
import type { RowLogits, TopLogits } from "./contract.ts";

export function isTop(logits: RowLogits): logits is TopLogits {
  return !(logits instanceof Float32Array);
}

/** The logits of a row that asked for all of them. */
export function denseLogits(logits: RowLogits): Float32Array {
  assert(!isTop(logits), "a row that asks for all logits gets them");
  return logits;
}
