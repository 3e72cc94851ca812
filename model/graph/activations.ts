import type { ModelConfig } from "../checkpoint/contract.ts";
import type { GraphBuilder, Value } from "./graph-builder.ts";

/** QuickGelu is x · sigmoid(alpha · x): with alpha 1 it is SiLU in one node. FastGelu is the tanh form. */
export const ACTIVATIONS: Readonly<Record<ModelConfig["activation"], (graph: GraphBuilder, x: Value) => Value>> = {
  silu: (graph, x) => graph.fused("QuickGelu", [x], { alpha: 1 }),
  gelu_tanh: (graph, x) => graph.fused("FastGelu", [x]),
  gelu: (graph, x) => graph.fused("Gelu", [x]),
  relu: (graph, x) => graph.op("Relu", [x]),
};
