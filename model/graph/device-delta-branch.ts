import { DELTA_INPUTS, deltaTableNames } from "./delta-branch.ts";
import type { DeltaPart } from "./device-decoder-graph.ts";
import { type DeviceFloat, NUMBER_TYPES } from "./device-values.ts";
import { GraphBuilder, type Value } from "./graph-builder.ts";

/** The tables of a device are handed out in pages of so many ranks. */
export const PAGE_RANKS = 8;

/** Beside those of {@link DELTA_INPUTS}, but `active`. int64 [D, m]: which pages make up each of the D chunks; c = m · PAGE_RANKS ranks. */
export const DELTA_PAGES = "delta_pages";

/**
 * As {@link deltaChange}, for tables that lie on a device as pages, A [pages, PAGE_RANKS, inputSize] and B [pages, PAGE_RANKS,
 * outputSize]: a step puts its chunks together from any pages, there, so that deltas need not lie together and nothing of
 * them goes over the bus. The provider has no product with a transposed side: the few tokens are transposed, not the tables.
 */
export const DEVICE_DELTA_PART: DeltaPart = {
  declare(graph, sites, type) {
    graph.input(DELTA_PAGES, "int64", ["chunks", "pages"]);
    graph.input(DELTA_INPUTS.places, "int64", ["chunks", "places"]);
    graph.input(DELTA_INPUTS.select, "bool", ["chunks", "places", "ranks"]);
    graph.input(DELTA_INPUTS.origins, "int64", ["tokens"]);
    for (const { site, inputSize, outputSize } of sites) {
      const { a, b } = deltaTableNames(site);
      graph.input(a, type, ["table_pages", PAGE_RANKS, inputSize]);
      graph.input(b, type, ["table_pages", PAGE_RANKS, outputSize]);
    }
  },

  change(graph, x, sites, type) {
    const sorted = graph.transpose(graph.op("Gather", [x, DELTA_INPUTS.places], { axis: 0n }), [0, 2, 1]);
    const nothing = graph.op("Cast", [graph.float(0)], { to: NUMBER_TYPES[type] });
    const changes = sites.map(({ site, inputSize, outputSize }) => {
      const { a, b } = deltaTableNames(site);
      const ranks = graph.transpose(graph.op("MatMul", [chunks(graph, a, inputSize), sorted]), [0, 2, 1]);
      const own = graph.op("Where", [DELTA_INPUTS.select, ranks, nothing]);
      return graph.op("MatMul", [own, chunks(graph, b, outputSize)]);
    });
    const change = changes.length === 1 ? changes[0]! : graph.op("Concat", changes, { axis: 2n });
    const outputSize = sites.reduce((sum, site) => sum + site.outputSize, 0);
    return graph.op("Gather", [graph.reshape(change, [-1, outputSize]), DELTA_INPUTS.origins], { axis: 0n });
  },
};

/** [D, c, size] */
function chunks(graph: GraphBuilder, table: Value, size: number): Value {
  return graph.reshape(graph.op("Gather", [table, DELTA_PAGES], { axis: 0n }), [0, -1, size]);
}

/** Names in the graph of {@link buildDeltaUpload}, by the place of the table in `sizes`. */
export const UPLOAD_VALUES = {
  /** int32 [r, 1]: the ranks to be written. */
  ranks: "ranks",
  /** [all ranks, size], as it is. */
  table: (index: number) => `table.${index}`,
  /** float32 [r, size], or [1, 1] for one number in all places. */
  values: (index: number) => `values.${index}`,
  /** int64 [2]: r, size. */
  shape: (index: number) => `shape.${index}`,
  /** The output, to be bound to the memory of `table`: the provider then writes the given ranks and nothing else. */
  written: (index: number) => `written.${index}`,
} as const;

/** A graph that writes ranks of several tables, of these sizes. */
export function buildDeltaUpload(sizes: readonly number[], type: DeviceFloat): Uint8Array {
  const graph = new GraphBuilder();
  const ranks = graph.input(UPLOAD_VALUES.ranks, "int32", ["ranks", 1]);
  for (const [index, size] of sizes.entries()) {
    const table = graph.input(UPLOAD_VALUES.table(index), type, ["table_ranks", size]);
    const values = graph.input(UPLOAD_VALUES.values(index), "float32", [`ranks.${index}`, `size.${index}`]);
    const shape = graph.input(UPLOAD_VALUES.shape(index), "int64", [2]);
    const numbers = type === "float32" ? values : graph.op("Cast", [values], { to: NUMBER_TYPES[type] });
    const places = graph.op("Expand", [ranks, shape]);
    const written = graph.op("ScatterElements", [table, places, graph.op("Expand", [numbers, shape])], { axis: 0n });
    graph.output(UPLOAD_VALUES.written(index), written, type, ["table_ranks", size]);
  }
  return graph.finish();
}
