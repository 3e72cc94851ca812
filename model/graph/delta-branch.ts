import type { LinearSite } from "../base.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";

/** The inputs by which the rows of a step find their deltas; the same for all layers. `D` chunks of `c` ranks, `G` places in each. */
export interface DeltaInputs {
  /** bool []: whether any row has a delta. */
  readonly active: Value;
  /** int64 [D, G]: which token of the step stands at each place. */
  readonly places: Value;
  /** bool [D, G, c]: true at the ranks that belong to the token's own delta. */
  readonly select: Value;
  /** int64 [N]: where in [D · G] each token's change is found. */
  readonly origins: Value;
}

export const DELTA_INPUTS: DeltaInputs = {
  active: "delta_active",
  places: "delta_places",
  select: "delta_select",
  origins: "delta_origins",
};

/** Names of a site's tables: A is [D, c, inputSize], B is [D, c, outputSize]. */
export function deltaTableNames(site: string): { readonly a: string; readonly b: string } {
  return { a: `delta_a.${site}`, b: `delta_b.${site}` };
}

/** All but `active`, which only a graph for either kind of step asks for. */
export function declareDeltaInputs(graph: GraphBuilder, sites: readonly LinearSite[]): void {
  graph.input(DELTA_INPUTS.places, "int64", ["chunks", "places"]);
  graph.input(DELTA_INPUTS.select, "bool", ["chunks", "places", "ranks"]);
  graph.input(DELTA_INPUTS.origins, "int64", ["tokens"]);
  for (const { site, inputSize, outputSize } of sites) {
    const { a, b } = deltaTableNames(site);
    graph.input(a, "float32", ["chunks", "ranks", inputSize]);
    graph.input(b, "float32", ["chunks", "ranks", outputSize]);
  }
}

/**
 * What the deltas add to the outputs of linears that share the input `x` [N, inputSize]: [N, Σ outputSize].
 *
 * Tokens are sorted into the chunks of the packed tables, so that every chunk multiplies only the tokens whose delta it
 * holds: each table is read once and nothing is gathered but activations. A chunk may hold several small deltas;
 * `select` keeps them apart.
 */
export function deltaChange(graph: GraphBuilder, x: Value, sites: readonly LinearSite[]): Value {
  const sorted = graph.op("Gather", [x, DELTA_INPUTS.places], { axis: 0n });
  const changes = sites.map(({ site }) => {
    const { a, b } = deltaTableNames(site);
    const ranks = graph.fused("FusedMatMul", [sorted, a], { transB: 1n });
    // Not a product with zeros: an overflow in one delta must not turn its neighbours' zeros into NaN.
    return graph.op("MatMul", [graph.op("Where", [DELTA_INPUTS.select, ranks, graph.float(0)]), b]);
  });
  const change = changes.length === 1 ? changes[0]! : graph.op("Concat", changes, { axis: 2n });
  const outputSize = sites.reduce((sum, site) => sum + site.outputSize, 0);
  return graph.op("Gather", [graph.reshape(change, [-1, outputSize]), DELTA_INPUTS.origins], { axis: 0n });
}
