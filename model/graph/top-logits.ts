import type { GraphBuilder, Value } from "./graph-builder.ts";

/** How many of the largest logits a step returns, 1 KiB a token: enough for the usual top-k, and for most of top-p. */
export const TOP_LOGITS = 128;

/** Outputs beside the logits themselves: `w` tokens, `k` of {@link TOP_LOGITS} or all of a smaller vocabulary. */
export const TOP_VALUES = {
  /** int32 [w, k]: from the largest logit to the smallest, equal ones by id. */
  ids: "top_ids",
  /** float32 [w, k]: their logits. */
  logits: "top_logits",
  /** float32 [w]: Σ exp(logit − largest) over the whole vocabulary. */
  sums: "top_sums",
} as const;

/** So many values a device sorts within one workgroup; more take a run over all memory per step of the sort. */
const SORTED_MAX = 2048;

/** What vocabularies are filled up with: below any logit, and exp of it is 0. */
const PADDING = -1e30;

/** Values with the ids that they belong to: [w, n], and [w, n] or, before any were left out, undefined for their places. */
interface Ranked {
  readonly values: Value;
  readonly ids: Value | undefined;
  readonly count: number;
}

/** How many logits {@link outputTopLogits} gives for a token. */
export function topCount(vocabularySize: number): number {
  return Math.min(TOP_LOGITS, vocabularySize);
}

/**
 * Adds the outputs of {@link TOP_VALUES} for `logits`, float32 [w, vocabularySize], from nodes that WebGPU has: segments are sorted
 * one by one, then the best of all segments, until one segment holds them. The order of equal ones survives, since each sort
 * keeps it. Ids are numbers of floating point on the way (exact up to 2^24): the provider computes with no int64.
 */
export function outputTopLogits(graph: GraphBuilder, logits: Value, vocabularySize: number): void {
  const k = topCount(vocabularySize);
  let ranked: Ranked = { values: logits, ids: undefined, count: vocabularySize };
  do ranked = keepLargest(graph, ranked, k);
  while (ranked.count > k);
  const largest = graph.op("Slice", [ranked.values, graph.integers([0]), graph.integers([1]), graph.integers([1])]);
  graph.output(TOP_VALUES.ids, graph.op("Cast", [ranked.ids!], { to: 6n }), "int32", ["wanted", k]);
  graph.output(TOP_VALUES.logits, ranked.values, "float32", ["wanted", k]);
  graph.output(TOP_VALUES.sums, sumOfWeights(graph, logits, largest, vocabularySize), "float32", ["wanted"]);
}

/** The `k` largest of each segment of [w, n], in one dimension again. */
function keepLargest(graph: GraphBuilder, { values, ids, count }: Ranked, k: number): Ranked {
  const segments = Math.ceil(count / SORTED_MAX);
  const size = segments === 1 ? count : SORTED_MAX;
  const [kept, places] = graph.ops("TopK", [inSegments(graph, values, count, segments), graph.integers([k])], 2, { axis: -1n });
  const keptIds = ids
    ? graph.op("GatherElements", [inSegments(graph, ids, count, segments), places!], { axis: 2n })
    : graph.op("Add", [graph.op("Gather", [series(graph, size, 1), places!]), graph.reshape(series(graph, segments, size), [segments, 1])]);
  const flat = [-1, segments * k];
  return { values: graph.reshape(kept!, flat), ids: graph.reshape(keptIds, flat), count: segments * k };
}

/** In two sums, so that no one of them has many terms. */
function sumOfWeights(graph: GraphBuilder, logits: Value, largest: Value, vocabularySize: number): Value {
  const segments = inSegments(graph, logits, vocabularySize, Math.ceil(vocabularySize / SORTED_MAX));
  const weights = graph.op("Exp", [graph.op("Sub", [segments, graph.reshape(largest, [-1, 1, 1])])]);
  const sums = graph.op("ReduceSum", [weights, graph.integers([2])], { keepdims: 0n });
  return graph.op("ReduceSum", [sums, graph.integers([1])], { keepdims: 0n });
}

/** [w, n] to [w, segments, size], filled up. */
function inSegments(graph: GraphBuilder, values: Value, count: number, segments: number): Value {
  const missing = segments === 1 ? 0 : segments * SORTED_MAX - count;
  const full = missing === 0 ? values : graph.op("Pad", [values, graph.integers([0, 0, 0, missing]), graph.float(PADDING)]);
  return graph.reshape(full, [-1, segments, (count + missing) / segments]);
}

/** 0, step, 2 · step, …: a constant, which the runtime computes when the graph is loaded. */
function series(graph: GraphBuilder, count: number, step: number): Value {
  return graph.op("Range", [graph.float(0), graph.float(count * step), graph.float(step)]);
}
