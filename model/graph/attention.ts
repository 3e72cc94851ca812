import type { ModelConfig } from "../checkpoint/contract.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";

/** Positions in one block of the cache: small, so that a row's last block wastes little, and large enough for one product each. */
export const BLOCK_TOKENS = 64;

/**
 * Inputs of attention. A step has `rows` rows of `span` new tokens each. Their past lies in `B` blocks of the cache, up
 * to `M` for one row; `past` = M · BLOCK_TOKENS. Shapes that a constant can't say are int64 tensors, since a graph can't
 * compute with sizes for free.
 */
export const ATTENTION_INPUTS = {
  /** float32 [rows, 1, 1, span, past + span]: 0 where a token may look, a large negative number elsewhere. */
  mask: "mask",
  /** int64 [B]: the row that each block belongs to. */
  blockRows: "block_rows",
  /** int64 [rows, M]: the blocks of each row in order of position, filled up with blocks of the same row. */
  rowBlocks: "row_blocks",
  /** int64 [B]: where in [rows · M] each block stands. */
  blockPlaces: "block_places",
  /** float32 [rows, 1, M]: 1 for a block of the row, 0 for one that only fills up. */
  blockShares: "block_shares",
  /** [rows, span, headCount + 2 · kvHeads, headSize] */
  headsShape: "heads_shape",
  /** [rows · M, kvHeads, headCount / kvHeads, span, BLOCK_TOKENS] */
  blocksShape: "blocks_shape",
  /** [rows, M, headCount · span · headSize] */
  blockOutputShape: "block_output_shape",
  /** [past, span] */
  spans: "spans",
} as const;

const SHAPE_SIZES = {
  headsShape: 4,
  blocksShape: 5,
  blockOutputShape: 3,
  spans: 2,
} as const;

/** Names of a layer's cache: each float32 [B, kvHeads, 1, BLOCK_TOKENS, headSize]. */
export function pastNames(layer: number): { readonly key: string; readonly value: string } {
  return { key: `past_key.${layer}`, value: `past_value.${layer}` };
}

export interface KeyValue {
  readonly key: Value;
  readonly value: Value;
}

export function declareAttentionInputs(graph: GraphBuilder, config: ModelConfig): void {
  graph.input(ATTENTION_INPUTS.mask, "float32", ["rows", 1, 1, "span", "reach"]);
  graph.input(ATTENTION_INPUTS.blockRows, "int64", ["blocks"]);
  graph.input(ATTENTION_INPUTS.rowBlocks, "int64", ["rows", "row_blocks"]);
  graph.input(ATTENTION_INPUTS.blockPlaces, "int64", ["blocks"]);
  graph.input(ATTENTION_INPUTS.blockShares, "float32", ["rows", 1, "row_blocks"]);
  for (const [shape, size] of Object.entries(SHAPE_SIZES)) {
    graph.input(ATTENTION_INPUTS[shape as keyof typeof SHAPE_SIZES], "int64", [size]);
  }
  for (let layer = 0; layer < config.layerCount; layer++) {
    for (const name of Object.values(pastNames(layer))) {
      graph.input(name, "float32", ["blocks", config.kvHeadCount, 1, BLOCK_TOKENS, config.headSize]);
    }
  }
}

interface AttentionSpec {
  readonly layer: number;
  /** [N, (headCount + 2 · kvHeads) · headSize]: queries, keys, values. */
  readonly fused: Value;
  readonly normalise: (heads: Value, which: "query" | "key") => Value;
  /** [rows, heads, span, headSize] to the same shape. */
  readonly rotate: (heads: Value) => Value;
}

/**
 * Softmax over [past · current]. The past is an input and only the new keys and values leave the graph, so that nothing
 * of the cache is copied. It comes in blocks, each of which multiplies the queries of its own row only: a row costs what
 * its own length asks for, whatever the others have, and a growing row takes another block instead of moving.
 *
 * Query heads that share a key head are a dimension of their own, broadcast over the cache: with one token per row
 * every product is then a matrix times a vector, for which the runtime need not repack the cache.
 */
export function attend(
  graph: GraphBuilder,
  config: ModelConfig,
  spec: AttentionSpec,
): { readonly output: Value; readonly added: KeyValue } {
  const { headCount, kvHeadCount, headSize } = config;
  const heads = graph.transpose(graph.op("Reshape", [spec.fused, ATTENTION_INPUTS.headsShape]), [0, 2, 1, 3]);
  const [query, key, value] = graph.split(heads, 1, [headCount, kvHeadCount, kvHeadCount]);
  const turnedQuery = spec.rotate(spec.normalise(query!, "query"));
  // The products must have no factor of their own: with one, the runtime leaves its fast path for vectors.
  const scaledQuery = graph.op("Mul", [turnedQuery, graph.float(headSize ** -0.5)]);
  const byKeyHead = (values: Value, group: number) => graph.reshape(values, [0, kvHeadCount, group, -1, headSize]);
  const queries = byKeyHead(scaledQuery, headCount / kvHeadCount);
  const keys = byKeyHead(spec.rotate(spec.normalise(key!, "key")), 1);
  const values = byKeyHead(value!, 1);

  const past = pastNames(spec.layer);
  const newScores = graph.fused("FusedMatMul", [queries, keys], { transB: 1n });
  const scores = graph.op("Concat", [pastScores(graph, queries, past.key), newScores], { axis: -1n });
  const shares = graph.op("Softmax", [graph.op("Add", [scores, ATTENTION_INPUTS.mask])], { axis: -1n });
  const [pastShares, newShares] = graph.ops("Split", [shares, ATTENTION_INPUTS.spans], 2, { axis: -1n });
  const mixed = graph.op("Add", [pastValues(graph, config, pastShares!, past.value), graph.op("MatMul", [newShares!, values])]);
  const output = graph.reshape(graph.transpose(mixed, [0, 3, 1, 2, 4]), [-1, headCount * headSize]);
  return { output, added: { key: keys, value: values } };
}

/** Queries times the keys of every block, ordered by row: [rows, kvHeads, headCount / kvHeads, span, past]. */
function pastScores(graph: GraphBuilder, queries: Value, pastKeys: Value): Value {
  const blockQueries = graph.op("Gather", [queries, ATTENTION_INPUTS.blockRows], { axis: 0n });
  const blockScores = graph.fused("FusedMatMul", [blockQueries, pastKeys], { transB: 1n });
  const byRow = graph.op("Gather", [blockScores, ATTENTION_INPUTS.rowBlocks], { axis: 0n });
  return graph.reshape(graph.transpose(byRow, [0, 2, 3, 4, 1, 5]), [0, 0, 0, 0, -1]);
}

/** The inverse walk: each row's shares go to its blocks, and what these give is added up per row. */
function pastValues(graph: GraphBuilder, { headCount, kvHeadCount, headSize }: ModelConfig, shares: Value, values: Value): Value {
  const byPlace = graph.transpose(graph.reshape(shares, [0, 0, 0, 0, -1, BLOCK_TOKENS]), [0, 4, 1, 2, 3, 5]);
  const blockShares = graph.op("Gather", [reshapeTo(graph, byPlace, ATTENTION_INPUTS.blocksShape), ATTENTION_INPUTS.blockPlaces], {
    axis: 0n,
  });
  const blockOutputs = graph.op("MatMul", [blockShares, values]);
  const byRow = graph.op("Gather", [blockOutputs, ATTENTION_INPUTS.rowBlocks], { axis: 0n });
  const sums = graph.op("MatMul", [ATTENTION_INPUTS.blockShares, reshapeTo(graph, byRow, ATTENTION_INPUTS.blockOutputShape)]);
  return graph.reshape(sums, [0, kvHeadCount, headCount / kvHeadCount, -1, headSize]);
}

/** A fresh text has no past: sizes of 0 must mean 0. */
function reshapeTo(graph: GraphBuilder, value: Value, shape: Value): Value {
  return graph.op("Reshape", [value, shape], { allowzero: 1n });
}
