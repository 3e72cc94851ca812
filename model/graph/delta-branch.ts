import type { LinearSite } from "../base.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";

/**
 * The inputs by which the tokens of a step find their deltas; the same for all layers. The tables that a step binds are `D` chunks of `c`
 * ranks each, and a chunk is multiplied by the tokens whose delta it holds.
 */
export const DELTA_INPUTS = {
  /** bool []: whether any row has a delta. Only of a graph for either kind of step. */
  active: "delta_active",
  /** int64 [D, G]: which token of the step stands at each of the `G` places in a chunk. */
  places: "delta_places",
  /** bool [D, G, c]: true at the ranks that belong to the token's own delta. */
  select: "delta_select",
  /** int64 [N]: where in [D · G] each token's change is found. */
  origins: "delta_origins",
  /** int64 [1]: D. Only of a graph for even steps, instead of the three above. */
  chunkCount: "delta_chunk_count",
} as const;

/** Names of a site's tables: A is [D, c, inputSize], B is [D, c, outputSize]. */
export function deltaTableNames(site: string): { readonly a: string; readonly b: string } {
  return { a: `delta_a.${site}`, b: `delta_b.${site}` };
}

/** How the tokens of a step come to the chunks that hold their deltas, and back. */
export interface TokenOrder {
  declareInputs(graph: GraphBuilder): void;
  /** x [N, inputSize] to [D, G, inputSize]. */
  toChunks(graph: GraphBuilder, x: Value, inputSize: number): Value;
  /** [D, G, c] with zeros for the ranks of others' deltas. */
  ownRanks(graph: GraphBuilder, ranks: Value): Value;
  /** [D, G, outputSize] to [N, outputSize]. */
  toTokens(graph: GraphBuilder, change: Value, outputSize: number): Value;
}

/** For any step: tokens are sorted to the chunks. A chunk may hold several small deltas; `select` keeps them apart. */
export const SORTED_TOKENS: TokenOrder = {
  declareInputs(graph) {
    graph.input(DELTA_INPUTS.places, "int64", ["chunks", "places"]);
    graph.input(DELTA_INPUTS.select, "bool", ["chunks", "places", "ranks"]);
    graph.input(DELTA_INPUTS.origins, "int64", ["tokens"]);
  },
  toChunks: (graph, x) => graph.op("Gather", [x, DELTA_INPUTS.places], { axis: 0n }),
  // Not a product with zeros: an overflow in one delta must not turn its neighbours' zeros into NaN.
  ownRanks: (graph, ranks) => graph.op("Where", [DELTA_INPUTS.select, ranks, graph.float(0)]),
  toTokens: (graph, change, outputSize) =>
    graph.op("Gather", [graph.reshape(change, [-1, outputSize]), DELTA_INPUTS.origins], { axis: 0n }),
};

/** For even steps: every chunk holds one delta and equally many tokens, and these come chunk by chunk. Nothing is copied or selected. */
export const EVEN_TOKENS: TokenOrder = {
  declareInputs(graph) {
    graph.input(DELTA_INPUTS.chunkCount, "int64", [1]);
  },
  toChunks: (graph, x, inputSize) =>
    graph.op("Reshape", [x, graph.op("Concat", [DELTA_INPUTS.chunkCount, graph.integers([-1, inputSize])], { axis: 0n })]),
  ownRanks: (_, ranks) => ranks,
  toTokens: (graph, change, outputSize) => graph.reshape(change, [-1, outputSize]),
};

/** All but `active`, which only a graph for either kind of step asks for. */
export function declareDeltaInputs(graph: GraphBuilder, order: TokenOrder, sites: readonly LinearSite[]): void {
  order.declareInputs(graph);
  for (const { site, inputSize, outputSize } of sites) {
    const { a, b } = deltaTableNames(site);
    graph.input(a, "float32", ["chunks", "ranks", inputSize]);
    graph.input(b, "float32", ["chunks", "ranks", outputSize]);
  }
}

/**
 * What the deltas add to the outputs of linears that share the input `x` [N, inputSize]: [N, Σ outputSize].
 *
 * Every chunk of the packed tables multiplies only the tokens whose delta it holds: each table is read once, from where it lies, and
 * nothing is gathered but activations.
 */
export function deltaChange(graph: GraphBuilder, order: TokenOrder, x: Value, sites: readonly LinearSite[]): Value {
  const sorted = order.toChunks(graph, x, sites[0]!.inputSize);
  const changes = sites.map(({ site }) => {
    const { a, b } = deltaTableNames(site);
    const ranks = graph.fused("FusedMatMul", [sorted, a], { transB: 1n });
    return graph.op("MatMul", [order.ownRanks(graph, ranks), b]);
  });
  const change = changes.length === 1 ? changes[0]! : graph.op("Concat", changes, { axis: 2n });
  const outputSize = sites.reduce((sum, site) => sum + site.outputSize, 0);
  return order.toTokens(graph, change, outputSize);
}
